using System.Diagnostics.Metrics;

namespace Mallku.Secrets;

/// <summary>What is counted apart: the name and the version only where a manager was told to.</summary>
internal readonly record struct ReadKey(string Source, string? Name, int? Version);

/// <summary>
/// A manager's part of the values that were handed out in this process. The counts are the ones that lookups keep anyway,
/// and are read when somebody collects. What a manager that is gone had counted stays in the total, which never falls.
/// </summary>
internal sealed class ReadShare
{
    private static readonly Lock Gate = new();
    private static readonly HashSet<WeakReference<ReadShare>> Shares = [];
    private static readonly Dictionary<ReadKey, long> OfThoseGone = [];
    private readonly AccessCounts _counts;
    private readonly bool _isNamed;
    private readonly WeakReference<ReadShare> _weak;

    private ReadShare(AccessCounts counts, bool isNamed)
    {
        _counts = counts;
        _isNamed = isNamed;

        // until the finalizer has run: or a share would be missing from the total between the collector and that
        _weak = new WeakReference<ReadShare>(this, trackResurrection: true);
    }

    ~ReadShare()
    {
        lock (Gate)
        {
            Shares.Remove(_weak);
            AddTo(OfThoseGone);
        }
    }

    internal static ReadShare Add(AccessCounts counts, bool isNamed)
    {
        var share = new ReadShare(counts, isNamed);
        lock (Gate)
        {
            Shares.Add(share._weak);
        }

        return share;
    }

    internal static IEnumerable<Measurement<long>> Measure()
    {
        Dictionary<ReadKey, long> totals;
        lock (Gate)
        {
            totals = new Dictionary<ReadKey, long>(OfThoseGone);
            foreach (var weak in Shares)
            {
                if (weak.TryGetTarget(out var share))
                {
                    share.AddTo(totals);
                }
            }
        }

        return totals.Select(pair => Telemetry.Read(pair.Key, pair.Value));
    }

    private void AddTo(Dictionary<ReadKey, long> totals)
    {
        foreach (var counter in _counts.All)
        {
            var key = _isNamed ? new ReadKey(counter.Source, counter.Name, counter.Version) : new ReadKey(counter.Source, Name: null, Version: null);
            totals[key] = totals.GetValueOrDefault(key) + counter.Count;
        }
    }
}
