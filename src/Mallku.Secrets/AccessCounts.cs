using System.Collections.Concurrent;

namespace Mallku.Secrets;

/// <summary>
/// Counts how often a version of a secret was handed out, and how many of these the ledger has been told. Lock-free: a
/// lookup that is in memory adds one, and only the first since the last report wakes the reporter.
/// </summary>
internal sealed class AccessCounter(AccessCounts counts, string name, string source, int? version)
{
    private const long Never = -1;
    private long _count;
    private long _lastTick;
    private long _reported;
    private long _wakeAt = Never;
    private int _isAwake;

    internal string Name => name;

    internal string Source => source;

    internal int? Version => version;

    internal long Count => Interlocked.Read(ref _count);

    internal long LastTick => Volatile.Read(ref _lastTick);

    /// <summary>Whether the first use is in the ledger, so that further ones need not wait for it.</summary>
    internal bool IsRecorded => Volatile.Read(ref _wakeAt) != Never;

    internal void Add(long now)
    {
        if (Interlocked.Increment(ref _count) == Volatile.Read(ref _wakeAt))
        {
            Wake();
        }

        // a write per lookup would make the cores fight for the line when nothing new is to say
        if (_lastTick != now)
        {
            Volatile.Write(ref _lastTick, now);
        }
    }

    /// <summary>Adds one that the ledger has already.</summary>
    internal void AddRecorded(long now)
    {
        Interlocked.Increment(ref _reported);
        Interlocked.Increment(ref _count);
        Volatile.Write(ref _lastTick, now);
        Arm();
    }

    /// <summary>
    /// How many the ledger has not been told; from now on it has. A doubt stays: only a use that the ledger has ends it.
    /// </summary>
    internal long TakeUnreported()
    {
        Volatile.Write(ref _isAwake, 0);
        var armed = Volatile.Read(ref _wakeAt);
        // a use that the ledger has already may be counted there and not here yet
        var fresh = Math.Max(0, Count - Interlocked.Read(ref _reported));
        var reported = Interlocked.Add(ref _reported, fresh);
        if (armed != Never && Interlocked.CompareExchange(ref _wakeAt, reported + 1, armed) == armed)
        {
            WakeIfBehind(reported);
        }

        return fresh;
    }

    /// <summary>Makes the next use wait for the ledger: whether it was told is open.</summary>
    internal void Doubt() => Volatile.Write(ref _wakeAt, Never);

    /// <summary>Takes back that the ledger was told: it could not be. The next use waits until it is.</summary>
    internal void PutBack(long unreported)
    {
        Doubt();
        Interlocked.Add(ref _reported, -unreported);
    }

    private void Arm()
    {
        var reported = Interlocked.Read(ref _reported);
        Interlocked.Exchange(ref _wakeAt, reported + 1);
        WakeIfBehind(reported);
    }

    // what was added while nobody was to be woken is seen here
    private void WakeIfBehind(long reported)
    {
        if (Count > reported)
        {
            Wake();
        }
    }

    private void Wake()
    {
        if (Interlocked.Exchange(ref _isAwake, 1) == 0)
        {
            counts.Wake(this);
        }
    }
}

/// <summary>The counters of a manager, which outlive what it caches.</summary>
internal sealed class AccessCounts
{
    private readonly ConcurrentDictionary<(string Name, string Source, int? Version), AccessCounter> _counters = new();
    private readonly TimeProvider _clock;

    // lives as long as somebody can count
    private readonly ReadShare? _share;

    internal AccessCounts(TimeProvider clock, bool isNamed)
    {
        _clock = clock;
        _share = Telemetry.Observe(this, isNamed);
    }

    /// <summary>Those that counted something: an explanation makes one, too.</summary>
    internal IEnumerable<AccessCounter> All => _counters.Select(static pair => pair.Value).Where(static counter => counter.Count > 0);

    /// <summary>Told of a counter that has something to report. Called once until that is taken.</summary>
    internal Action<AccessCounter> Wake { get; set; } = static _ => { };

    internal AccessCounter Get(FoundSecret found) => _counters.GetOrAdd(
        (found.Name, found.Source, found.Version), static (key, counts) => new AccessCounter(counts, key.Name, key.Source, key.Version), this);

    internal IReadOnlyList<SecretAccess> ToList()
    {
        var now = _clock.GetUtcNow();
        var tick = Environment.TickCount64;
        return
        [
            .. _counters
                .Where(pair => pair.Value.Count > 0)
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
