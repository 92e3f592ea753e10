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
/// <param name="unmade">The entries of changes that did not reach the vault: <see cref="FindUnmade"/>.</param>
internal sealed class UnusualUses(IReadOnlySet<long> unmade)
{
    private readonly Dictionary<string, UsePattern> _patterns = new(StringComparer.Ordinal);

    /// <summary>Takes the next entry in, and says what is unusual about it.</summary>
    internal IReadOnlyList<UnusualUse> Add(LedgerEntry entry)
    {
        switch (entry.Kind)
        {
            case LedgerKind.Read or LedgerKind.Exported when entry.Secret is not null:
                return Find(entry.Secret).Use(entry);
            case var kind when MakesCurrent(kind) && entry is { Secret: not null, Version: not null } && !unmade.Contains(entry.Index):
                Find(entry.Secret).Replace(entry);
                break;
            case LedgerKind.Restored:
                TakeBack(entry.Generation ?? 0);
                break;
        }

        return [];
    }

    /// <summary>The changes that were cut off after their entries: an <c>aborted</c> entry tells of each, or, of the last one, the vault itself.</summary>
    /// <param name="entries">All entries, the oldest first.</param>
    /// <param name="generation">The vault's generation, where it is known.</param>
    internal static HashSet<long> FindUnmade(IEnumerable<LedgerEntry> entries, long? generation)
    {
        var unmade = new HashSet<long>();

        // of a vault, those of the newest generation; of a shared store, by secret and version
        var last = new List<LedgerEntry>();
        var told = new Dictionary<(string? Secret, int? Version), long>();
        foreach (var entry in entries)
        {
            switch (entry.Kind)
            {
                case var kind when MakesCurrent(kind) && entry.Generation is null:
                    told[(entry.Secret, entry.Version)] = entry.Index;
                    break;
                case var kind when MakesCurrent(kind):
                    // what stands before a later change has reached the vault, or was told not to have
                    last.RemoveAll(change => change.Generation != entry.Generation);
                    last.Add(entry);
                    break;
                case LedgerKind.Aborted when entry.Secret is not null:
                    if (told.Remove((entry.Secret, entry.Version), out var change))
                    {
                        unmade.Add(change);
                    }

                    break;
                case LedgerKind.Aborted:
                    unmade.UnionWith(last.Where(change => entry.Generation is null || change.Generation > entry.Generation).Select(static change => change.Index));
                    last.Clear();
                    break;
                case LedgerKind.Restored:
                    last.Clear();
                    break;
            }
        }

        unmade.UnionWith(last.Where(change => change.Generation > generation).Select(static change => change.Index));
        return unmade;
    }

    private static bool MakesCurrent(LedgerKind kind) => kind is LedgerKind.Created or LedgerKind.Updated or LedgerKind.Rotated or LedgerKind.RolledBack;

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
