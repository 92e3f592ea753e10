namespace Mallku.Secrets.Ledger;

/// <summary>A use that does not fit the pattern of before. Immutable.</summary>
/// <param name="Entry">The use.</param>
/// <param name="Rule">Which rule found it: <c>new-actor</c>, <c>burst</c>, <c>new-hour</c>, <c>old-version</c>, <c>silence</c>.</param>
/// <param name="Reason">Why, in words.</param>
public sealed record UnusualUse(LedgerEntry Entry, string Rule, string Reason);

/// <summary>
/// Goes through a ledger, the oldest entry first, and names the uses that do not fit what came before. Each rule is as
/// simple as its sentence in docs/guide/command.md. A secret's first days teach, and nothing in them is unusual.
/// </summary>
internal sealed class UnusualUses
{
    private readonly Dictionary<string, UsePattern> _patterns = new(StringComparer.Ordinal);
    private long _newest;

    /// <summary>Takes the next entry in, and says what is unusual about it.</summary>
    internal IReadOnlyList<UnusualUse> Add(LedgerEntry entry)
    {
        var newest = _newest;
        _newest = Math.Max(newest, entry.Generation ?? 0);
        switch (entry.Kind)
        {
            case LedgerKind.Read or LedgerKind.Exported when entry.Secret is not null:
                return Find(entry.Secret).Use(entry);
            case LedgerKind.Created or LedgerKind.Updated or LedgerKind.Rotated or LedgerKind.RolledBack when entry is { Secret: not null, Version: not null }:
                Find(entry.Secret).Replace(entry);
                break;
            case LedgerKind.Aborted when entry is { Secret: not null, Version: { } version }:
                // one that a shared store did not take
                Find(entry.Secret).TakeBackVersion(version);
                break;
            case LedgerKind.Aborted:
                TakeBack(entry.Generation ?? newest - 1);
                break;
            case LedgerKind.Restored:
                TakeBack(entry.Generation ?? 0);
                break;
        }

        return [];
    }

    // what was changed after the generation at which the vault was found is not in it
    private void TakeBack(long found)
    {
        foreach (var pattern in _patterns.Values)
        {
            pattern.TakeBack(found);
        }
    }

    private UsePattern Find(string secret)
    {
        if (!_patterns.TryGetValue(secret, out var pattern))
        {
            _patterns.Add(secret, pattern = new UsePattern());
        }

        return pattern;
    }
}
