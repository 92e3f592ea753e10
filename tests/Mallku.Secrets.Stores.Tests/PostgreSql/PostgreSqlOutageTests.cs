using System.Collections.Concurrent;
using System.Diagnostics;

namespace Mallku.Secrets.Stores.Tests.PostgreSql;

/// <summary>What a store does where the whole server goes, and comes again. Each test has a server of its own.</summary>
public sealed class PostgreSqlOutageTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task No_acknowledged_write_is_lost_when_the_server_is_killed_under_load()
    {
        await using var server = await PostgreSqlServer.StartAsync();
        await using var store = server.Open();
        await store.PrepareAsync(Token);
        var history = new RegisterHistory(new(RecordKind.Secret, "n"));
        await history.BeginAsync(store, Token);
        var (acknowledged, refused, open) = (new ConcurrentQueue<string>(), new ConcurrentQueue<string>(), new ConcurrentQueue<string>());
        var isOver = false;
        var counters = Enumerable.Range(0, 4).Select(_ => Task.Run(() => history.CountAsync(store, _ => Volatile.Read(ref isOver), Token), Token));
        var makers = Enumerable.Range(0, 4).Select(maker => Task.Run(() => MakeAsync(maker), Token));
        var working = Task.WhenAll(counters.Concat(makers));
        for (var round = 1; round <= 3; round++)
        {
            var before = acknowledged.Count;
            await PostgreSqlLineTests.UntilAsync(() => Task.FromResult(acknowledged.Count), count => count >= before + 50);
            await server.KillAsync();
            await server.RunAsync();
        }

        var last = acknowledged.Count;
        await PostgreSqlLineTests.UntilAsync(() => Task.FromResult(acknowledged.Count), count => count >= last + 50);
        Volatile.Write(ref isOver, true);
        await working;
        history.Check();

        var found = (await store.ListAsync(RecordKind.Version, "", null, Token).Select(static record => record.Key.Id).ToListAsync(Token)).ToHashSet(StringComparer.Ordinal);
        Assert.All(acknowledged, id => Assert.Contains(id, found));
        Assert.All(refused, id => Assert.DoesNotContain(id, found));
        Assert.Subset(acknowledged.Concat(open).ToHashSet(StringComparer.Ordinal), found);
        Assert.NotEmpty(open);

        async Task MakeAsync(int maker)
        {
            for (var i = 0; !Volatile.Read(ref isOver); i++)
            {
                var id = $"{maker}-{i:D6}";
                try
                {
                    Assert.True(await store.WriteAsync([PostgreSqlLineTests.Put(new(RecordKind.Version, id), null), PostgreSqlLineTests.Put(new(RecordKind.Instance, id), null)], Token));
                    acknowledged.Enqueue(id);
                }
                catch (StoreUnreachableException e)
                {
                    (e.MayBeWritten ? open : refused).Enqueue(id);
                    await Task.Delay(20, Token);
                }
            }
        }
    }

    [Fact]
    public async Task Calls_end_when_the_server_stands_still_and_go_on_when_it_does()
    {
        await using var server = await PostgreSqlServer.StartAsync();
        await using var store = server.Open(more: "&command_timeout=2&connect_timeout=1");
        await store.PrepareAsync(Token);
        Assert.True(await store.WriteAsync([PostgreSqlLineTests.Put(new(RecordKind.Secret, "a"), null)], Token));
        var listening = new TaskCompletionSource();
        var watch = Faults.UnreachableAsync(async () =>
        {
            await foreach (var _ in store.WatchAsync(Token))
            {
                listening.TrySetResult();
            }
        });
        await listening.Task;
        using var end = CancellationTokenSource.CreateLinkedTokenSource(Token);
        server.Pause();
        try
        {
            var clock = Stopwatch.StartNew();
            var given = Record.ExceptionAsync(async () => await store.ReadAsync(new(RecordKind.Secret, "a"), end.Token));
            var write = Faults.UnreachableAsync(() => store.WriteAsync([PostgreSqlLineTests.Put(new(RecordKind.Secret, "b"), null)], Token).AsTask());
            var reads = Enumerable.Range(0, 8).Select(_ => Faults.UnreachableAsync(() => store.ReadAsync(new(RecordKind.Secret, "a"), Token).AsTask())).ToList();
            var list = Faults.UnreachableAsync(async () => await store.ListAsync(RecordKind.Secret, "", null, Token).ToListAsync(Token));
            await end.CancelAsync();
            Assert.IsAssignableFrom<OperationCanceledException>(await given);
            await Task.WhenAll([.. reads, write, list]);
            Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(10));
            await watch;
            Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(15));
        }
        finally
        {
            server.Resume();
        }

        await PostgreSqlLineTests.UntilAsync(
            async () => await Record.ExceptionAsync(async () => await store.ReadAsync(new(RecordKind.Secret, "a"), Token)), static fault => fault is null);
    }

    [Fact]
    public async Task A_server_that_is_down_is_unreachable_and_a_write_was_surely_not_made()
    {
        await using var server = await PostgreSqlServer.StartAsync();
        await using var store = server.Open();
        await store.PrepareAsync(Token);
        await using var heard = store.WatchAsync(Token).GetAsyncEnumerator(Token);
        Assert.True(await heard.MoveNextAsync());
        var watch = Faults.UnreachableAsync(() => heard.MoveNextAsync().AsTask());
        await server.StopAsync();
        await watch;
        await using var other = server.Open();
        var fault = await Faults.UnreachableAsync(() => other.WriteAsync([PostgreSqlLineTests.Put(new(RecordKind.Secret, "a"), null)], Token).AsTask());
        Assert.False(fault.MayBeWritten);
        Assert.Contains($"PostgreSQL at 127.0.0.1:{server.Port}, database postgres, schema mallku: Connection refused", fault.Problem, StringComparison.Ordinal);
        await Faults.UnreachableAsync(() => other.ReadAsync(new(RecordKind.Secret, "a"), Token).AsTask());
        await Faults.UnreachableAsync(() => other.PrepareAsync(Token).AsTask());
        await server.RunAsync();
        Assert.Null(await other.ReadAsync(new(RecordKind.Secret, "a"), Token));
    }

    [Fact]
    public async Task A_standby_is_refused_since_it_may_be_behind_and_the_primary_of_several_hosts_is_found()
    {
        await using var primary = await PostgreSqlServer.StartAsync();
        await using var standby = await PostgreSqlServer.StartAsync();
        foreach (var server in new[] { primary, standby })
        {
            await using var owner = server.Open();
            await owner.PrepareAsync(Token);
        }

        await standby.StopAsync();
        standby.Write("standby.signal", "");
        await standby.RunAsync();
        await using var store = standby.Open();
        var fault = await Faults.ExpectAsync<SecretsException>(() => store.ReadAsync(new(RecordKind.Secret, "a"), Token).AsTask());
        Assert.Contains("read-only", fault.Problem, StringComparison.Ordinal);
        await Faults.ExpectAsync<SecretsException>(() => store.WriteAsync([PostgreSqlLineTests.Put(new(RecordKind.Secret, "a"), null)], Token).AsTask());

        await using var cluster = Stores.PostgreSql.PostgreSqlRecordStore.Open(
            primary.Address().Replace($"127.0.0.1:{primary.Port}", $"127.0.0.1:{standby.Port},127.0.0.1:{primary.Port}", StringComparison.Ordinal));
        Assert.True(await cluster.WriteAsync([PostgreSqlLineTests.Put(new(RecordKind.Secret, "a"), null)], Token));
        Assert.NotNull(await cluster.ReadAsync(new(RecordKind.Secret, "a"), Token));
    }
}
