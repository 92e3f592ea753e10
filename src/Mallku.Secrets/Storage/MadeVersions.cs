using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Storage;

/// <summary>
/// Which machines say that they have made which version of a secret. A store gives each number once: where two have made
/// one, it was put back in between, or one of them was killed before the store took its change. For one look.
/// </summary>
internal sealed class MadeVersions
{
    private readonly Dictionary<(string Secret, int Version), List<Made>> _made = [];

    internal void Add(StoreInstance instance, LedgerEntry entry)
    {
        if (entry is not { Secret: { } secret, Version: { } version } || !SealedStore.IsSource(entry.Source))
        {
            return;
        }

        if (entry.Kind == LedgerKind.Aborted && _made.TryGetValue((secret, version), out var made))
        {
            made.RemoveAll(one => one.Instance.Id == instance.Id);
        }
        else if (entry.Kind is LedgerKind.Created or LedgerKind.Updated or LedgerKind.RolledBack)
        {
            if (!_made.TryGetValue((secret, version), out made))
            {
                _made.Add((secret, version), made = new(1));
            }

            made.Add(new Made(instance, entry.Time));
        }
    }

    /// <summary>What to say of those that several have made, by the id of the one that was last.</summary>
    internal ILookup<string, string> FindDoubled() => _made
        .Where(static pair => pair.Value.Select(static made => made.Instance.Id).Distinct(StringComparer.Ordinal).Skip(1).Any())
        .Select(static pair => (pair.Key, Made: pair.Value.OrderBy(static made => made.Time).ToList()))
        .ToLookup(
            static one => one.Made[^1].Instance.Id,
            static one => $"version {one.Key.Version} of '{SecretsException.Show(one.Key.Secret)}' was made by {string.Join(" and by ", one.Made)}: the store was put back in between, or a process was killed before the store took its change",
            StringComparer.Ordinal);

    private sealed record Made(StoreInstance Instance, DateTimeOffset Time)
    {
        public override string ToString() => $"{SecretsException.Show($"{Instance.User}@{Instance.Host}")} at {SecretFormat.Format(Time)}";
    }
}
