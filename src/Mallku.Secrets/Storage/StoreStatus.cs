namespace Mallku.Secrets.Storage;

/// <summary>What there is in a shared store, counted without reading a value. Immutable.</summary>
/// <param name="Keys">Its data keys, the newest last, which seals; without what they are.</param>
/// <param name="IsResealing">Whether records may still be under an older one: a reseal is under way, or was cut off.</param>
/// <param name="Secrets">How many secrets there are.</param>
/// <param name="Versions">How many versions of them have a value.</param>
/// <param name="Changes">How often secrets were changed, removed ones included: the sum of their generations.</param>
/// <param name="Instances">The instances that have told it of their ledgers.</param>
/// <param name="Silent">Those that have changed secrets and have not told of it.</param>
/// <param name="Newest">When the newest version was made, by the clock of who made it; null where there is none.</param>
/// <param name="Faults">Why secrets, and instances, are not counted: they do not open, were put back, or are gone.</param>
internal sealed record StoreStatus(
    IReadOnlyList<DataKeyFacts> Keys, bool IsResealing, int Secrets, int Versions, long Changes, IReadOnlyList<StoreInstance> Instances, IReadOnlyList<SilentInstance> Silent, DateTimeOffset? Newest,
    IReadOnlyList<SecretsException> Faults)
{
    /// <exception cref="SecretsException">The store can't be opened.</exception>
    internal static async ValueTask<StoreStatus> ReadAsync(SealedStore store, CancellationToken cancellationToken)
    {
        var root = store.Root;
        var (head, _) = await root.ReadAsync(cancellationToken).ConfigureAwait(false);
        var (secrets, versions, changes, newest) = (0, 0, 0L, (DateTimeOffset?)null);
        var recorded = new RecordedChanges();
        var faults = new List<SecretsException>();
        await foreach (var secret in store.ReadHeadsAsync((_, fault) => faults.Add(fault), cancellationToken).ConfigureAwait(false))
        {
            secrets += secret.Record.Current is null ? 0 : 1;
            versions += secret.Record.Versions.Count(static version => version.HasValue);
            changes += secret.Generation;
            recorded.Add(secret.Recorded);
            var last = secret.Record.Versions.Count == 0 ? null : (DateTimeOffset?)secret.Record.Versions.Max(static version => version.Created);
            newest = newest > last ? newest : last ?? newest;
        }

        var instances = await new StoreLedger(store).ListInstancesAsync(faults.Add, cancellationToken).ConfigureAwait(false);
        var silent = recorded.FindSilent(instances.ToDictionary(static one => one.Id, static one => one.Entries, StringComparer.Ordinal));
        return new StoreStatus([.. head.Keys.Select(static key => new DataKeyFacts(key.Id, key.Created))], head.IsResealing, secrets, versions, changes, instances, [.. silent], newest, faults);
    }
}

/// <summary>A data key, without what it is.</summary>
internal sealed record DataKeyFacts(string Id, DateTimeOffset Created);
