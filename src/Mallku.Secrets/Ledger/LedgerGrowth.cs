namespace Mallku.Secrets.Ledger;

/// <summary>Whether a ledger goes on from a checkpoint that somebody knows.</summary>
internal static class LedgerGrowth
{
    /// <summary>
    /// By the entries between the two: the one's right edge and their hashes make the other's root. Null where these are not
    /// all there, so that it can't be told.
    /// </summary>
    /// <param name="folder">The ledger.</param>
    /// <param name="known">What somebody knows of it, which has no more entries.</param>
    /// <param name="newest">Its newest checkpoint.</param>
    /// <param name="between">A tree of a size between the two that must be on the way.</param>
    /// <exception cref="IOException">A file can't be read.</exception>
    internal static bool? GoesOn(LedgerFolder folder, Checkpoint known, Checkpoint newest, TreeFrontier? between = null)
    {
        var frontier = known.Frontier.Copy();
        var isOnTheWay = between is null || IsSame(frontier, between);
        var starts = folder.FindSegments(newest);
        using var hasher = new TreeHasher();
        for (var i = 0; i < starts.Count; i++)
        {
            var end = i + 1 < starts.Count ? starts[i + 1] : newest.Size;
            if (end <= frontier.Size)
            {
                continue;
            }

            var isSame = starts[i] == known.SegmentStart;
            using var lines = isSame || starts[i] == frontier.Size
                ? SegmentReader.TryOpen(folder.SegmentFile(starts[i]), isSame ? known.SegmentLength : 0, i + 1 < starts.Count ? long.MaxValue : newest.SegmentLength)
                : null;
            if (lines is null)
            {
                return null;
            }

            while (frontier.Size < end && lines.ReadBlock())
            {
                for (var line = 0; line < lines.Count && frontier.Size < end; line++)
                {
                    frontier.Append(hasher.HashLeaf(lines.WithLead(line)));
                    isOnTheWay |= between is not null && IsSame(frontier, between);
                }
            }

            if (frontier.Size < end)
            {
                return false;
            }
        }

        return isOnTheWay && frontier.Size == newest.Size && frontier.GetRoot() == newest.Root;
    }

    private static bool IsSame(TreeFrontier one, TreeFrontier other) => one.Size == other.Size && one.GetRoot() == other.GetRoot();
}
