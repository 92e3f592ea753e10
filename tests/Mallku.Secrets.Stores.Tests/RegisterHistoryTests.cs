namespace Mallku.Secrets.Stores.Tests;

/// <summary>That the check of histories finds what it is for.</summary>
public sealed class RegisterHistoryTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_read_of_what_was_there_before_is_found()
    {
        StoredRecord? older = null;
        await Assert.ThrowsAnyAsync<Exception>(() => CheckAsync(new Twisted
        {
            Read = (record, count) =>
            {
                var answer = count == 10 ? older : record;
                older = record;
                return answer;
            },
        }));
    }

    [Fact]
    public async Task A_write_that_was_acknowledged_and_lost_is_found() =>
        await Assert.ThrowsAnyAsync<Exception>(() => CheckAsync(new Twisted { Keeps = static count => count != 10 }));

    [Fact]
    public async Task A_write_that_was_refused_for_nothing_is_found() =>
        await Assert.ThrowsAnyAsync<Exception>(() => CheckAsync(new Twisted { Keeps = static count => count != 10, Lost = false }));

    [Fact]
    public async Task A_store_as_it_should_be_passes() => await CheckAsync(new Twisted());

    private static async Task CheckAsync(Twisted store)
    {
        var history = new RegisterHistory(new(RecordKind.Secret, "n"));
        await history.BeginAsync(store, Token);
        await history.CountAsync(store, static written => written == 20, Token);
        history.Check();
    }

    /// <summary>Records in memory that are not what they should be.</summary>
    private sealed class Twisted : IRecordStore
    {
        private readonly MemoryRecordStore _store = new();
        private int _reads, _writes;

        public Func<StoredRecord?, int, StoredRecord?> Read { get; init; } = static (record, _) => record;

        public Func<int, bool> Keeps { get; init; } = static _ => true;

        public bool Lost { get; init; } = true;

        public string Description => _store.Description;

        public int MaxDataLength => _store.MaxDataLength;

        public ValueTask PrepareAsync(CancellationToken cancellationToken) => _store.PrepareAsync(cancellationToken);

        public async ValueTask<StoredRecord?> ReadAsync(RecordKey key, CancellationToken cancellationToken) =>
            Read(await _store.ReadAsync(key, cancellationToken), _reads++);

        public async ValueTask<bool> WriteAsync(IReadOnlyList<RecordWrite> writes, CancellationToken cancellationToken) =>
            Keeps(_writes++) ? await _store.WriteAsync(writes, cancellationToken) : Lost;

        public IAsyncEnumerable<StoredRecord> ListAsync(RecordKind kind, string from, string? before, CancellationToken cancellationToken) =>
            _store.ListAsync(kind, from, before, cancellationToken);

        public IAsyncEnumerable<StoredRecord> FindAsync(RecordKind kind, string first, string last, CancellationToken cancellationToken) =>
            _store.FindAsync(kind, first, last, cancellationToken);

        public IAsyncEnumerable<RecordKey?> WatchAsync(CancellationToken cancellationToken) => _store.WatchAsync(cancellationToken);

        public ValueTask DisposeAsync() => _store.DisposeAsync();
    }
}
