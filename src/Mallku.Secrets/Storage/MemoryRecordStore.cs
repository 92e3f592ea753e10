using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Threading.Channels;

namespace Mallku.Secrets.Storage;

/// <summary>Records in this process's memory, for tests and trials: gone with it. Any number of users may share one.</summary>
[SuppressMessage("Design", "CA1001", Justification = "Whoever watches ends his own channel.")]
public sealed class MemoryRecordStore : IRecordStore
{
    private readonly Lock _gate = new();
    private readonly Dictionary<RecordKind, SortedDictionary<string, Held>> _kinds = [];
    private readonly List<Channel<RecordKey?>> _watchers = [];
    private long _revision;

    /// <inheritdoc/>
    public string Description => "memory";

    /// <inheritdoc/>
    public int MaxDataLength => 4 << 20;

    /// <inheritdoc/>
    public ValueTask PrepareAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

    /// <inheritdoc/>
    public ValueTask<StoredRecord?> ReadAsync(RecordKey key, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        lock (_gate)
        {
            return new(Of(key.Kind).GetValueOrDefault(key.Id)?.Record);
        }
    }

    /// <inheritdoc/>
    public IAsyncEnumerable<StoredRecord> ListAsync(RecordKind kind, string from, string? before, CancellationToken cancellationToken) =>
        Select(kind, records => records
            .Where(pair => string.CompareOrdinal(pair.Key, from) >= 0 && (before is null || string.CompareOrdinal(pair.Key, before) < 0))
            .Select(static pair => pair.Value.Record)).ToAsyncEnumerable();

    /// <inheritdoc/>
    public IAsyncEnumerable<StoredRecord> FindAsync(RecordKind kind, string first, string last, CancellationToken cancellationToken) =>
        Select(kind, records => records.Values
            .SelectMany(static held => held.Terms.Select(term => (term, held.Record)))
            .Where(found => string.CompareOrdinal(found.term, first) >= 0 && string.CompareOrdinal(found.term, last) <= 0)
            .OrderBy(static found => found.term, StringComparer.Ordinal)
            .ThenBy(static found => found.Record.Key.Id, StringComparer.Ordinal)
            .Select(static found => found.Record)).ToAsyncEnumerable();

    /// <inheritdoc/>
    public ValueTask<bool> WriteAsync(IReadOnlyList<RecordWrite> writes, CancellationToken cancellationToken)
    {
        RecordWrite.Require(writes, MaxDataLength);
        cancellationToken.ThrowIfCancellationRequested();
        lock (_gate)
        {
            if (writes.Any(write => Of(write.Key.Kind).GetValueOrDefault(write.Key.Id)?.Record.Revision != write.Expected))
            {
                return new(false);
            }

            foreach (var write in writes)
            {
                var records = Of(write.Key.Kind);
                if (write.Data is { } data)
                {
                    var revision = (++_revision).ToString(CultureInfo.InvariantCulture);
                    records[write.Key.Id] = new Held(new StoredRecord(write.Key, revision, data.ToArray()), [.. write.Terms]);
                }
                else
                {
                    records.Remove(write.Key.Id);
                }

                _watchers.ForEach(watcher => watcher.Writer.TryWrite(write.Key));
            }

            return new(true);
        }
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<RecordKey?> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var watcher = Channel.CreateUnbounded<RecordKey?>();
        lock (_gate)
        {
            _watchers.Add(watcher);
        }

        try
        {
            yield return null;
            await foreach (var key in watcher.Reader.ReadAllAsync(cancellationToken).ConfigureAwait(false))
            {
                yield return key;
            }
        }
        finally
        {
            lock (_gate)
            {
                _watchers.Remove(watcher);
            }
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private SortedDictionary<string, Held> Of(RecordKind kind)
    {
        if (!_kinds.TryGetValue(kind, out var records))
        {
            _kinds.Add(kind, records = new(StringComparer.Ordinal));
        }

        return records;
    }

    private List<StoredRecord> Select(RecordKind kind, Func<SortedDictionary<string, Held>, IEnumerable<StoredRecord>> choose)
    {
        lock (_gate)
        {
            return [.. choose(Of(kind))];
        }
    }

    private sealed record Held(StoredRecord Record, string[] Terms);
}
