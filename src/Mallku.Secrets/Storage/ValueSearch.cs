using System.Security.Cryptography;

namespace Mallku.Secrets.Storage;

/// <summary>Finds where else a value is in use in a shared store. Every secret and every value is read once, whatever their number.</summary>
internal static class ValueSearch
{
    /// <inheritdoc cref="ISecretStore.FindInUseAsync"/>
    internal static async ValueTask<string?> FindAsync(SealedStore store, ReadOnlyMemory<byte> value, string except, CancellationToken cancellationToken)
    {
        var now = store.Clock.GetUtcNow();
        var sealing = await store.Root.OpenAsync(cancellationToken).ConfigureAwait(false);
        var live = new Dictionary<RecordKey, (string Id, string Name, VersionRecord Version)>();
        await foreach (var secret in store.ReadAllAsync(cancellationToken).ConfigureAwait(false))
        {
            var name = secret.Record.Name;
            if (name == except)
            {
                continue;
            }

            var id = sealing.IdOf(SecretName.Existing(name));
            foreach (var version in secret.Record.Versions)
            {
                if (version.HasValue && version.IsLive(now))
                {
                    live.Add(StoreSealing.KeyOf(id, version.Number), (id, name, version));
                }
            }
        }

        if (live.Count > 0)
        {
            await foreach (var found in store.Records.ListAsync(RecordKind.Version, "", before: null, cancellationToken).ConfigureAwait(false))
            {
                if (live.TryGetValue(found.Key, out var known))
                {
                    sealing = await store.Root.OpenAsync(found, cancellationToken).ConfigureAwait(false);
                    var token = sealing.OpenValue(found, known.Id, known.Version);
                    var isSame = JsonToken.AreSame(token, value);
                    CryptographicOperations.ZeroMemory(token);
                    if (isSame)
                    {
                        return known.Name;
                    }
                }
            }
        }

        return null;
    }
}
