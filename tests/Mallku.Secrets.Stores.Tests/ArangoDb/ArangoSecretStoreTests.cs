namespace Mallku.Secrets.Stores.Tests.ArangoDb;

/// <summary>The contract of secrets, over the emulation or a real ArangoDB, each store in collections of its own.</summary>
public sealed class ArangoSecretStoreTests : RotationContract, IAsyncDisposable
{
    private readonly List<ArangoPlace> _places = [];

    internal override async Task<StorePlace> CreateAsync(TimeProvider clock)
    {
        var place = await ArangoPlace.StartAsync();
        _places.Add(place);
        return await StoreStage.CreateAsync(clock: clock, open: place.Open);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var place in _places)
        {
            await place.DisposeAsync();
        }
    }
}
