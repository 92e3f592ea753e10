using System.Collections.Concurrent;
using Mallku.Secrets.Crypto;

namespace Mallku.Secrets.Models;

/// <summary>A data key of a store, and the id by which documents name it.</summary>
internal sealed record SealingKey(string Id, AesGcmSealing Sealing);

/// <summary>A store's data keys: the current one seals, and each opens what names it. Safe for concurrent use, also while it grows.</summary>
internal sealed class DataKeyRing(SealingKey current)
{
    private readonly ConcurrentDictionary<string, SealingKey> _keys = new(StringComparer.Ordinal) { [current.Id] = current };
    private volatile SealingKey _current = current;

    internal SealingKey Current => _current;

    internal SealingKey? Find(string id) => _keys.GetValueOrDefault(id);

    internal void Add(SealingKey key) => _keys.TryAdd(key.Id, key);

    internal void MakeCurrent(SealingKey key) => _current = _keys.GetOrAdd(key.Id, key);
}

/// <summary>What the models of one store share.</summary>
/// <param name="StoreId">Which store: no document opens in another.</param>
/// <param name="Index">The key of UUIDs and indexes.</param>
/// <param name="Keys">The data keys.</param>
internal sealed record Deployment(string StoreId, IndexKey Index, DataKeyRing Keys)
{
    /// <summary>Whether documents say the fields' names beside their UUIDs, for a developer's eye. Never where it matters: the medium then knows the names.</summary>
    internal bool ShowNames { get; init; }
}
