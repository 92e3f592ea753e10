using System.Text;

namespace Mallku.Secrets.Ledger;

/// <summary>Reads the entries of a ledger, as far as its checkpoint goes.</summary>
internal static class LedgerLog
{
    /// <summary>The entries up to a checkpoint, the oldest first, read as they are asked for.</summary>
    /// <exception cref="LedgerException">A line is no entry, or a segment is gone.</exception>
    /// <inheritdoc cref="ReadLines"/>
    internal static IEnumerable<LedgerEntry> ReadEntries(LedgerFolder folder, Checkpoint newest, Checkpoint? after = null, long first = 0) =>
        ReadLines(folder, newest, after, first).Select(line => EntryLine.Parse(line.Bytes) ?? throw NoEntry(folder, line));

    /// <summary>Their lines.</summary>
    /// <param name="folder">Where they are.</param>
    /// <param name="newest">How far they go.</param>
    /// <param name="after">A checkpoint of before: only what came since is read. Null for all that was not archived.</param>
    /// <param name="first">The index before which none is given.</param>
    /// <exception cref="LedgerException">A segment is gone.</exception>
    /// <exception cref="IOException">A file can't be read.</exception>
    internal static IEnumerable<LedgerLine> ReadLines(LedgerFolder folder, Checkpoint newest, Checkpoint? after, long first)
    {
        var from = Math.Max(first, after?.Size ?? 0);
        var starts = folder.FindSegments(newest);
        for (var i = 0; i < starts.Count; i++)
        {
            var start = starts[i];
            var end = i + 1 < starts.Count ? starts[i + 1] : newest.Size;
            if (end <= Math.Max(from, start))
            {
                continue;
            }

            var goesOn = after is not null && after.SegmentStart == start;
            var isClosed = i + 1 < starts.Count;
            using var lines = SegmentReader.TryOpen(folder.SegmentFile(start), goesOn ? after!.SegmentLength : 0, isClosed ? long.MaxValue : newest.SegmentLength);
            if (lines is null && !isClosed)
            {
                throw Gone(folder, start);
            }

            var index = goesOn ? after!.Size : start;
            // a closed one may have been archived since
            while (index < end && lines is not null && lines.ReadBlock())
            {
                for (var line = 0; line < lines.Count && index < end; line++, index++)
                {
                    if (index >= from)
                    {
                        yield return new LedgerLine(start, index, lines[line].ToArray());
                    }
                }
            }

            if (lines is not null && index < end)
            {
                throw Short(folder, start, index);
            }
        }
    }

    /// <summary>The hash of every entry that is there, in their order, and the bytes of one of them.</summary>
    /// <exception cref="LedgerException">A segment is gone.</exception>
    /// <exception cref="IOException">A file can't be read.</exception>
    internal static (IReadOnlyList<TreeHash> Leaves, byte[]? Line) ReadLeaves(LedgerFolder folder, Checkpoint newest, long wanted)
    {
        var starts = folder.FindSegments(newest);
        var leaves = new List<TreeHash>(checked((int)(newest.Size - starts[0])));
        byte[]? found = null;
        using var hasher = new TreeHasher();
        for (var i = 0; i < starts.Count; i++)
        {
            var end = i + 1 < starts.Count ? starts[i + 1] : newest.Size;
            if (end == starts[i])
            {
                continue;
            }

            using var lines = SegmentReader.TryOpen(folder.SegmentFile(starts[i]), to: i + 1 < starts.Count ? long.MaxValue : newest.SegmentLength)
                ?? throw Gone(folder, starts[i]);
            for (var index = starts[i]; index < end && lines.ReadBlock();)
            {
                for (var line = 0; line < lines.Count && index < end; line++, index++)
                {
                    found = index == wanted ? lines[line].ToArray() : found;
                    leaves.Add(hasher.HashLeaf(lines.WithLead(line)));
                }
            }
        }

        return (leaves, found);
    }

    /// <summary>The newest entry; null where it is not there, because its segment was archived, or is no entry.</summary>
    /// <exception cref="IOException">A file can't be read.</exception>
    internal static LedgerEntry? ReadLast(LedgerFolder folder, Checkpoint newest)
    {
        var isClosed = newest.SegmentLength == 0;
        var start = isClosed ? folder.FindSegments().LastOrDefault(start => start < newest.Size, -1) : newest.SegmentStart;
        if (start < 0)
        {
            return null;
        }

        var file = folder.SegmentFile(start);
        var length = isClosed ? new FileInfo(file).Length : newest.SegmentLength;
        using var lines = SegmentReader.TryOpen(file, Math.Max(0, length - EntryLine.MaxLength), length);
        LedgerEntry? last = null;
        while (lines is not null && lines.ReadBlock())
        {
            last = EntryLine.Parse(lines[lines.Count - 1]);
        }

        return last?.Index == newest.Size - 1 ? last : null;
    }

    /// <summary>Whether the newest entry is of that kind; false where there is none. A glance that checks no signature.</summary>
    internal static bool EndsWith(LedgerFolder folder, LedgerKind kind)
    {
        try
        {
            return Glance(folder) is { } newest && ReadLast(folder, newest)?.Kind == kind;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or SecretsException)
        {
            return false;
        }
    }

    /// <summary>
    /// Whether there is a ledger that was used after its beginning: entries of one batch have one time, so that one which
    /// was cut off with the vault's first write has no other. A glance that checks no signature.
    /// </summary>
    /// <exception cref="LedgerException">It can't be read.</exception>
    internal static bool IsInUse(LedgerFolder folder)
    {
        if (!folder.Exists || Glance(folder) is not { } newest)
        {
            return false;
        }

        try
        {
            DateTimeOffset? first = null;
            foreach (var entry in ReadEntries(folder, newest))
            {
                first ??= entry.Time;
                if (entry.Time != first)
                {
                    return true;
                }
            }

            return false;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw LedgerErrors.CannotRead(folder, e);
        }
    }

    /// <summary>The newest checkpoint, whoever signed it; null where there is none.</summary>
    internal static Checkpoint? Glance(LedgerFolder folder) =>
        folder.ReadNewest() is { } note ? Checkpoint.ParseUnverified(Encoding.UTF8.GetString(note)) : null;

    private static LedgerException Gone(LedgerFolder folder, long start) => new($"'{folder.SegmentFile(start)}' is gone", LedgerException.WayOn);

    private static LedgerException Short(LedgerFolder folder, long start, long index) =>
        new($"'{folder.SegmentFile(start)}' ends before entry {index}, which is in no other file", LedgerException.WayOn);

    private static LedgerException NoEntry(LedgerFolder folder, LedgerLine line) =>
        new($"entry {line.Index} in '{folder.SegmentFile(line.Segment)}' can't be read", LedgerException.WayOn);
}
