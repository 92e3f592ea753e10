namespace Mallku.Secrets.Stores.Tests.ArangoDb;

/// <summary>The contract, over the emulation or a real ArangoDB, each test in collections of its own.</summary>
public sealed class ArangoRecordStoreTests : RecordStoreContract, IAsyncDisposable
{
    private readonly Task<ArangoPlace> _place = ArangoPlace.StartAsync();

    protected override async Task<IRecordStore> OpenAsync() => (await _place).Open();

    public async ValueTask DisposeAsync() => await (await _place).DisposeAsync();
}
