namespace Mallku.Secrets.Stores.Tests;

public sealed class MemoryRecordStoreTests : RecordStoreContract, IAsyncDisposable
{
    private readonly MemoryRecordStore _store = new();

    protected override Task<IRecordStore> OpenAsync() => Task.FromResult<IRecordStore>(_store);

    public ValueTask DisposeAsync() => _store.DisposeAsync();
}
