using Mallku.Secrets;
using Mallku.Secrets.Stores;
using Mallku.Secrets.Stores.Tests.Etcd;
using Mallku.Secrets.Stores.Tests.PostgreSql;

namespace Mallku.Bench.Stores;

/// <summary>
/// A database of the benchmark's own, on loopback with its data in a temporary folder, that flushes as it does by default: one
/// PostgreSQL, or a cluster of three etcd.
/// </summary>
internal sealed class Engine : IAsyncDisposable
{
    private readonly Func<string, string> _urlOf;
    private readonly Func<IRecordStore, string, IBareRecords> _toBare;
    private readonly Func<ValueTask> _end;

    private Engine(string name, Func<string, string> urlOf, Func<IRecordStore, string, IBareRecords> toBare, Func<ValueTask> end) =>
        (Name, _urlOf, _toBare, _end) = (name, urlOf, toBare, end);

    internal string Name { get; }

    /// <summary>Of the store that is measured.</summary>
    internal string Url => _urlOf("mallku");

    internal static async Task<Engine> StartAsync(string name)
    {
        switch (name)
        {
            case "postgres":
                var server = await PostgreSqlServer.StartAsync();
                return new Engine("PostgreSQL", part => server.Address(part), static (_, url) => new BarePostgreSql(url), server.DisposeAsync);
            case "etcd":
                var cluster = await EtcdServers.StartAsync(3);
                return new Engine("etcd, three nodes", part => cluster.Url(part), static (records, _) => new BareEtcd(records), () =>
                {
                    cluster.Dispose();
                    return ValueTask.CompletedTask;
                });
            default:
                throw new ArgumentException($"'{name}' is neither postgres nor etcd.", nameof(name));
        }
    }

    /// <summary>Makes the store that is measured; returns its key.</summary>
    internal async Task<SecretValue> CreateStoreAsync()
    {
        await using var records = SharedStores.Open(Url);
        return await SharedStore.CreateAsync(records);
    }

    /// <summary>Other tables, or another prefix, with the records of the store in them.</summary>
    internal async Task<IBareRecords> CopyToBareAsync(IRecordStore from)
    {
        var url = _urlOf("bare");
        var records = SharedStores.Open(url);
        await records.PrepareAsync(CancellationToken.None);
        foreach (var kind in new[] { RecordKind.Secret, RecordKind.Version })
        {
            await foreach (var record in from.ListAsync(kind, "", before: null, CancellationToken.None))
            {
                await records.WriteAsync([new RecordWrite(record.Key, Expected: null, record.Data)], CancellationToken.None);
            }
        }

        return _toBare(records, url);
    }

    public ValueTask DisposeAsync() => _end();
}
