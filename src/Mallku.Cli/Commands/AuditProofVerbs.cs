using System.CommandLine;
using System.Globalization;
using System.Text;
using Mallku.Cli.Terminal;
using Mallku.Cli.Transfer;
using Mallku.Secrets.Ledger;

namespace Mallku.Cli.Commands;

internal sealed class AuditProveVerb : Verb
{
    private readonly Argument<string> _index = new("N") { Description = "the entry's index, as 'mallku audit log' shows it" };

    internal AuditProveVerb() => Understand(_index);

    internal override string? Notes =>
        "The proof has the entry itself and shows nothing of the others. Whoever has the ledger's public key can check it without "
        + "the ledger: mallku audit check.";

    internal override string[] Examples => ["mallku audit prove 17 > entry-17.tlog-proof"];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        if (!long.TryParse(invocation.Parsed.GetRequiredValue(_index), NumberStyles.None, CultureInfo.InvariantCulture, out var index))
        {
            throw new UsageException("N is the index of an entry, a number from 0 up", "see which there are: mallku audit log");
        }

        var ledger = await invocation.OpenLedgerAsync(cancellationToken);
        Channel.Output.Write(LedgerProof.Make(ledger.Folder, ledger.Verifier, ledger.ReadNote(), index).ToText());
        return ExitCode.Done;
    }
}

internal sealed class AuditCheckVerb : Verb
{
    private readonly Argument<string> _proof = new("PROOF") { Description = "the file that 'mallku audit prove' has written" };
    private readonly Option<string?> _key = VerifierKey.Option();

    internal AuditCheckVerb() => Understand(_proof, _key);

    internal override string? Notes => "With --key, or MALLKU_LEDGER_KEY, it needs neither the vault nor the ledger.";

    internal override string[] Examples => ["mallku audit check entry-17.tlog-proof", "mallku audit check entry-17.tlog-proof --key ledger.vkey"];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var file = invocation.Parsed.GetRequiredValue(_proof);
        var verifier = invocation.Parsed.GetValue(_key) is { } key
            ? VerifierKey.Read(key)
            : (await invocation.OpenLedgersVaultAsync(cancellationToken)).Settings.LedgerPin?.Verifier ?? (await invocation.OpenLedgerAsync(cancellationToken)).Verifier;
        var proof = LedgerProof.Parse(Read(file)) ?? throw new SecretsException(
            $"{GivenFile.Show(file)} is no proof of an entry, or is damaged", "make it anew where the ledger is: mallku audit prove N");
        if (proof.Verify(verifier) is not var (entry, checkpoint))
        {
            throw new SecretsException(
                $"{GivenFile.Show(file)} does not prove that its entry is in the ledger of the key {verifier.Name}",
                "take it for false, or make it anew where the ledger is: mallku audit prove N");
        }

        Channel.Output.WriteLine($"entry {entry.Index} is in the ledger, as {checkpoint.Origin} has signed it with {checkpoint.Size} entries:");
        Channel.Output.WriteLine(EntryWords.Describe(entry));
        return ExitCode.Done;
    }

    private static string Read(string file) => Encoding.UTF8.GetString(
        GivenFile.Read(file, LedgerProof.MaxLength, "make a proof where the ledger is: mallku audit prove N > FILE"));
}
