using System.Runtime.CompilerServices;
using Mallku.Secrets.Models;

namespace Mallku.Secrets.Storage;

/// <summary>Finds where else a value is in a shared store. Every head and every value is looked at once, whatever their number, and only who has it is read whole.</summary>
internal static class ValueSearch
{
    /// <inheritdoc cref="ISecretStore.ReadHoldersAsync"/>
    internal static async IAsyncEnumerable<StoredSecret> FindAsync(
        SealedStore store, VersionRecord one, string? except, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var sealing = await store.Root.OpenAsync(cancellationToken).ConfigureAwait(false);
        var kept = new Dictionary<RecordKey, (string Id, string Name, VersionRecord Version)>();
        await foreach (var secret in store.ReadAllAsync(cancellationToken).ConfigureAwait(false))
        {
            var name = secret.Record.Name;
            if (name == except || secret.Record.Current is null)
            {
                continue;
            }

            var id = sealing.IdOf(SecretName.Existing(name));
            foreach (var version in secret.Record.Versions.Where(static version => version.HasValue))
            {
                kept.Add(StoreSealing.KeyOf(id, version.Number), (id, name, version));
            }
        }

        var holders = new HashSet<string>(StringComparer.Ordinal);
        if (kept.Count > 0)
        {
            await foreach (var found in store.Records.ListAsync(RecordKind.Version, "", before: null, cancellationToken).ConfigureAwait(false))
            {
                if (kept.Remove(found.Key, out var known) && !holders.Contains(known.Name))
                {
                    if (await HasAsync(found, known.Id, known.Name, known.Version).ConfigureAwait(false))
                    {
                        holders.Add(known.Name);
                    }
                }
            }
        }

        foreach (var (_, name, version) in kept.Values)
        {
            // dropped since its head was read, or lost: then it may be the one, and is again where a backup is put back
            if (await store.ReadLackingAsync(name, cancellationToken).ConfigureAwait(false) is { } now
                && now.Record.Get(version.Number) is { IsLost: true, State: not SecretVersionState.Retired } lost)
            {
                throw LostValues.Fault(store.Describe(), now.Record, [lost]);
            }
        }

        foreach (var name in holders)
        {
            if (await store.ReadLackingAsync(name, cancellationToken).ConfigureAwait(false) is { } whole && whole.Record.Versions.Exists(version => version.HasValueOf(one)))
            {
                yield return whole;
            }
        }

        async ValueTask<bool> HasAsync(StoredRecord found, string id, string name, VersionRecord version)
        {
            try
            {
                // a value that is gone by now is nobody's
                return await store.Root.OpenAsync(found, (sealing, now) => sealing.UseValue(now, id, version, one.Had) ? one : version, cancellationToken).ConfigureAwait(false) == one;
            }
            catch (RecordOpenException e)
            {
                throw RecordOpenException.OfValue(name, version.Number, e);
            }
        }
    }
}
