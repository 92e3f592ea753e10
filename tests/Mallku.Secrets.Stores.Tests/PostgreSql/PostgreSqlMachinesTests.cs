namespace Mallku.Secrets.Stores.Tests.PostgreSql;

/// <summary>More machines than one process has connections.</summary>
[Collection(Machines.Name)]
public sealed class PostgreSqlMachinesTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task More_machines_than_connections_are_read_together()
    {
        await using var server = await PostgreSqlServer.StartAsync();
        await using var store = server.Open(more: "&connect_timeout=3");
        using var key = StoreKey.Generate();
        var state = Directory.CreateTempSubdirectory("mallku-state-");
        try
        {
            await store.PrepareAsync(Token);
            await new StoreRoot(store, key).CreateAsync(TimeProvider.System, Token);
            using var text = key.ToText();
            using var value = SecretValue.FromString("value");
            SecretsManager? last = null;
            for (var i = 0; i < 20; i++)
            {
                Environment.SetEnvironmentVariable("MALLKU_STATE_DIR", Path.Combine(state.FullName, $"{i}"));
                last = SecretsManager.Open(new SecretsOptions { Store = store, StoreKey = text });
                await last.SetAsync($"key_{i}", value, cancellationToken: Token);
                await last.StoreLedger!.TellAsync(Token);
            }

            var told = await last!.StoreLedger!.ReadAsync(cancellationToken: Token).Where(static one => one.Entry.Secret is not null).ToListAsync(Token);
            Assert.Equal(20, told.Select(static one => one.Instance.Id).Distinct(StringComparer.Ordinal).Count());
            Assert.Equal(20, (await last.StoreLedger.ReportAsync(cancellationToken: Token)).Count);
        }
        finally
        {
            state.Delete(recursive: true);
        }
    }
}
