using Mallku.Cli.Terminal;
using Mallku.Secrets.Storage;

namespace Mallku.Cli.Commands;

/// <summary>Says what of a machine's ledger is left out, or gone, and why.</summary>
internal sealed class LeftOut : IProgress<InstanceVerification>
{
    public void Report(InstanceVerification value) => Notice.Warn(Describe(value));

    /// <summary>What is wrong with what a store has of a machine's ledger, and how much of it is therefore left out.</summary>
    internal static string Describe(InstanceVerification found)
    {
        var leftOut = found.NotSigned == 0 ? "" : $"; {found.NotSigned} {(found.NotSigned == 1 ? "entry is" : "entries are")} left out";
        return found.Fault!.Problem + leftOut;
    }
}
