using Mallku.Secrets.Stores.Tests.PostgreSql;

namespace Mallku.Secrets.Stores.Tests.Command;

/// <summary>The published command where somebody has altered the tables of its store.</summary>
[Collection(OnePostgreSql.Name)]
public sealed class AlteredTablesCommandTests(SharedPostgreSql shared)
{
    private const string Canary = "sk-canary-of-altered-tables-5Tn1";

    [Fact]
    public async Task What_somebody_has_done_to_the_trail_keeps_no_value_from_who_asks_for_it()
    {
        var server = await shared.StartAsync();
        using var machine = new Machine(server.Address("command_altered", password: null), PostgreSqlServer.Password);
        machine.Run($"mallku store init && printf {Canary} | mallku set some_key");
        await server.RunAsync("ALTER TABLE command_altered.instance ALTER COLUMN data DROP NOT NULL; UPDATE command_altered.instance SET data = NULL");
        Assert.Equal(Canary, machine.Reveal("mallku get some_key"));
        var refused = machine.Run(1, "mallku audit verify --all").Error;
        Assert.Contains("of the table 'instance' was altered", refused, StringComparison.Ordinal);
        Assert.DoesNotContain("mistake in mallku", refused, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_newer_schema_is_refused_by_each_verb()
    {
        var server = await shared.StartAsync();
        using var machine = new Machine(server.Address("command_newer", password: null), PostgreSqlServer.Password);
        machine.Run($"mallku store init && printf {Canary} | mallku set some_key");
        await server.RunAsync("UPDATE command_newer.schema_version SET version = 2");
        foreach (var line in new[] { "get some_key", "list", "store status", "store init" })
        {
            Assert.Contains("use a newer mallku", machine.Run($"mallku {line} 2>&1 && exit 9; true"), StringComparison.Ordinal);
        }

        Assert.Contains("use a newer mallku", machine.Run($"printf {Canary} | mallku set some_key 2>&1 && exit 9; true"), StringComparison.Ordinal);
        Assert.Contains("newer mallku", machine.Run(1, "mallku doctor").Output, StringComparison.Ordinal);
        Assert.Equal(1L, await server.RunAsync("SELECT count(*) FROM command_newer.version"));
    }
}
