namespace Mallku.Secrets.Storage;

/// <summary>A medium that did not answer when it was to tell which key opens it, and is not asked again by who has no key for it: whatever is asked of it fails with that reason.</summary>
internal sealed class SilentRecords(IRecordStore records, StoreUnreachableException reason) : IRecordStore
{
    public string Description => records.Description;

    public int MaxDataLength => records.MaxDataLength;

    public ValueTask PrepareAsync(CancellationToken cancellationToken) => throw reason;

    public ValueTask<StoredRecord?> ReadAsync(RecordKey key, CancellationToken cancellationToken) => throw reason;

    public IAsyncEnumerable<StoredRecord> ListAsync(RecordKind kind, string from, string? before, CancellationToken cancellationToken) => throw reason;

    public IAsyncEnumerable<StoredRecord> FindAsync(RecordKind kind, string first, string last, CancellationToken cancellationToken) => throw reason;

    public ValueTask<bool> WriteAsync(IReadOnlyList<RecordWrite> writes, CancellationToken cancellationToken) => throw reason;

    public IAsyncEnumerable<RecordKey?> WatchAsync(CancellationToken cancellationToken) => throw reason;

    public ValueTask DisposeAsync() => records.DisposeAsync();
}
