namespace Mallku.Secrets.Storage;

/// <summary>Who wrote a version, as the vault says it.</summary>
internal static class VersionSources
{
    /// <summary>Another program, such as the Python system.</summary>
    internal const string External = "external";

    /// <summary>The value is that of an earlier version.</summary>
    internal const string Rollback = "rollback";
}
