namespace Mallku.Secrets.Stores.Tests.Etcd;

/// <summary>The contract of secrets on three nodes, each test under a prefix of its own, and each instance with connections of its own.</summary>
[Collection(OneEtcd.Name)]
public sealed class EtcdSecretStoreTests(SharedEtcd shared) : RotationContract
{
    internal override async Task<StorePlace> CreateAsync(TimeProvider clock)
    {
        var servers = await shared.StartAsync();
        var prefix = $"secrets-{Guid.NewGuid():N}";
        return await StoreStage.CreateAsync(clock: clock, open: () => servers.Open(prefix));
    }
}
