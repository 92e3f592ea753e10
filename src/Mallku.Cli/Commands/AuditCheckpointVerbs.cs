using Mallku.Cli.Terminal;

namespace Mallku.Cli.Commands;

internal sealed class AuditCheckpointVerb : Verb
{
    internal AuditCheckpointVerb() => Understand();

    internal override string? Notes =>
        "It is a signed note, some lines of text without a secret. Keep it where whoever can write the ledger can't: "
        + "then 'mallku audit verify --against FILE' shows that nothing of before was changed or taken away.";

    internal override string[] Examples => ["mallku audit checkpoint > checkpoint-of-may", "mallku audit verify --against checkpoint-of-may"];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var ledger = await invocation.OpenLedgerAsync(cancellationToken);
        Channel.Output.Write(ledger.ReadNote());
        return ExitCode.Done;
    }
}

internal sealed class AuditKeyVerb : Verb
{
    internal AuditKeyVerb() => Understand();

    internal override string? Notes =>
        "By it anybody can check the ledger and the proofs of its entries, and nobody can write them. Hand it on before it is needed: "
        + "a key that comes with the ledger proves nothing.";

    internal override string[] Examples => ["mallku audit key > ledger.vkey", "mallku audit verify --key ledger.vkey"];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var ledger = await invocation.OpenLedgerAsync(cancellationToken);
        Channel.Output.WriteLine(ledger.Verifier.ToString());
        return ExitCode.Done;
    }
}

internal sealed class AuditCloseVerb : Verb
{
    internal AuditCloseVerb() => Understand();

    internal override string? Notes =>
        "The ledger goes on in a new file, which is verified without the closed ones. Prints the closed file that can be moved away now; "
        + "the file .checkpoint of the same number as the new one stays.";

    internal override string[] Examples => ["mallku audit close", "mv \"$(mallku audit close)\" /mnt/archive/"];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var ledger = await invocation.OpenLedgerAsync(cancellationToken);
        var start = ledger.Session.ReadCurrent().SegmentStart;
        var closed = ledger.Session.CloseSegment();
        if (closed.SegmentStart == start)
        {
            throw new SecretsException("the open file has no entries yet, so that there is nothing to close", "go on as usual");
        }

        Notice.Done($"closed the entries {start} to {closed.Size - 1}; this file can be archived:");
        Channel.Output.WriteLine(ledger.Folder.SegmentFile(start));
        Notice.Done($"keep {ledger.Folder.BoundaryFile(closed.Size)} here: the next entries are verified from it on");
        return ExitCode.Done;
    }
}
