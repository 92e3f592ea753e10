using System.Diagnostics;
using System.Text;
using Mallku.Secrets.Stores.Etcd;

namespace Mallku.Secrets.Stores.Tests.Etcd;

[Collection(OneEtcd.Name)]
public sealed class EtcdRecordStoreTests(SharedEtcd shared) : RecordStoreContract
{
    private readonly string _prefix = $"test-{Guid.NewGuid():N}";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    protected override async Task<IRecordStore> OpenAsync() => (await shared.StartAsync()).Open(_prefix);

    [Fact]
    public async Task Two_prefixes_do_not_see_each_other()
    {
        await using var one = await OpenAsync();

        // also where one begins like the other
        await using var other = (await shared.StartAsync()).Open(_prefix + "-2");
        await using var heard = one.WatchAsync(Token).GetAsyncEnumerator(Token);
        Assert.True(await heard.MoveNextAsync());
        Assert.True(await other.WriteAsync([Record("a", 1, "term")], Token));
        Assert.Null(await one.ReadAsync(new(RecordKind.Secret, "a"), Token));
        Assert.Empty(await one.ListAsync(RecordKind.Secret, "", null, Token).ToListAsync(Token));
        Assert.Empty(await one.FindAsync(RecordKind.Secret, "term", "term", Token).ToListAsync(Token));

        Assert.True(await one.WriteAsync([Record("b", 1, "term")], Token));
        Assert.True(await heard.MoveNextAsync());
        Assert.Equal(new RecordKey(RecordKind.Secret, "b"), heard.Current);
        Assert.Single(await other.ListAsync(RecordKind.Secret, "", null, Token).ToListAsync(Token));
    }

    [Fact]
    public async Task A_write_of_more_than_etcd_takes_is_refused_and_nothing_of_it_is_made()
    {
        await using var store = await OpenAsync();
        var refused = await Assert.ThrowsAsync<SecretsException>(async () => await store.WriteAsync([Record("a", 800_000), Record("b", 800_000)], Token));
        Assert.Contains("nothing was changed", refused.Problem, StringComparison.Ordinal);
        Assert.Empty(await store.ListAsync(RecordKind.Secret, "", null, Token).ToListAsync(Token));
    }

    [Fact]
    public async Task Large_and_small_records_are_listed_in_pages_of_any_length()
    {
        await using var store = await OpenAsync();

        // more of the large ones in a row than one answer may have
        var lengths = Enumerable.Range(0, 100).Select(static i => i is > 20 and <= 45 ? 1_400_000 : i).ToList();
        foreach (var (i, length) in lengths.Index())
        {
            Assert.True(await store.WriteAsync([Record($"{i:D3}", length, "all")], Token));
        }

        Assert.Equal(lengths, await store.ListAsync(RecordKind.Secret, "", null, Token).Select(static record => record.Data.Length - Empty.Length).ToListAsync(Token));
        Assert.Equal(lengths, await store.FindAsync(RecordKind.Secret, "all", "all", Token).Select(static record => record.Data.Length - Empty.Length).ToListAsync(Token));
    }

    [Fact]
    public async Task A_watcher_whose_changes_were_dropped_from_the_history_hears_that_anything_may_have_changed()
    {
        await using var store = await OpenAsync();
        await using var heard = store.WatchAsync(Token).GetAsyncEnumerator(Token);
        Assert.True(await heard.MoveNextAsync());

        // more than the server and the way to here hold for one who does not listen
        const int writers = 8, each = 500;
        await Task.WhenAll(Enumerable.Range(0, writers).Select(async writer =>
        {
            for (var i = 0; i < each; i++)
            {
                Assert.True(await store.WriteAsync([Record($"{writer}.{i}", 200)], Token));
            }
        }));
        var servers = await shared.StartAsync();
        var revision = (await store.ReadAsync(new(RecordKind.Secret, $"0.{each - 1}"), Token))!.Revision;
        servers.Control("compact", revision);

        var missing = writers * each;
        do
        {
            Assert.True(await heard.MoveNextAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(30), Token));
            missing--;
        }
        while (heard.Current is not null);
        Assert.True(missing > 0, "nothing was dropped");

        Assert.True(await store.WriteAsync([Record("after", 1)], Token));
        while (heard.Current?.Id != "after")
        {
            Assert.True(await heard.MoveNextAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(30), Token));
        }
    }

    [Fact]
    public async Task What_somebody_else_wrote_under_the_prefix_is_said_to_be_damage()
    {
        await using var store = await OpenAsync();
        (await shared.StartAsync()).Control("put", $"{_prefix}/record/secret/a", "no line");
        await Assert.ThrowsAsync<SecretsException>(async () => await store.ReadAsync(new(RecordKind.Secret, "a"), Token));
        await Assert.ThrowsAsync<SecretsException>(async () => await store.ListAsync(RecordKind.Secret, "", null, Token).ToListAsync(Token));
    }

    [Fact]
    public async Task A_cluster_without_TLS_is_not_spoken_to_without_being_told_so()
    {
        await using var store = (await shared.StartAsync()).Open(_prefix, "?tls=true");
        var refused = await Assert.ThrowsAsync<StoreUnreachableException>(async () => await store.WriteAsync([Record("a", 1)], Token));
        Assert.False(refused.MayBeWritten);
        Assert.Contains("tls=", refused.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_that_is_no_etcd_is_an_error_in_bounded_time()
    {
        using var silent = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        silent.Start();
        await using var store = EtcdRecordStore.Open($"etcd://{silent.LocalEndpoint}?timeout=1");
        var taken = Stopwatch.StartNew();
        var fault = await Assert.ThrowsAsync<StoreUnreachableException>(async () => await store.ReadAsync(new(RecordKind.Secret, "a"), Token));
        Assert.Contains($"{silent.LocalEndpoint}", fault.Problem, StringComparison.Ordinal);
        Assert.True((await Assert.ThrowsAsync<StoreUnreachableException>(async () => await store.WriteAsync([Record("a", 1)], Token))).MayBeWritten);
        await Assert.ThrowsAsync<StoreUnreachableException>(async () => await store.WatchAsync(Token).ToListAsync(Token));
        using (var end = new CancellationTokenSource(TimeSpan.FromMilliseconds(200)))
        {
            Assert.True((await Assert.ThrowsAsync<StoreUnreachableException>(async () => await store.WriteAsync([Record("a", 1)], end.Token))).MayBeWritten);
        }

        Assert.InRange(taken.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(20));
        var url = $"etcd://{silent.LocalEndpoint}";
        silent.Stop();
        await using var refused = EtcdRecordStore.Open(url);
        Assert.False((await Assert.ThrowsAsync<StoreUnreachableException>(async () => await refused.WriteAsync([Record("a", 1)], Token))).MayBeWritten);
    }

    private const string Empty = """{"text":""}""";

    private static RecordWrite Record(string id, int length, params string[] terms) =>
        new(new(RecordKind.Secret, id), null, Encoding.UTF8.GetBytes(Empty.Insert(Empty.Length - 2, new string('x', length)))) { Terms = terms };
}
