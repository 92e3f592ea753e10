namespace Mallku.Secrets.Ledger;

/// <summary>What the ledger says of the use of one secret. Never changed once it is returned.</summary>
public sealed class SecretUse
{
    private readonly Dictionary<DateOnly, long> _days = [];
    private readonly SortedSet<string> _actors = new(StringComparer.Ordinal);

    internal SecretUse(string name, int? version, DateTimeOffset? created)
    {
        Name = name;
        Version = version;
        Created = created;
    }

    /// <summary>The secret.</summary>
    public string Name { get; }

    /// <summary>Its current version; null where the vault does not have it.</summary>
    public int? Version { get; }

    /// <summary>When that version was made.</summary>
    public DateTimeOffset? Created { get; }

    /// <summary>Where the value came from the last time; null where it was never used.</summary>
    public string? Source { get; private set; }

    /// <summary>How often its values were handed out; 0 where it was never used.</summary>
    public long Count { get; private set; }

    /// <summary>When first, in UTC.</summary>
    public DateTimeOffset? First { get; private set; }

    /// <summary>When last, in UTC.</summary>
    public DateTimeOffset? Last { get; private set; }

    /// <summary>Who used it: the voice or service where one is known, else the user, the host and the program.</summary>
    public IReadOnlyCollection<string> Actors => _actors;

    /// <summary>How often it was used on each of the last days, of which today, in UTC, is the last.</summary>
    /// <param name="now">The moment that is today.</param>
    /// <param name="days">How many days, from 1 up.</param>
    /// <exception cref="ArgumentOutOfRangeException">There are no such days.</exception>
    public IReadOnlyList<long> GetDays(DateTimeOffset now, int days)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(days);
        var today = DateOnly.FromDateTime(now.UtcDateTime);
        return [.. Enumerable.Range(0, days).Select(i => _days.GetValueOrDefault(today.AddDays(i + 1 - days)))];
    }

    internal void Add(LedgerEntry entry)
    {
        Source = entry.Source ?? Source;
        Count = LedgerEntry.Sum(Count, entry.Count);
        First = First is null || entry.Time < First ? entry.Time : First;
        Last = Last is null || entry.Time > Last ? entry.Time : Last;
        _actors.Add(entry.Actor.Voice ?? $"{entry.Actor.User}@{entry.Actor.Host} {entry.Actor.Process}");
        var day = DateOnly.FromDateTime(entry.Time.UtcDateTime);
        _days[day] = LedgerEntry.Sum(_days.GetValueOrDefault(day), entry.Count);
    }
}

/// <summary>The use of every secret, from the ledger's entries.</summary>
internal static class AccessReport
{
    /// <summary>Whether an entry says that a value was handed out.</summary>
    internal static bool IsUse(LedgerEntry entry) => entry.Kind is LedgerKind.Read or LedgerKind.Exported && entry.Secret is not null;

    /// <summary>Counts the entries up, by the secrets' names; those that are known and were never used are in it too.</summary>
    internal static IReadOnlyList<SecretUse> Make(IEnumerable<LedgerEntry> entries, IEnumerable<SecretFacts> known)
    {
        var uses = new SortedDictionary<string, SecretUse>(StringComparer.Ordinal);
        foreach (var facts in known)
        {
            uses.TryAdd(facts.Name, new SecretUse(facts.Name, facts.Version, facts.Created));
        }

        foreach (var entry in entries.Where(IsUse))
        {
            if (!uses.TryGetValue(entry.Secret!, out var use))
            {
                uses.Add(entry.Secret!, use = new SecretUse(entry.Secret!, version: null, created: null));
            }

            use.Add(entry);
        }

        return [.. uses.Values];
    }
}
