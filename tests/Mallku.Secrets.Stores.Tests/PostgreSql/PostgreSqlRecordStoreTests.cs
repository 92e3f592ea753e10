namespace Mallku.Secrets.Stores.Tests.PostgreSql;

/// <summary>The contract, each test in a schema of its own.</summary>
[Collection(OnePostgreSql.Name)]
public sealed class PostgreSqlRecordStoreTests(SharedPostgreSql shared) : RecordStoreContract
{
    private readonly string _schema = $"contract_{Guid.NewGuid():N}"[..30];

    protected override async Task<IRecordStore> OpenAsync() => (await shared.StartAsync()).Open(_schema);
}
