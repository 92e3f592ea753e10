using Mallku.Cli.Native;

namespace Mallku.Cli.Commands;

/// <summary>The verbs of the second program. Whoever asks for one of them, or for its help or completion, goes on there.</summary>
internal static class ProviderVerbs
{
    internal static Verb Adapters() => GoOn();

    internal static Verb AdaptersTest() => GoOn();

    internal static Verb Rotate() => GoOn();

    internal static Verb Rollback() => GoOn();

    internal static Verb StoreInit() => GoOn();

    internal static Verb StoreJoin() => GoOn();

    internal static Verb StoreStatus() => GoOn();

    internal static Verb StoreReseal() => GoOn();

    internal static Verb StoreCopy() => GoOn();

    private static Verb GoOn()
    {
        SecondProgram.GoOn("this verb is done");
        return null;
    }
}
