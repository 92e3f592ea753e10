using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Sources;

/// <summary>A shared store.</summary>
internal sealed class StoreSource(SealedStore store) : ISecretSource
{
    public string Name => store.Name;

    public string DescribeLookup(SecretName name) => store.Records.Description;

    public long GetChangeStamp(long now) => store.Memory.GetChangeStamp(now);

    public ValueTask<FoundSecret?> FindAsync(SecretName name, CancellationToken cancellationToken) => store.Memory.FindAsync(name, cancellationToken);

    /// <summary>The versions before the current one that are still within their grace, the newest first.</summary>
    internal ValueTask<IReadOnlyList<FoundSecret>> FindPreviousAsync(string name, CancellationToken cancellationToken) =>
        store.FetchPreviousAsync(SecretName.Existing(name), cancellationToken);

    public async ValueTask<IReadOnlyList<string>> FindLooseMatchesAsync(SecretName name, CancellationToken cancellationToken) =>
        await store.FindAsync(name, cancellationToken).ConfigureAwait(false) is { Record: { Current: not null } record } ? [record.Name] : [];

    public async ValueTask<IReadOnlyList<SecretFacts>> ListAsync(CancellationToken cancellationToken)
    {
        var list = await store.ListAsync(cancellationToken).ConfigureAwait(false);
        list.Sort(static (one, other) => string.CompareOrdinal(one.Name, other.Name));
        return list;
    }

    public ValueTask RefreshAsync(CancellationToken cancellationToken)
    {
        store.Memory.ForgetAll();
        return ValueTask.CompletedTask;
    }
}
