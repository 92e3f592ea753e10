using System.Collections.Concurrent;
using System.Diagnostics;
using Mallku.Secrets.Rotation;

namespace Mallku.FireCircle.Tests;

/// <summary>A rotator that writes down which version each key is, and between which times a request may come with it.</summary>
internal sealed class KeyBook(IRotator inner) : IRotator
{
    private readonly ConcurrentDictionary<string, Entry> _entries = new(StringComparer.Ordinal);

    public string Name => inner.Name;

    public bool CanRevoke => inner.CanRevoke;

    public bool NeedsPerson => inner.NeedsPerson;

    /// <summary>What is known of a key.</summary>
    internal Entry this[string key] => _entries[key];

    internal void Add(string key, int version) => _entries[key] = new Entry(version) { Tested = 0 };

    public void Require(RotatedKey current) => inner.Require(current);

    public async ValueTask<NewKey> CreateAsync(RotatedKey key, CancellationToken cancellationToken)
    {
        var made = await inner.CreateAsync(key, cancellationToken);
        Find(key, made.Value);
        return made;
    }

    public ValueTask SetAsync(RotatedKey key, SecretValue value, CancellationToken cancellationToken) => inner.SetAsync(key, value, cancellationToken);

    public async ValueTask TestAsync(RotatedKey key, SecretValue value, CancellationToken cancellationToken)
    {
        await inner.TestAsync(key, value, cancellationToken);
        Find(key, value).Tested = Stopwatch.GetTimestamp();
    }

    public ValueTask DiscardAsync(RotatedKey key, CancellationToken cancellationToken) => inner.DiscardAsync(key, cancellationToken);

    public async ValueTask RevokeAsync(RotatedKey key, SecretValue? value, CancellationToken cancellationToken)
    {
        await inner.RevokeAsync(key, value, cancellationToken);
        Find(key, value!).Revoked = Stopwatch.GetTimestamp();
    }

    private Entry Find(RotatedKey key, SecretValue value) => _entries.GetOrAdd(value.RevealString(), static (_, version) => new Entry(version), key.Version);

    /// <summary>A key's version.</summary>
    internal sealed class Entry(int version)
    {
        internal int Version => version;

        /// <summary>When its test was over: before, it is pending and no caller's.</summary>
        internal long Tested { get; set; } = long.MaxValue;

        /// <summary>When the provider had revoked it.</summary>
        internal long Revoked { get; set; } = long.MaxValue;
    }
}
