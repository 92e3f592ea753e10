using System.Globalization;
using Mallku.ArangoDb.TestServer;
using Mallku.Secrets.Stores.ArangoDb;
using Mallku.Secrets.Stores.Etcd;
using Mallku.Secrets.Stores.Tests.ArangoDb;
using Mallku.Secrets.Stores.Tests.Etcd;
using Mallku.Secrets.Stores.Tests.PostgreSql;
using Mallku.Secrets.Tests;

namespace Mallku.Secrets.Stores.Tests.Dumps;

/// <summary>
/// Whoever has everything that a server holds, its log with everything in it that it can tell, and every byte that went over the
/// wire finds none of what the stores keep.
/// </summary>
[Collection(Machines.Name)]
public sealed class DumpTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task PostgreSql_learns_nothing()
    {
        await using var server = await PostgreSqlServer.StartAsync(
            "log_statement=all", "log_parameter_max_length=-1", "log_parameter_max_length_on_error=-1", "log_min_duration_statement=0", "log_min_messages=debug1",
            "log_error_verbosity=verbose", "log_connections=on", "log_disconnections=on", "log_replication_commands=on", "track_activity_query_size=1MB");
        await using var line = new Line(server.Port) { Listens = true };
        var hidden = default(WordSearch);
        await using (var uses = new Uses(() => server.Open(port: line.Port), server.Address("by_command", port: line.Port, password: null), PostgreSqlServer.Password))
        {
            await uses.RunAsync();
            await server.RunAsync($"CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA mallku TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA mallku TO reader");
            await server.RunAsync($"SET log_statement = 'none'; SET log_min_duration_statement = -1; ALTER ROLE reader PASSWORD '{PostgreSqlServer.Password.Replace("'", "''", StringComparison.Ordinal)}'");
            await uses.RequireRefusedAsync(server.Open(user: "reader", port: line.Port), mayRead: true);
            await uses.RequireRefusedAsync(SharedStores.Open(server.Address(port: line.Port, password: "another")), mayRead: false);
            await Uses.PlantAsync(server.Open(port: line.Port));
            hidden = uses.Hidden();
        }

        await server.RunAsync("CHECKPOINT");
        var dump = Dump(server);
        Assert.Contains("parameters: $1 = ", server.Log, StringComparison.Ordinal);
        await server.StopAsync();
        Place.RequireHidden(
            [
                new Place("the dump", dump),
                Place.OfFiles("the write-ahead log", [Path.Combine(server.Data, "pg_wal")]),
                Place.OfFiles("the tables, and all else that it keeps", Directory.GetDirectories(server.Data).Where(static folder => !folder.EndsWith("/pg_wal", StringComparison.Ordinal))),
                new Place("the log", server.Log),
                Place.OfWire(line),
            ],
            hidden,
            Uses.Planted);
    }

    [Fact]
    public async Task Etcd_learns_nothing()
    {
        using var servers = await EtcdServers.StartAsync(3, null, "--unsafe-no-fsync", "--logger=zap", "--log-level=debug", "--initial-cluster-token=planted-in-the-open");
        await using var line = new Line(servers.Members[0].Port) { Listens = true };
        var hidden = default(WordSearch);
        string Url(string prefix, string who = "") => string.Create(CultureInfo.InvariantCulture, $"etcd://{who}127.0.0.1:{line.Port}/{prefix}");
        await using (var uses = new Uses(() => EtcdRecordStore.Open(Url("library")), Url("command")))
        {
            await uses.RunAsync();
            servers.Control("user", "add", "root:root-of-etcd");
            servers.Control("user", "grant-role", "root", "root");
            servers.Control("role", "add", "reads");
            servers.Control("role", "grant-permission", "reads", "--prefix=true", "read", "library/");
            servers.Control("user", "add", "reader:reads-of-etcd");
            servers.Control("user", "grant-role", "reader", "reads");
            servers.Control("auth", "enable");
            await uses.RequireRefusedAsync(SharedStores.Open(Url("library", "reader:reads-of-etcd@")), mayRead: true);
            await uses.RequireRefusedAsync(SharedStores.Open(Url("library", "reader:another@")), mayRead: false);
            servers.Control("--user=root:root-of-etcd", "auth", "disable");
            await Uses.PlantAsync(EtcdRecordStore.Open(Url("library")));
            hidden = uses.Hidden();
        }

        var all = servers.Control("get", "--prefix", "");

        // what there was before, too
        servers.Control("del", "--prefix", "");
        servers.Control("put", "something", "else");
        await Task.Delay(TimeSpan.FromSeconds(1), Token);
        foreach (var member in servers.Members)
        {
            member.Kill();
        }

        Place.RequireHidden(
            [
                new Place("the keys", all),
                .. servers.Members.SelectMany(static (member, i) => new[]
                {
                    Place.OfFiles($"the database of member {i}", [Path.Combine(member.Folder, "data/member/snap")]),
                    Place.OfFiles($"the write-ahead log of member {i}", [Path.Combine(member.Folder, "data/member/wal")]),

                    // which repeats no data, but how it was started
                    Place.OfFiles($"the log of member {i}", [member.Folder], "log"),
                }),
                Place.OfWire(line),
            ],
            hidden,
            Uses.Planted);
    }

    [Fact]
    public async Task ArangoDb_learns_nothing()
    {
        await using var server = await ArangoPlace.EmulateAsync();
        await using var line = new Line(server.Address.Port) { Listens = true };
        var hidden = default(WordSearch);
        string Url(string prefix) => string.Create(CultureInfo.InvariantCulture, $"arangodb://mallku@127.0.0.1:{line.Port}/keys?prefix={prefix}");
        IRecordStore Open(string text)
        {
            using var password = SecretValue.FromString(text);
            return ArangoRecordStore.Open(Url("library_"), password, TimeProvider.System);
        }

        await using (var uses = new Uses(() => Open(ArangoPlace.Password), Url("command_"), ArangoPlace.Password))
        {
            await uses.RunAsync();
            server.Mishaps(static request => request.StartsWith("GET", StringComparison.Ordinal) ? Mishap.None : Mishap.IsUnavailable);
            await uses.RequireRefusedAsync(Open(ArangoPlace.Password), mayRead: false);
            server.Mishaps(static _ => Mishap.None);
            await Uses.PlantAsync(Open(ArangoPlace.Password));

            // a transaction says to which collections it writes
            hidden = uses.Hidden("write");
        }

        Place.RequireHidden([new Place("the documents", server.Dump()), Place.OfWire(line)], hidden, Uses.Planted);
    }

    private static string Dump(PostgreSqlServer server)
    {
        Requires.Program("pg_dumpall");
        // not by a variable of this process, in which other tests ask without a password
        return Tool.Run("env", $"PGPASSWORD={PostgreSqlServer.Password}", "pg_dumpall", "-h", "127.0.0.1", "-p", server.Port.ToString(CultureInfo.InvariantCulture), "-U", "postgres");
    }
}
