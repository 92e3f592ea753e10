namespace Mallku.Cli.Commands;

/// <summary>The verbs that need the providers' clients, or the drivers of a shared store's engine.</summary>
internal static class ProviderVerbs
{
    internal static Verb Adapters() => new AdaptersVerb();

    internal static Verb AdaptersTest() => new AdaptersTestVerb();

    internal static Verb Rotate() => new RotateVerb();

    internal static Verb Rollback() => new RollbackVerb();

    internal static Verb StoreInit() => new StoreInitVerb();

    internal static Verb StoreJoin() => new StoreJoinVerb();

    internal static Verb StoreStatus() => new StoreStatusVerb();

    internal static Verb StoreReseal() => new StoreResealVerb();

    internal static Verb StoreCopy() => new StoreCopyVerb();
}
