using System.Runtime.CompilerServices;
using System.Text;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Models;

namespace Mallku.Secrets.Storage;

/// <summary>Follows the tree of one instance's ledger along what it told a shared store. For one run.</summary>
/// <param name="audit">What opens it.</param>
/// <param name="id">Whose it is.</param>
/// <param name="head">What the store knows of him.</param>
/// <param name="changes">What the store's secrets say of the ledger, in its order.</param>
internal sealed class InstanceCheck(AuditRecords audit, string id, InstanceHead head, IReadOnlyList<RecordedChange> changes)
{
    // somebody may put any number there: that many say it
    private const int MostNamed = 64;

    private readonly TreeFrontier _frontier = new();
    private long _signed;
    private int _compared;

    // told only where the entries are signed: else somebody else has written them
    private LedgerFault? _forked;

    /// <summary>How many of the entries are behind the last checkpoint.</summary>
    internal long NotSigned => _frontier.Size - _signed;

    /// <summary>Reads all of it.</summary>
    /// <param name="records">The medium.</param>
    /// <param name="seen">How many entries of each instance this machine has seen there.</param>
    /// <param name="progress">Told how many entries are done.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <returns>The first thing that is wrong; null where nothing is.</returns>
    internal async ValueTask<LedgerFault?> RunAsync(IRecordStore records, SeenGenerations seen, Action<long> progress, CancellationToken cancellationToken)
    {
        if (head.Size < seen.Get(id))
        {
            return StoreLedgerFault.Shrunk(id, head, seen);
        }

        if (NoteVerifier.Parse(head.Key) is not { } verifier || audit.IdOf(verifier.Name) != id)
        {
            return StoreLedgerFault.Unopened(id);
        }

        var (from, before) = AuditRecords.BatchesOf(id);
        await foreach (var found in records.ListAsync(RecordKind.Audit, from, before, cancellationToken).ConfigureAwait(false))
        {
            if (_frontier.Size >= head.Size)
            {
                // what it has told since the head was read is for the next look: the head was written with it
                if (found.Key == AuditRecords.KeyOf(id, head.Size) && await IsAheadAsync(records, cancellationToken).ConfigureAwait(false))
                {
                    break;
                }

                return StoreLedgerFault.Beyond(head, found.Key.Id);
            }

            if (found.Key != AuditRecords.KeyOf(id, _frontier.Size))
            {
                return StoreLedgerFault.Gone(head, _frontier.Size);
            }

            if (Check(found, verifier) is { } fault)
            {
                return fault;
            }

            progress(_frontier.Size);
        }

        return _frontier.Size < head.Size ? StoreLedgerFault.Gone(head, _frontier.Size) : _forked;
    }

    /// <summary>The instances of which the store has batches and nothing else, each with the first of these; without reading those of the others.</summary>
    /// <param name="records">The medium.</param>
    /// <param name="known">The ids of all that the store knows.</param>
    /// <param name="cancellationToken">Ends it.</param>
    internal static async IAsyncEnumerable<(string Id, string Record)> FindHeadlessAsync(
        IRecordStore records, IReadOnlySet<string> known, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var ends = known.Select(AuditRecords.BatchesOf).OrderBy(static range => range.From, StringComparer.Ordinal).Select(static range => (range.From, (string?)range.Before)).ToList();
        var (from, named) = ("", 0);
        foreach (var (before, next) in ends.Append((null!, null)))
        {
            while (named < MostNamed && (before is null || string.CompareOrdinal(from, before) < 0)
                && await records.ListAsync(RecordKind.Audit, from, before, cancellationToken).FirstOrDefaultAsync(cancellationToken).ConfigureAwait(false) is { } found)
            {
                // one without a dot is of nobody, as is one of an instance that has told nothing
                var record = found.Key.Id;
                var dot = record.IndexOf('.');
                var id = dot < 0 ? record : record[..dot];

                // a batch and its head are written at once: one that is new since the heads were read has it now
                if (dot < 0 || await records.ReadAsync(AuditRecords.KeyOf(id), cancellationToken).ConfigureAwait(false) is null)
                {
                    named++;
                    yield return (id, record);
                }

                from = AuditRecords.BatchesOf(id) is var (batches, after) && string.CompareOrdinal(record, batches) < 0 ? batches : after;
            }

            from = next is not null && string.CompareOrdinal(from, next) < 0 ? next : from;
        }
    }

    private async ValueTask<bool> IsAheadAsync(IRecordStore records, CancellationToken cancellationToken)
    {
        try
        {
            return await records.ReadAsync(AuditRecords.KeyOf(id), cancellationToken).ConfigureAwait(false) is { } found && audit.OpenHead(found).Size > head.Size;
        }
        catch (RecordOpenException)
        {
            return false;
        }
    }

    private LedgerFault? Check(StoredRecord found, NoteVerifier verifier)
    {
        var first = _frontier.Size;
        AuditBatch batch;
        try
        {
            batch = audit.OpenBatch(id, found);
        }
        catch (RecordOpenException)
        {
            return StoreLedgerFault.Altered(head, first);
        }

        foreach (var line in AuditLines.Split(batch.Lines))
        {
            if (AuditLines.HashOf(line.Span) is not { } leaf)
            {
                return StoreLedgerFault.Altered(head, _frontier.Size);
            }

            _frontier.Append(leaf);
            for (; _compared < changes.Count && changes[_compared].Entries == _frontier.Size; _compared++)
            {
                if (changes[_compared].Root != _frontier.GetRoot().ToString())
                {
                    _forked ??= StoreLedgerFault.Forked(head, changes[_compared]);
                }
            }
        }

        if (batch.Checkpoint is null)
        {
            // signed with the next one
            return null;
        }

        if (LedgerFolder.OpenCheckpoint(Encoding.UTF8.GetBytes(batch.Checkpoint), verifier) is not { } checkpoint
            || checkpoint.Size != _frontier.Size
            || checkpoint.Root != _frontier.GetRoot())
        {
            return StoreLedgerFault.Other(head, _signed, _frontier.Size);
        }

        _signed = checkpoint.Size;
        return _forked;
    }
}

/// <summary>The lines of a batch.</summary>
internal static class AuditLines
{
    internal static IEnumerable<ReadOnlyMemory<byte>> Split(byte[] lines)
    {
        for (var start = 0; start < lines.Length;)
        {
            var length = lines.AsSpan(start).IndexOf((byte)'\n');
            var end = length < 0 ? lines.Length : start + length;
            yield return lines.AsMemory(start..end);
            start = end + 1;
        }
    }

    /// <summary>The leaf hash of an entry, or the one that stands for it; null for neither.</summary>
    internal static TreeHash? HashOf(ReadOnlySpan<byte> line)
    {
        if (line is not [AuditRecords.HashMark, .. var hash])
        {
            return MerkleTree.HashLeaf(line);
        }

        Span<char> text = stackalloc char[TreeHash.Base64Length];
        return hash.Length == text.Length && Encoding.ASCII.TryGetChars(hash, text, out _) && TreeHash.TryParseBase64(text, out var leaf) ? leaf : null;
    }
}

/// <summary>What to say of what a shared store has of an instance's ledger.</summary>
internal static class StoreLedgerFault
{
    private const string WayOn = "put the store's records of it back from a backup; that machine's own ledger still has them: mallku audit log, there";

    private const string Foreign = "put what was removed back from a backup, or remove the record where no machine has told it; somebody who may write there has done it: look who can";

    private const string Tell =
        "let that machine tell it: mallku audit verify --all, there; where it has told it, the entries were removed from the store; where it is gone for good, set again what it changed";

    internal static LedgerFault Unopened(string id) => new(null, null, $"what the store has of the instance {id} does not authenticate: it was altered", WayOn);

    internal static LedgerFault Lost(string id, SeenGenerations seen) => new(
        0, seen.Get(id) - 1, $"the store has nothing any more of the instance {id}, of which this machine has seen {seen.Get(id)} entries there", $"{WayOn}; {seen.WayOn}");

    internal static LedgerFault Shrunk(string id, InstanceHead head, SeenGenerations seen) => new(
        head.Size,
        seen.Get(id) - 1,
        $"the store has {head.Size} entries of {Name(head)}, and this machine has seen {seen.Get(id)} there: an older state was put back",
        $"{WayOn}; {seen.WayOn}");

    internal static LedgerFault Gone(InstanceHead head, long from) =>
        new(from, null, $"the entries of {Name(head)} from {from} on are gone from the store, which was told {head.Size}", WayOn);

    internal static LedgerFault Beyond(InstanceHead head, string record) => new(
        head.Size, null, $"the store was told {head.Size} entries of {Name(head)}, and has the audit record {SecretsException.Show(record)} behind them: somebody has put it there, or has put back what the store knew of it", Foreign);

    internal static LedgerFault Headless(string record) => new(
        null, null, $"the store has the audit record {SecretsException.Show(record)}, and knows no such instance: what the store knew of it was removed, or somebody has put the record there", Foreign);

    internal static LedgerFault NoSecret(RecordOpenException e) => new(null, null, $"nobody can tell who changed a secret last: {e.Problem}", e.Remedy);

    internal static LedgerFault Unknown(SilentInstance silent) => new(
        0, silent.Entries - 1, $"{SecretsException.Show(silent.By)} has changed secrets of the store since {Show(silent.Since)}, and the store has nothing of its ledger (the instance {silent.Id})", Tell);

    internal static LedgerFault Silent(InstanceHead head, SilentInstance silent) => new(
        head.Size,
        silent.Entries - 1,
        $"{Name(head)} has changed secrets of the store since {Show(silent.Since)} and does not tell of it: the store has {head.Size} entries of its ledger, which has {silent.Entries} at least",
        Tell);

    internal static LedgerFault Forked(InstanceHead head, RecordedChange change) => new(
        0,
        change.Entries - 1,
        $"the first {change.Entries} entries that the store has of {Name(head)} are not those that it had when it changed a secret at {Show(change.Time)}",
        "its ledger was put back, or written anew: look who can do that there; or, where they are not signed, whoever has the store's key has written them");

    internal static LedgerFault Altered(InstanceHead head, long entry) => new(entry, null, $"what the store has of {Name(head)} from entry {entry} on was altered", WayOn);

    internal static LedgerFault Other(InstanceHead head, long from, long to) => new(
        from,
        to - 1,
        $"the entries {from} to {to - 1} that the store has of {Name(head)} are not those that it signed",
        "whoever has the store's key has written them: look who that can be; that machine's own ledger has the right ones: mallku audit log, there");

    private static string Show(DateTimeOffset time) => SecretFormat.Format(time);

    private static string Name(InstanceHead head) => SecretsException.Show($"{head.User}@{head.Host}");
}
