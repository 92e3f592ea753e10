using System.Text;

namespace Mallku.Secrets.Ledger;

/// <summary>
/// Checks a whole ledger by its files and the public key alone: that each checkpoint is signed, and that the entries are
/// those of the signed tree. Changes nothing and takes no lock: entries that are added meanwhile are not looked at.
/// </summary>
internal sealed class LedgerVerifier(LedgerFolder folder, NoteVerifier verifier)
{
    // a writer that is at work leaves bytes behind the checkpoint for a moment
    private static readonly TimeSpan SecondLook = TimeSpan.FromMilliseconds(250);
    private readonly List<LedgerTail> _tails = [];

    /// <summary>Looks over the ledger, which must go on from what somebody hands over, too.</summary>
    /// <inheritdoc cref="VerifyAsync(IReadOnlyList{KeptCheckpoint}, Action{long, long}?, CancellationToken)"/>
    internal async ValueTask<LedgerVerification> VerifyAsync(
        IReadOnlyList<KeptNote> notes, IReadOnlyList<KeptCheckpoint> kept, Action<long, long>? progress, CancellationToken cancellationToken)
    {
        var all = new List<KeptCheckpoint>();
        foreach (var note in notes)
        {
            if (LedgerFolder.OpenCheckpoint(Encoding.UTF8.GetBytes(note.Note), verifier) is not { } checkpoint)
            {
                return Fail(null, 0, LedgerFault.NoneOfThis(note, verifier));
            }

            all.Add(new KeptCheckpoint(checkpoint, note.Where, IsDemanded: true));
        }

        return await VerifyAsync([.. all, .. kept], progress, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Looks over the ledger.</summary>
    /// <param name="kept">Checkpoints that somebody kept, which the ledger must go on from.</param>
    /// <param name="progress">Told now and then how many entries are done, and of how many.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="IOException">A file can't be read.</exception>
    internal async ValueTask<LedgerVerification> VerifyAsync(
        IReadOnlyList<KeptCheckpoint> kept, Action<long, long>? progress, CancellationToken cancellationToken)
    {
        var note = LedgerFolder.ReadNote(folder.CheckpointFile);
        if (note is null)
        {
            return Fail(null, 0, LedgerFault.NoCheckpoint(folder, verifier));
        }

        if (LedgerFolder.OpenCheckpoint(note, verifier) is not { } newest)
        {
            return Fail(null, 0, LedgerFault.NotSigned(folder, verifier));
        }

        var (first, fault) = CheckSegments(newest, kept, progress, cancellationToken);
        fault ??= kept.Where(one => one.Checkpoint.Size > newest.Size).Select(one => LedgerFault.Older(newest.Size, one)).FirstOrDefault();
        var unreached = kept.Where(one => one.Checkpoint.Size > 0 && one.Checkpoint.Size < first).ToList();
        fault ??= unreached.Where(one => one.IsDemanded).Select(one => LedgerFault.Archived(first, one)).FirstOrDefault();
        if (fault is not null)
        {
            return Fail(newest, first, fault);
        }

        await FindOpenTailAsync(newest, note, cancellationToken).ConfigureAwait(false);
        return new LedgerVerification(newest, first, fault: null, _tails, unreached) { Kept = kept };
    }

    private LedgerVerification Fail(Checkpoint? newest, long first, LedgerFault fault) => new(newest, first, fault, _tails, []);

    private (long First, LedgerFault? Fault) CheckSegments(
        Checkpoint newest, IReadOnlyList<KeptCheckpoint> kept, Action<long, long>? progress, CancellationToken cancellationToken)
    {
        var starts = folder.FindSegments(newest);
        var before = Checkpoint.Begin(verifier.Name, generation: 0);
        if (starts[0] > 0)
        {
            if (folder.ReadBoundary(starts[0], verifier) is not { } boundary)
            {
                return (starts[0], LedgerFault.NoBoundary(folder.BoundaryFile(starts[0]), starts[0]));
            }

            before = boundary;
        }

        using var check = new SegmentCheck(before, kept, newest.Size, progress, cancellationToken);
        for (var i = 0; i < starts.Count; i++)
        {
            if (CheckSegment(check, newest, starts[i], i + 1 < starts.Count ? starts[i + 1] : null) is { } fault)
            {
                return (starts[0], fault);
            }
        }

        return (starts[0], null);
    }

    private LedgerFault? CheckSegment(SegmentCheck check, Checkpoint newest, long start, long? next)
    {
        var end = next is { } boundary ? folder.ReadBoundary(boundary, verifier) : newest;
        var file = folder.SegmentFile(start);
        using var lines = SegmentReader.TryOpen(file);
        var size = next ?? newest.Size;
        if (lines is null)
        {
            return size > start ? LedgerFault.Gone(file, start, size) : null;
        }

        if (end is null)
        {
            return LedgerFault.NoBoundary(folder.BoundaryFile(size), size);
        }

        var fault = check.Check(lines, file, end);
        if (next is not null && check.EndsBefore is { } gone && gone > start)
        {
            // the file behind it is gone, and the checkpoint between the two may be
            return folder.ReadBoundary(gone, verifier) is not null ? LedgerFault.Gone(folder.SegmentFile(gone), gone, size) : LedgerFault.CutOffOrGone(file, gone, size);
        }

        if (fault is null && next is not null && lines.Size > check.Offset)
        {
            _tails.Add(new LedgerTail(file, lines.Size - check.Offset));
        }

        return fault;
    }

    private async ValueTask FindOpenTailAsync(Checkpoint newest, byte[] note, CancellationToken cancellationToken)
    {
        var file = folder.SegmentFile(newest.SegmentStart);
        var start = TimeProvider.System.GetTimestamp();
        long excess;
        while ((excess = (File.Exists(file) ? new FileInfo(file).Length : 0) - newest.SegmentLength) > 0)
        {
            if (!note.AsSpan().SequenceEqual(LedgerFolder.ReadNote(folder.CheckpointFile)))
            {
                // somebody goes on with the ledger
                return;
            }

            if (TimeProvider.System.GetElapsedTime(start) > SecondLook)
            {
                _tails.Add(new LedgerTail(file, excess));
                return;
            }

            await Task.Delay(10, cancellationToken).ConfigureAwait(false);
        }
    }
}
