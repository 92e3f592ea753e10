using System.Runtime.CompilerServices;
using System.Text;
using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Storage;

/// <summary>
/// Follows what a shared store has of one instance's ledger. Whoever has the store's key can put records there; only what
/// the instance's key has signed is the instance's. For one run.
/// </summary>
/// <param name="audit">What opens it.</param>
/// <param name="id">Whose it is.</param>
/// <param name="verifier">The key of its ledger.</param>
/// <param name="from">From where it is followed, which the key has signed; null for the beginning.</param>
internal sealed class InstanceTrail(AuditRecords audit, string id, NoteVerifier verifier, TreeFrontier? from = null)
{
    // follow one another from what is signed on; older programs signed only the last of several
    private readonly List<(string Record, List<ReadOnlyMemory<byte>> Lines, List<TreeHash> Leaves)> _waiting = [];
    private readonly RepeatedEntries _repeated = new(from?.Size ?? 0);
    private TreeFrontier _waited = from?.Copy() ?? new();
    private TreeHash? _lastLeaf;

    /// <summary>What is there and the instance has not signed, in the order of its places.</summary>
    internal List<StrayRecord> Strays { get; } = [];

    /// <summary>The tree of what it has signed.</summary>
    internal TreeFrontier Signed { get; private set; } = from?.Copy() ?? new();

    /// <summary>The newest checkpoint on the way, and the note that it was read from.</summary>
    internal (Checkpoint Checkpoint, string Note)? Newest { get; private set; }

    /// <summary>The tree with what follows and is not signed: an older program was cut off while it told it, or somebody else has put it there. The same as <see cref="Signed"/> where nothing does.</summary>
    internal TreeFrontier Unsigned => _waited;

    /// <summary>Whether another key of this ledger has signed its first entries. Nothing is then read: the place of these can be taken once, by the instance, and whoever has the store's key can write any key into what the store knows of it.</summary>
    internal bool IsOfAnotherKey { get; private set; }

    /// <summary>How many entries there are that it has not signed.</summary>
    internal long NotSigned => Strays.Sum(static stray => (long)stray.Entries) + _waiting.Sum(static one => (long)one.Lines.Count);

    /// <summary>The lines of the batches that it has signed, batch by batch.</summary>
    /// <exception cref="SecretsException">The store does not answer.</exception>
    internal async IAsyncEnumerable<IReadOnlyList<ReadOnlyMemory<byte>>> ReadAsync(IRecordStore records, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var (first, before) = AuditRecords.BatchesOf(id);
        first = Signed.Size == 0 ? first : AuditRecords.KeyOf(id, Signed.Size).Id;
        await foreach (var found in records.ListAsync(RecordKind.Audit, first, before, cancellationToken).ConfigureAwait(false))
        {
            foreach (var lines in Take(found))
            {
                yield return lines;
            }

            if (IsOfAnotherKey)
            {
                yield break;
            }
        }

        Strays.AddRange(_repeated.Unconfirmed);
    }

    /// <summary>What is wrong with it; null where nothing is.</summary>
    /// <param name="head">What the store knows of the instance.</param>
    /// <param name="seen">How many entries this machine has seen there.</param>
    internal LedgerFault? FindFault(InstanceHead head, long seen)
    {
        if (IsOfAnotherKey)
        {
            return StoreLedgerFault.OtherKey(id);
        }

        var told = Math.Max(seen, head.Checkpoint is { } note ? SignedTree.Open(note, verifier)?.Size ?? 0 : 0);
        if (Signed.Size >= told && (Strays.Count + _waiting.Count > 0 || Signed.Size >= head.Size))
        {
            return Strays.Count > 0 ? StoreLedgerFault.Stray(head, Signed.Size, Strays)
                : _waiting.Count > 0 ? StoreLedgerFault.Unsigned(head, Signed.Size, Unsigned.Size, _waiting[0].Record)
                : null;
        }

        return Strays.Find(stray => stray.First == Signed.Size) switch
        {
            { IsFork: true } fork => StoreLedgerFault.ForkTold(head, Signed.Size, fork.Record),
            { Entries: > 0 } other => StoreLedgerFault.Other(head, Signed.Size, Signed.Size + other.Entries),
            { } => StoreLedgerFault.Altered(head, Signed.Size),
            null when _waiting.Count > 0 => StoreLedgerFault.Other(head, Signed.Size, Unsigned.Size),
            null => StoreLedgerFault.Gone(head, Signed.Size, Math.Max(told, head.Size)),
        };
    }

    private IEnumerable<IReadOnlyList<ReadOnlyMemory<byte>>> Take(StoredRecord found)
    {
        var first = AuditRecords.FirstOf(id, found.Key);
        var batch = Open(found);
        var lines = batch is null ? [] : AuditLines.Split(batch.Lines).ToList();
        var before = first == Signed.Size ? Signed : first == _waited.Size ? _waited : null;
        var leaves = AuditLines.HashAll(lines);
        if (before is null || leaves is null)
        {
            var stray = new StrayRecord(found.Key.Id, first, lines.Count);
            var isOfThis = before is null && batch?.Checkpoint is { } its && SignedTree.Open(its, verifier)?.Size == first + lines.Count;
            if (!isOfThis || leaves is null || !_repeated.TryTake(stray, leaves))
            {
                Strays.Add(stray);
            }

            yield break;
        }

        var tree = before.Copy();
        leaves.ForEach(tree.Append);

        // what signs nothing is the instance's only where a signed one goes on from it, and only in a place that none but one can take
        if (batch!.Checkpoint is null && before.Size == _waited.Size && found.Key == AuditRecords.KeyOf(id, before.Size))
        {
            _waiting.Add((found.Key.Id, lines, leaves));
            _waited = tree;
            yield break;
        }

        if (batch.Checkpoint is not { } note || SignedTree.Open(note, verifier) is not { } signed || signed != new SignedTree(tree.Size, tree.GetRoot()))
        {
            IsOfAnotherKey = found.Key == AuditRecords.KeyOf(id, 0) && batch.Checkpoint is { } other && other.StartsWith(verifier.Name + "\n", StringComparison.Ordinal) && SignedTree.Open(other, verifier) is null;
            Strays.Add(new StrayRecord(found.Key.Id, first, lines.Count, IsFork(before, batch.Checkpoint, lines, leaves)));
            yield break;
        }

        foreach (var waited in Settle(isConfirmed: before.Size == _waited.Size))
        {
            Strays.AddRange(_repeated.Add(waited.Leaves));
            yield return waited.Lines;
        }

        Strays.AddRange(_repeated.Add(leaves));
        (Signed, _waited, _lastLeaf) = (tree, tree, leaves[^1]);
        Newest = LedgerFolder.OpenCheckpoint(Encoding.UTF8.GetBytes(note), verifier) is { } checkpoint ? (checkpoint, note) : Newest;
        yield return lines;
    }

    private List<(string Record, List<ReadOnlyMemory<byte>> Lines, List<TreeHash> Leaves)> Settle(bool isConfirmed)
    {
        List<(string Record, List<ReadOnlyMemory<byte>> Lines, List<TreeHash> Leaves)> confirmed = isConfirmed ? [.. _waiting] : [];
        if (!isConfirmed)
        {
            Strays.AddRange(_waiting.Select(one => new StrayRecord(one.Record, Signed.Size, one.Lines.Count)));
        }

        _waiting.Clear();
        return confirmed;
    }

    // null where it is of somebody who has not even the store's key, or of a program that nobody knows
    private AuditBatch? Open(StoredRecord found)
    {
        try
        {
            return audit.OpenBatch(id, found) is { Lines: [.., (byte)'\n'] } batch ? batch : null;
        }
        catch (SecretsException)
        {
            return null;
        }
    }

    // the instance has signed each of these entries, as the last one tells by the hashes of those before it, and the first one follows another than the store has
    private bool IsFork(TreeFrontier before, string? note, List<ReadOnlyMemory<byte>> lines, List<TreeHash> leaves)
    {
        if (note is null || before.Size != Signed.Size || _lastLeaf is not { } told
            || LedgerFolder.OpenCheckpoint(Encoding.UTF8.GetBytes(note), verifier) is not { } signed
            || signed.Size != before.Size + lines.Count || signed.LastLeaf != leaves[^1])
        {
            return false;
        }

        for (var i = lines.Count - 1; i >= 0; i--)
        {
            if (lines[i].Span is [AuditRecords.HashMark, ..] || LedgerFaultFinder.ReadHead(lines[i].Span) is not var (index, previous) || index != before.Size + i)
            {
                return false;
            }

            if (i == 0)
            {
                return previous != told;
            }

            if (leaves[i - 1] != previous)
            {
                return false;
            }
        }

        return false;
    }
}

/// <summary>A record among those of an instance's ledger that is none of its.</summary>
/// <param name="Record">Its id.</param>
/// <param name="First">The index of the first entry, as the id has it; null where it has none.</param>
/// <param name="Entries">How many entries it has; 0 where it does not open.</param>
/// <param name="IsFork">Whether the instance has signed these entries, behind others than it had told before.</param>
internal sealed record StrayRecord(string Record, long? First, int Entries, bool IsFork = false);
