namespace Mallku.Secrets.Stores.Tests.ArangoDb;

/// <summary>The contract of secrets, over the emulation or a real ArangoDB, each test in collections of its own.</summary>
public sealed class ArangoSecretStoreTests : RotationContract, IAsyncDisposable
{
    private readonly Task<ArangoPlace> _place = ArangoPlace.StartAsync();

    internal override async Task<StorePlace> CreateAsync(TimeProvider clock)
    {
        var place = await _place;
        return await StoreStage.CreateAsync(clock: clock, open: place.Open);
    }

    public async ValueTask DisposeAsync() => await (await _place).DisposeAsync();
}
