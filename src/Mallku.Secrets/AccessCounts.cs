using System.Collections.Concurrent;

namespace Mallku.Secrets;

/// <summary>Counts how often a version of a secret was handed out. Lock-free.</summary>
internal sealed class AccessCounter
{
    private long _count;
    private long _lastTick;

    internal long Count => Interlocked.Read(ref _count);

    internal long LastTick => Volatile.Read(ref _lastTick);

    internal void Add(long now)
    {
        Interlocked.Increment(ref _count);
        // a write per lookup would make the cores fight for the line when nothing new is to say
        if (_lastTick != now)
        {
            Volatile.Write(ref _lastTick, now);
        }
    }
}

/// <summary>The counters of a manager, which outlive what it caches.</summary>
internal sealed class AccessCounts(TimeProvider clock)
{
    private readonly ConcurrentDictionary<(string Name, string Source, int? Version), AccessCounter> _counters = new();

    internal AccessCounter Get(FoundSecret found) =>
        _counters.GetOrAdd((found.Name, found.Source, found.Version), static _ => new AccessCounter());

    internal IReadOnlyList<SecretAccess> ToList()
    {
        var now = clock.GetUtcNow();
        var tick = Environment.TickCount64;
        return
        [
            .. _counters
                .Select(pair => new SecretAccess(
                    pair.Key.Name,
                    pair.Key.Source,
                    pair.Key.Version,
                    pair.Value.Count,
                    now - TimeSpan.FromMilliseconds(tick - pair.Value.LastTick)))
                .OrderBy(access => access.Name, StringComparer.Ordinal)
                .ThenBy(access => access.Version),
        ];
    }
}
