using System.CommandLine;
using Mallku.Cli.Terminal;
using Mallku.Secrets.Vault;

namespace Mallku.Cli.Commands;

internal sealed class AuditNamesVerb : Verb
{
    internal static readonly string[] Forms = ["clear", VaultFormat.Pseudonyms];

    private readonly Argument<string?> _form = new("FORM") { Description = "clear or pseudonyms", Arity = ArgumentArity.ZeroOrOne };

    internal AuditNamesVerb() => Understand(_form);

    internal override string? Notes =>
        "Pseudonyms are keyed hashes: who can read the ledger and can't open the vault does not learn which secrets there are. "
        + "Who can open it sees the names again, in 'audit log', 'audit report' and 'audit unusual'. It is so for every program that uses the vault, from now on: "
        + "older entries stay as they are. Without FORM it prints how it is.";

    internal override string[] Examples => ["mallku audit names", "mallku audit names pseudonyms", "mallku audit names clear"];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var vault = await invocation.OpenLedgersVaultAsync(cancellationToken);
        var opened = await vault.RequireAsync(cancellationToken);
        if (invocation.Parsed.GetValue(_form) is not { } form)
        {
            Channel.Output.WriteLine(Show(opened.Document.UsesPseudonyms));
            return ExitCode.Done;
        }

        if (!Forms.Contains(form))
        {
            throw new UsageException("names are clear or pseudonyms", "write it as: mallku audit names pseudonyms");
        }

        var isChanged = await VaultNames.SwitchAsync(vault, toPseudonyms: form == VaultFormat.Pseudonyms, cancellationToken);
        Notice.Done(isChanged ? $"names in the ledger: {form}, from here on" : $"names in the ledger: {form}, as before");
        return ExitCode.Done;
    }

    private static string Show(bool usesPseudonyms) => Forms[usesPseudonyms ? 1 : 0];
}
