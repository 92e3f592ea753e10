namespace Mallku.Secrets.Ledger;

/// <summary>What the ledger says of the use of one secret.</summary>
internal sealed class SecretUse(string name)
{
    private readonly Dictionary<DateOnly, long> _days = [];
    private readonly SortedSet<string> _actors = new(StringComparer.Ordinal);

    internal string Name { get; } = name;

    /// <summary>Where the value came from the last time.</summary>
    internal string? Source { get; private set; }

    internal long Count { get; private set; }

    internal DateTimeOffset? First { get; private set; }

    internal DateTimeOffset? Last { get; private set; }

    /// <summary>Who used it: the voice or service where one is known, else the user, the host and the program.</summary>
    internal IReadOnlyCollection<string> Actors => _actors;

    internal void Add(LedgerEntry entry)
    {
        Source = entry.Source ?? Source;
        Count += entry.Count;
        First = First is null || entry.Time < First ? entry.Time : First;
        Last = Last is null || entry.Time > Last ? entry.Time : Last;
        _actors.Add(entry.Actor.Voice ?? $"{entry.Actor.User}@{entry.Actor.Host} {entry.Actor.Process}");
        var day = DateOnly.FromDateTime(entry.Time.UtcDateTime);
        _days[day] = _days.GetValueOrDefault(day) + entry.Count;
    }

    /// <summary>How often it was used on each of the last days, of which today, in UTC, is the last.</summary>
    internal IReadOnlyList<long> GetDays(DateTimeOffset now, int days)
    {
        var today = DateOnly.FromDateTime(now.UtcDateTime);
        return [.. Enumerable.Range(0, days).Select(i => _days.GetValueOrDefault(today.AddDays(i + 1 - days)))];
    }
}

/// <summary>The use of every secret, from the ledger's entries.</summary>
internal static class AccessReport
{
    /// <summary>Whether an entry says that a value was handed out.</summary>
    internal static bool IsUse(LedgerEntry entry) => entry.Kind is LedgerKind.Read or LedgerKind.Exported && entry.Secret is not null;

    /// <summary>Counts the entries up, by the secrets' names; those that are named and were never used are in it too.</summary>
    internal static IReadOnlyCollection<SecretUse> Make(IEnumerable<LedgerEntry> entries, IEnumerable<string> names)
    {
        var uses = new SortedDictionary<string, SecretUse>(StringComparer.Ordinal);
        foreach (var name in names)
        {
            uses.TryAdd(name, new SecretUse(name));
        }

        foreach (var entry in entries.Where(IsUse))
        {
            if (!uses.TryGetValue(entry.Secret!, out var use))
            {
                uses.Add(entry.Secret!, use = new SecretUse(entry.Secret!));
            }

            use.Add(entry);
        }

        return uses.Values;
    }
}
