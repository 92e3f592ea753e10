using System.CommandLine;
using Mallku.Cli.Terminal;
using Mallku.Secrets.Vault;

namespace Mallku.Cli.Commands;

internal sealed class AuditRestartVerb : Verb
{
    private readonly Option<bool> _yes = new("--yes", "-y") { Description = "do not ask" };

    internal AuditRestartVerb() => Understand(_yes);

    internal override string? Notes =>
        "For a ledger that is gone or damaged and can't be put back from a backup. What is there is kept under another name, and the "
        + "first entries of the new one say so. Asks first, and therefore needs --yes where nobody is there to answer.";

    internal override string[] Examples => ["mallku audit restart", "mallku audit restart --yes"];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var vault = await invocation.OpenLedgersVaultAsync(cancellationToken);
        if (!invocation.Parsed.GetValue(_yes))
        {
            if (!Prompt.IsPossible)
            {
                throw new UsageException("giving a ledger up asks first, and nobody is there to answer", "say it in so many words: mallku audit restart --yes");
            }

            if (!Prompt.Confirm($"give up the ledger of {vault.Describe()} and begin a new one?"))
            {
                Notice.Done("nothing was changed");
                return ExitCode.Failed;
            }
        }

        var kept = await VaultLedger.RestartAsync(vault, cancellationToken);
        Notice.Done(kept is null ? "began a new ledger; of the former one nothing was there" : $"began a new ledger; the former one is kept: {kept}");
        return ExitCode.Done;
    }
}
