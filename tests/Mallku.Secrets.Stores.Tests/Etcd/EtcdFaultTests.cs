using System.Diagnostics;
using Mallku.Secrets.Stores.Etcd;

namespace Mallku.Secrets.Stores.Tests.Etcd;

/// <summary>What happens to records when members of their cluster die, or stand still, or can't be reached.</summary>
[Collection(MortalEtcd.Name)]
public sealed class EtcdFaultTests(MortalEtcd.Cluster cluster)
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(60);
    private readonly string _prefix = $"test-{Guid.NewGuid():N}";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Two_members_of_three_die_under_load_and_come_back_and_no_write_is_lost()
    {
        var servers = await cluster.StartAsync();
        await using var store = servers.Open(_prefix, "?timeout=3");
        var load = new Load(4, () => servers.Open(_prefix, "?timeout=3"));
        await load.GoesOnAsync(20, Soon);

        var first = servers.Leader();
        first.Kill();
        await load.GoesOnAsync(20, Soon);

        var second = servers.Members.First(member => member != first);
        second.Kill();
        await RefusesAsync(store);
        await using var patient = servers.Open(_prefix, "?timeout=9");
        var refused = await Assert.ThrowsAsync<StoreUnreachableException>(async () => await patient.WriteAsync([new(new(RecordKind.Secret, "a"), null, null)], Token));
        Assert.False(refused.MayBeWritten);
        Assert.Contains("no leader", refused.Problem, StringComparison.Ordinal);

        second.Start();
        await load.GoesOnAsync(20, Soon);
        first.Start();
        Assert.True(await servers.IsHealthyAsync(Soon));
        await load.GoesOnAsync(20, Soon);
        Assert.NotEqual(0, load.Refusals);
        await load.EndAsync(store);
    }

    [Fact]
    public async Task A_member_that_stands_still_is_left_for_another_and_its_watches_end()
    {
        var servers = await cluster.StartAsync();
        var still = servers.Leader();
        await using var single = EtcdRecordStore.Open($"etcd://{still.Host}/{_prefix}?timeout=3");
        await using var heard = single.WatchAsync(Token).GetAsyncEnumerator(Token);
        Assert.True(await heard.MoveNextAsync());
        var next = heard.MoveNextAsync().AsTask();
        var load = new Load(4, () => servers.Open(_prefix, "?timeout=3"));
        await load.GoesOnAsync(20, Soon);
        Assert.True(await next);
        next = LastAsync(heard);

        still.Pause();
        try
        {
            var taken = Stopwatch.StartNew();
            await RefusesAsync(single);
            await load.GoesOnAsync(20, Soon);

            // whoever asks all three has an answer from one of the others
            await Task.WhenAll(Enumerable.Range(0, 6).Select(async _ =>
            {
                await using var other = servers.Open(_prefix, "?timeout=9");
                Assert.NotNull(await other.ReadAsync(new(RecordKind.Version, "0.0"), Token));
            }));
            await Assert.ThrowsAsync<StoreUnreachableException>(() => next.WaitAsync(TimeSpan.FromSeconds(20), Token));
            Assert.InRange(taken.Elapsed, TimeSpan.Zero, Soon);
        }
        finally
        {
            still.Resume();
        }

        Assert.True(await servers.IsHealthyAsync(Soon));
        Assert.NotNull(await single.ReadAsync(new(RecordKind.Version, "0.0"), Token));
        await load.EndAsync(single);
    }

    [Fact]
    public async Task A_record_is_one_register_for_eight_writers_while_the_leader_dies()
    {
        var servers = await cluster.StartAsync();
        await using var store = servers.Open(_prefix, "?timeout=3");
        var history = new RegisterHistory(new(RecordKind.Secret, "n"));
        await history.BeginAsync(store, Token);
        var isOver = false;
        var writers = Enumerable.Range(0, 8).Select(_ => Task.Run(
            async () =>
            {
                await using var own = servers.Open(_prefix, "?timeout=3");
                await history.CountAsync(own, _ => Volatile.Read(ref isOver), Token);
            },
            Token)).ToList();
        try
        {
            await GoesOnAsync();
            var leader = servers.Leader();
            leader.Kill();
            await GoesOnAsync();
            leader.Start();
            await GoesOnAsync();
        }
        finally
        {
            Volatile.Write(ref isOver, true);
            await Task.WhenAll(writers);
        }

        history.Check();
        Assert.True(await servers.IsHealthyAsync(Soon));

        async Task GoesOnAsync()
        {
            var begun = Stopwatch.StartNew();
            for (var goal = history.Written + 100; history.Written < goal;)
            {
                Assert.True(begun.Elapsed < Soon, $"only {history.Written} of {goal} writes within {Soon}");
                await Task.Delay(10, Token);
            }
        }
    }

    [Fact]
    public async Task Connections_that_are_cut_in_the_middle_of_writes_leave_no_doubt_that_is_not_told()
    {
        var servers = await cluster.StartAsync();
        await using var line = new Line(servers.Members[0].Port);
        var load = new Load(4, () => EtcdRecordStore.Open($"etcd://127.0.0.1:{line.Port}/{_prefix}?timeout=3"));
        for (var i = 0; i < 30; i++)
        {
            await load.GoesOnAsync(2, Soon);
            await line.CutAtNext(i % 2 == 0 ? Way.ToServer : Way.ToClient).WaitAsync(Soon, Token);
        }

        await load.GoesOnAsync(1, Soon);
        Assert.NotEqual(0, load.Refusals);
        await using var store = servers.Open(_prefix);
        await load.EndAsync(store);
    }

    [Fact]
    public async Task A_watch_ends_when_its_member_dies()
    {
        var servers = await cluster.StartAsync();
        var dying = servers.Members[2];
        await using var single = EtcdRecordStore.Open($"etcd://{dying.Host}/{_prefix}");
        await using var heard = single.WatchAsync(Token).GetAsyncEnumerator(Token);
        Assert.True(await heard.MoveNextAsync());
        var next = heard.MoveNextAsync().AsTask();
        dying.Kill();
        await Assert.ThrowsAsync<StoreUnreachableException>(() => next.WaitAsync(Soon, Token));
        dying.Start();
        Assert.True(await servers.IsHealthyAsync(Soon));
    }

    [Fact]
    public async Task A_watch_ends_when_its_member_has_lost_the_others()
    {
        var servers = await cluster.StartAsync();
        await using var single = EtcdRecordStore.Open($"etcd://{servers.Members[0].Host}/{_prefix}?timeout=1");
        await using var heard = single.WatchAsync(Token).GetAsyncEnumerator(Token);
        Assert.True(await heard.MoveNextAsync());
        var next = heard.MoveNextAsync().AsTask();
        servers.Members[1].Kill();
        servers.Members[2].Kill();
        await Assert.ThrowsAsync<StoreUnreachableException>(() => next.WaitAsync(Soon, Token));
        await RefusesAsync(single);
        await Assert.ThrowsAsync<StoreUnreachableException>(async () => await single.WatchAsync(Token).ToListAsync(Token));
        servers.Members[1].Start();
        servers.Members[2].Start();
        Assert.True(await servers.IsHealthyAsync(Soon));
        Assert.Null(await single.ReadAsync(new(RecordKind.Secret, "a"), Token));
    }

    /// <summary>Reads and writes refuse, in bounded time, soon.</summary>
    private static async Task RefusesAsync(EtcdRecordStore store)
    {
        const int timeout = 3;
        for (var refusals = 0; refusals < 2;)
        {
            var taken = Stopwatch.StartNew();
            try
            {
                await store.ReadAsync(new(RecordKind.Secret, "a"), Token);
                await store.WriteAsync([new(new(RecordKind.Secret, "a"), null, null)], Token);
                refusals = 0;
            }
            catch (StoreUnreachableException)
            {
                refusals++;
            }

            Assert.InRange(taken.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(2 * timeout + 5));
        }
    }

    private static async Task<bool> LastAsync(IAsyncEnumerator<RecordKey?> heard)
    {
        while (await heard.MoveNextAsync())
        {
        }

        return false;
    }
}
