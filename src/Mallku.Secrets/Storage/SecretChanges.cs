namespace Mallku.Secrets.Storage;

/// <summary>What people do with one secret, in any store.</summary>
internal static class SecretChanges
{
    /// <summary>The most UTF-8 bytes that a value may have.</summary>
    internal const int MaxValueLength = 1 << 20;

    /// <summary>Adds a new version to a secret.</summary>
    /// <exception cref="SecretsException">The value is not allowed, or it can't be recorded or written; nothing was changed, unless the message says so.</exception>
    internal static ValueTask<SecretChange> SetAsync(
        this ISecretStore store, SecretName name, SecretValue value, SetOptions options, CancellationToken cancellationToken)
    {
        RequireValue(name, value, options);
        return store.ChangeAsync(name, edit => edit.Set(value, options), cancellationToken);
    }

    /// <summary>Drops every value of a secret; its numbers are never used again.</summary>
    /// <exception cref="SecretNotFoundException">The store does not have it.</exception>
    /// <exception cref="SecretsException">A rotation of it is under way, or it can't be recorded or written; nothing was changed, unless the message says so.</exception>
    internal static ValueTask<SecretChange> RemoveAsync(this ISecretStore store, SecretName name, CancellationToken cancellationToken) =>
        store.ChangeAsync(name, static edit => edit.Remove(), cancellationToken);

    /// <summary>What is known of all secrets; one that can't be used ends it.</summary>
    /// <exception cref="SecretsException">It can't be told.</exception>
    internal static IAsyncEnumerable<StoredSecret> ReadAllAsync(this ISecretStore store, CancellationToken cancellationToken) => store.ReadAllAsync(faults: null, cancellationToken);

    /// <summary>The versions of a secret, the newest first, also of one that was removed; null where the store never had it.</summary>
    internal static async ValueTask<SecretHistory?> GetHistoryAsync(this ISecretStore store, SecretName name, CancellationToken cancellationToken)
    {
        if (await store.FindAsync(name, cancellationToken).ConfigureAwait(false) is not { Record: var record })
        {
            return null;
        }

        // no version is there yet of a key that is being made
        IReadOnlyList<SecretVersion> coming = record.Rotation is { } rotation && record.Get(rotation.Number) is null
            ? [new SecretVersion(rotation.Number, rotation.Id, SecretVersionState.Pending, rotation.Begun, rotation.Rotator)]
            : [];
        return new SecretHistory(
            record.Name,
            record.Removed,
            [.. VersionMoves.At(store.Clock.GetUtcNow(), record.Facts).Concat(coming).OrderByDescending(static version => version.Number)]);
    }

    internal static void RequireValue(SecretName name, SecretValue value, SetOptions options)
    {
        if (value.Length == 0 && !options.AllowEmpty)
        {
            throw new SecretsException($"the value for '{name}' is empty; nothing was changed", "give a value, or say that it may be empty: --allow-empty");
        }

        if (value.Length > MaxValueLength)
        {
            throw new SecretsException($"the value for '{name}' is longer than 1 MiB; nothing was changed", "keep only the key itself as a secret");
        }
    }
}
