namespace Mallku.Secrets.Stores.Tests.PostgreSql;

/// <summary>The contract of secrets, each test in a schema of its own, and each instance with connections of its own.</summary>
[Collection(OnePostgreSql.Name)]
public sealed class PostgreSqlSecretStoreTests(SharedPostgreSql shared) : RotationContract
{
    internal override async Task<StorePlace> CreateAsync(TimeProvider clock)
    {
        var server = await shared.StartAsync();
        var schema = $"secrets_{Guid.NewGuid():N}"[..30];
        return await StoreStage.CreateAsync(clock: clock, open: () => server.Open(schema));
    }
}
