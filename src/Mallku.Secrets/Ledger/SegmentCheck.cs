using System.Globalization;

namespace Mallku.Secrets.Ledger;

/// <summary>
/// Follows the tree along the entries, segment by segment, and says which is the first that is not as it was signed. Leaves
/// and whole subtrees are hashed by all cores; nothing is parsed, and nothing allocated per entry.
/// </summary>
internal sealed class SegmentCheck(
    Checkpoint before, IReadOnlyList<KeptCheckpoint> kept, long total, Action<long, long>? progress, CancellationToken cancellationToken) : IDisposable
{
    private const int GroupHeight = 8, GroupLength = 1 << GroupHeight;
    private const int LongestHead = 128;
    private readonly TreeFrontier _frontier = before.Frontier.Copy();
    private readonly TreeHasher _hasher = new();
    private TreeHash _lastLeaf = before.LastLeaf;
    private TreeHash[] _leaves = [];
    private TreeHash[] _groups = [];

    /// <summary>Where in the file that was checked last the signed entries end.</summary>
    internal long Offset { get; private set; }

    /// <summary>The entry before which the file that was checked last ends, where that is too early.</summary>
    internal long? EndsBefore { get; private set; }

    /// <summary>Checks the entries of a file up to the end that a checkpoint signs.</summary>
    internal LedgerFault? Check(SegmentReader lines, string file, Checkpoint end)
    {
        var start = _frontier.Size;
        TreeFrontier? beforeLast = null;
        Offset = 0;
        EndsBefore = null;
        if (FindOther() is { } other)
        {
            return other;
        }

        while (_frontier.Size < end.Size && lines.ReadBlock())
        {
            cancellationToken.ThrowIfCancellationRequested();
            var whole = lines.EndsWithin ? lines.Count - 1 : lines.Count;
            var count = (int)Math.Min(whole, end.Size - _frontier.Size);
            Hash(lines, count, end.Size);
            if (FindBroken(lines, count) is { } broken)
            {
                return new LedgerFaultFinder(file, start, end).Explain(_frontier.Size + broken, broken == 0 ? _lastLeaf : _leaves[broken - 1]);
            }

            if (Grow(count, end, ref beforeLast) is { } differs)
            {
                return differs;
            }

            if (lines.EndsWithin && _frontier.Size < end.Size)
            {
                return LedgerFault.CutOff(file, _frontier.Size, end.Size, isWithin: true);
            }

            Offset = count == 0 ? Offset : lines.GetOffsetBehind(count - 1);
            progress?.Invoke(_frontier.Size, total);
        }

        if (_frontier.Size < end.Size)
        {
            EndsBefore = _frontier.Size;
            return LedgerFault.CutOff(file, _frontier.Size, end.Size, isWithin: false);
        }

        return Compare(file, start, end, beforeLast);
    }

    public void Dispose() => _hasher.Dispose();

    private LedgerFault? Compare(string file, long start, Checkpoint end, TreeFrontier? beforeLast)
    {
        if (_frontier.FindDifference(end.Frontier) is not var (from, to))
        {
            return _lastLeaf == end.LastLeaf ? null : LedgerFault.Altered(file, end.Size - 1);
        }

        beforeLast?.Append(end.LastLeaf);
        return beforeLast?.GetRoot() == end.Root
            ? LedgerFault.Altered(file, end.Size - 1)
            : LedgerFault.Rewritten(file, Math.Max(from, start), to);
    }

    private void Hash(SegmentReader lines, int count, long end)
    {
        if (_leaves.Length < count)
        {
            _leaves = new TreeHash[count];
            _groups = new TreeHash[(count / GroupLength) + 2];
        }

        var first = _frontier.Size;
        var groups = count == 0 ? 0 : (int)(((first + count - 1) >> GroupHeight) - (first >> GroupHeight)) + 1;
        if (groups <= 1)
        {
            HashGroup(lines, count, end, 0, _hasher);
            return;
        }

        Parallel.For(
            0,
            groups,
            static () => new TreeHasher(),
            (group, _, hasher) =>
            {
                HashGroup(lines, count, end, group, hasher);
                return hasher;
            },
            static hasher => hasher.Dispose());
    }

    private void HashGroup(SegmentReader lines, int count, long end, int group, TreeHasher hasher)
    {
        var (from, to) = GetGroup(group, count);
        for (var i = from; i < to; i++)
        {
            _leaves[i] = hasher.HashLeaf(lines.WithLead(i));
        }

        if (IsTakenWhole(from, to, end))
        {
            _groups[group] = hasher.HashSubtree(_leaves.AsSpan(from..to));
        }
    }

    // the lines of the block that are leaves of one subtree
    private (int From, int To) GetGroup(int group, int count)
    {
        var from = (((_frontier.Size >> GroupHeight) + group) << GroupHeight) - _frontier.Size;
        return ((int)Math.Max(0, from), (int)Math.Min(count, from + GroupLength));
    }

    // not where a root is asked for in between, nor before the last entry, whose absence may explain a root
    private bool IsTakenWhole(int from, int to, long end)
    {
        if (to - from < GroupLength || _frontier.Size + to >= end)
        {
            return false;
        }

        foreach (var one in kept)
        {
            if (one.Checkpoint.Size > _frontier.Size + from && one.Checkpoint.Size < _frontier.Size + to)
            {
                return false;
            }
        }

        return true;
    }

    // the first line that does not begin as the entry of its place, behind the one before it, has to
    private int? FindBroken(SegmentReader lines, int count)
    {
        Span<byte> head = stackalloc byte[LongestHead];
        EntryLine.IndexPrefix.CopyTo(head);
        for (var i = 0; i < count; i++)
        {
            var length = EntryLine.IndexPrefix.Length;
            (_frontier.Size + i).TryFormat(head[length..], out var digits, provider: CultureInfo.InvariantCulture);
            length += digits;
            EntryLine.PreviousPrefix.CopyTo(head[length..]);
            length += EntryLine.PreviousPrefix.Length;
            (i == 0 ? _lastLeaf : _leaves[i - 1]).WriteBase64(head[length..]);
            length += TreeHash.Base64Length;
            head[length++] = (byte)'"';
            if (!lines[i].StartsWith(head[..length]))
            {
                return i;
            }
        }

        return null;
    }

    private LedgerFault? Grow(int count, Checkpoint end, ref TreeFrontier? beforeLast)
    {
        // a group is told by the size before the block, which changes with the first one
        var groups = new List<(int From, int To, bool IsWhole)>();
        for (var group = 0; GetGroup(group, count) is var (from, to) && from < to; group++)
        {
            groups.Add((from, to, IsTakenWhole(from, to, end.Size)));
        }

        for (var group = 0; group < groups.Count; group++)
        {
            var (from, to, isWhole) = groups[group];
            if (isWhole)
            {
                _frontier.Append(_groups[group], GroupHeight);
            }

            for (var i = isWhole ? to : from; i < to; i++)
            {
                if (_frontier.Size == end.Size - 1)
                {
                    beforeLast = _frontier.Copy();
                }

                _frontier.Append(_leaves[i]);
                if (FindOther() is { } other)
                {
                    return other;
                }
            }

            if (isWhole && FindOther() is { } differs)
            {
                return differs;
            }
        }

        _lastLeaf = count == 0 ? _lastLeaf : _leaves[count - 1];
        return null;
    }

    // whether a kept checkpoint of just this size has another tree
    private LedgerFault? FindOther()
    {
        foreach (var one in kept)
        {
            if (one.Checkpoint.Size == _frontier.Size && _frontier.FindDifference(one.Checkpoint.Frontier) is var (from, to))
            {
                return LedgerFault.Other(from, to, one);
            }
        }

        return null;
    }
}
