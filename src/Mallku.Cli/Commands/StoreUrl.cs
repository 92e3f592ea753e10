namespace Mallku.Cli.Commands;

/// <summary>Where the shared store is, as the caller says it.</summary>
internal static class StoreUrl
{
    internal const string Variable = "MALLKU_STORE";

    /// <summary>Whether a store is named without an argument.</summary>
    internal static bool IsInEnvironment => Find() is not null;

    /// <summary>The one of the command line, else that of the environment; null for none.</summary>
    /// <exception cref="UsageException">That of the command line is empty, or has a password.</exception>
    internal static string? Choose(string? argument) => argument switch
    {
        null => Find(),
        "" => throw UsageErrors.NoStore(),
        _ when HasPassword(argument) => throw new UsageException(
            "a password is never an argument, where others could read it", $"put the whole URL into {Variable}, or the password into MALLKU_STORE_PASSWORD or a file that MALLKU_STORE_PASSWORD_FILE names"),
        _ => argument,
    };

    /// <summary>Whether a user's password stands in it.</summary>
    internal static bool HasPassword(string url)
    {
        var start = url.IndexOf("://", StringComparison.Ordinal);
        var authority = start < 0 ? url : url[(start + 3)..].Split('/', '?', '#')[0];

        // an '@' in the rest may be that of a password with a '/' in it, which no URL can have
        return start < 0
            ? url.Contains("password", StringComparison.OrdinalIgnoreCase) || url.Contains("pwd", StringComparison.OrdinalIgnoreCase)
            : authority.LastIndexOf('@') is var at and > 0 && authority[..at].Contains(':', StringComparison.Ordinal);
    }

    private static string? Find() => Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } url ? url : null;
}
