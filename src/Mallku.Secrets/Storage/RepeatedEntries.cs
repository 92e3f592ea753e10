using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Storage;

/// <summary>
/// Tells which of an instance's own records only repeat entries that it has told in others: where one was removed, and the instance tells all
/// behind it anew, those that came after it are still there. For records in the order of their places.
/// </summary>
/// <param name="from">The index of the first entry that is looked at.</param>
internal sealed class RepeatedEntries(long from)
{
    // of what is signed, from the place of the newest record on: no later one begins before it
    private readonly List<TreeHash> _leaves = [];

    // what repeats all that is signed, and goes on
    private readonly List<(StrayRecord Record, Queue<TreeHash> Entries)> _ahead = [];
    private long _from = from;

    /// <summary>Those that were taken over and say more than is signed.</summary>
    internal IEnumerable<StrayRecord> Unconfirmed => _ahead.Select(static one => one.Record);

    /// <summary>Takes a record over that says the same as is signed, as far as that goes.</summary>
    internal bool TryTake(StrayRecord record, List<TreeHash> entries)
    {
        if (record.First is not { } first || first < _from || first >= _from + _leaves.Count)
        {
            return false;
        }

        _leaves.RemoveRange(0, (int)(first - _from));
        _from = first;
        if (entries.Zip(_leaves).Any(static pair => pair.First != pair.Second))
        {
            return false;
        }

        if (entries.Count > _leaves.Count)
        {
            _ahead.Add((record, new Queue<TreeHash>(entries.Skip(_leaves.Count))));
        }

        return true;
    }

    /// <summary>Goes on with entries that are signed.</summary>
    /// <returns>The records that were taken over, and go on otherwise.</returns>
    internal List<StrayRecord> Add(List<TreeHash> entries)
    {
        var others = new List<StrayRecord>();
        foreach (var leaf in entries)
        {
            _leaves.Add(leaf);
            others.AddRange(_ahead.Where(one => one.Entries.Peek() != leaf).Select(static one => one.Record));
            _ahead.RemoveAll(one => one.Entries.Dequeue() != leaf || one.Entries.Count == 0);
        }

        return others;
    }
}
