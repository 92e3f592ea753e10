using System.Runtime.CompilerServices;
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
    private int _compared;
    private LedgerFault? _forked;

    /// <summary>Told of each entry that the instance has signed and that is the store's business.</summary>
    internal required Action<LedgerEntry> Told { get; init; }

    /// <summary>How many entries are there that the instance has signed.</summary>
    internal long Signed { get; private set; }

    /// <summary>How many are there in its name that it has not signed.</summary>
    internal long NotSigned { get; private set; }

    /// <summary>Reads all of it.</summary>
    /// <param name="records">The medium.</param>
    /// <param name="seen">How many entries this machine had seen there before the head was read.</param>
    /// <param name="forget">What to do where these are gone for good.</param>
    /// <param name="progress">Told how many entries are done.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <returns>The first thing that is wrong; null where nothing is.</returns>
    internal async ValueTask<LedgerFault?> RunAsync(IRecordStore records, long seen, string forget, Action<long> progress, CancellationToken cancellationToken)
    {
        if (head.Size < seen)
        {
            return StoreLedgerFault.Shrunk(head, seen, forget);
        }

        if (audit.VerifierOf(id, head) is not { } verifier)
        {
            return StoreLedgerFault.Unopened(id);
        }

        var trail = new InstanceTrail(audit, id, verifier);
        await foreach (var lines in trail.ReadAsync(records, cancellationToken).ConfigureAwait(false))
        {
            Compare(lines);
            foreach (var line in lines)
            {
                if (AuditLines.Read(line.Span) is { } entry)
                {
                    Told(entry);
                }
            }

            progress(trail.Signed.Size);
        }

        (Signed, NotSigned) = (trail.Signed.Size, trail.NotSigned);
        return trail.FindFault(head, seen) ?? _forked ?? await FindBehindAsync(records, cancellationToken).ConfigureAwait(false);
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

    // what it has told since the head was read is for the next look: the head was written with it
    private async ValueTask<LedgerFault?> FindBehindAsync(IRecordStore records, CancellationToken cancellationToken)
    {
        try
        {
            return Signed <= head.Size || (await records.ReadAsync(AuditRecords.KeyOf(id), cancellationToken).ConfigureAwait(false) is { } found && audit.OpenHead(found).Size >= Signed)
                ? null
                : StoreLedgerFault.Behind(head, Signed);
        }
        catch (RecordOpenException)
        {
            return StoreLedgerFault.Unopened(id);
        }
    }

    private void Compare(IReadOnlyList<ReadOnlyMemory<byte>> lines)
    {
        for (var i = 0; i < lines.Count && _compared < changes.Count; i++)
        {
            _frontier.Append(AuditLines.HashOf(lines[i].Span)!.Value);
            for (; _compared < changes.Count && changes[_compared].Entries == _frontier.Size; _compared++)
            {
                if (changes[_compared].Root != _frontier.GetRoot().ToString())
                {
                    _forked ??= StoreLedgerFault.Forked(head, changes[_compared]);
                }
            }
        }
    }
}
