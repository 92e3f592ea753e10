namespace Mallku.Cli.Commands;

/// <summary>The verbs that need the providers' clients.</summary>
internal static class ProviderVerbs
{
    internal static Verb Adapters() => new AdaptersVerb();

    internal static Verb AdaptersTest() => new AdaptersTestVerb();

    internal static Verb Rotate() => new RotateVerb();

    internal static Verb Rollback() => new RollbackVerb();
}
