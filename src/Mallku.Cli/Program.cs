using Mallku.Cli.Commands;
using Mallku.Cli.Native;
using Mallku.Cli.Terminal;

namespace Mallku.Cli;

internal static class Program
{
    private static int Main(string[] arguments)
    {
        try
        {
            // the daily use, in scripts by the hundred: straight to the lookup, without a grammar
            return arguments is ["get", [not '-', ..] name] && !StoreUrl.IsInEnvironment
                ? GetFromVault(name)
                : CommandLine.Run(arguments);
        }
        catch (Exception e)
        {
            return Notice.Report(e);
        }
    }

    private static int GetFromVault(string name)
    {
        NativeBinary.PrepareToDecrypt();
        return GetVerb.Print(SecretsManager.Open(new SecretsOptions { Purpose = "get", BlocksForLedger = true }), name, newline: true);
    }
}
