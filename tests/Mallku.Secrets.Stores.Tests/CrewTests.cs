using Mallku.Secrets.Stores.Etcd;
using Mallku.Secrets.Stores.Tests.Etcd;
using Mallku.Secrets.Stores.Tests.PostgreSql;

namespace Mallku.Secrets.Stores.Tests;

/// <summary>Machines go on through the faults of a real database, with all that they were told and have told.</summary>
[Collection(Machines.Name)]
public sealed class CrewTests
{
    [Fact]
    public async Task PostgreSQL_is_killed_stands_still_and_comes_back()
    {
        await using var server = await PostgreSqlServer.StartAsync();
        await using var crew = await Crew.BeginAsync(() => server.Open(more: "&command_timeout=2&connect_timeout=1"));
        await crew.GoesOnAsync();
        for (var round = 0; round < 2; round++)
        {
            await server.KillAsync();
            await crew.IsRefusedAsync();
            await server.RunAsync();
            await crew.GoesOnAsync();
        }

        server.Pause();
        try
        {
            await crew.IsRefusedAsync();
        }
        finally
        {
            server.Resume();
        }

        await crew.GoesOnAsync();
        await crew.EndAsync();
    }

    [Fact]
    public async Task Members_of_etcd_die_until_too_few_are_left_and_come_back()
    {
        using var servers = await EtcdServers.StartAsync(3);
        await using var crew = await Crew.BeginAsync(() => EtcdRecordStore.Open(servers.Url("crew", "?timeout=3")));
        await crew.GoesOnAsync();
        var first = servers.Leader();
        first.Kill();
        await crew.GoesOnAsync();
        var second = servers.Members.First(member => member != first);
        second.Kill();
        await crew.IsRefusedAsync();
        second.Start();
        await crew.GoesOnAsync();
        first.Start();
        Assert.True(await servers.IsHealthyAsync(TimeSpan.FromSeconds(60)));
        await crew.GoesOnAsync();
        await crew.EndAsync();
    }
}
