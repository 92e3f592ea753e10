using System.Text;
using System.Text.Json.Nodes;
using Mallku.ArangoDb.TestServer;
using Mallku.Secrets.Stores.ArangoDb;
using Microsoft.Extensions.Time.Testing;

namespace Mallku.Secrets.Stores.Tests.ArangoDb;

public sealed class ArangoReadingTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_is_left_of_a_reading_that_is_given_up_is_not_kept_at_the_server()
    {
        await using var server = await ArangoPlace.EmulateAsync();
        await using var store = ArangoPlace.Open(server);
        await FillAsync(store, 250);
        await foreach (var record in store.ListAsync(RecordKind.Secret, "", null, Token))
        {
            Assert.Equal("id-000", record.Key.Id);
            Assert.Equal(1, server.OpenCursors);
            break;
        }

        Assert.Equal(0, server.OpenCursors);
        Assert.Equal(250, await store.FindAsync(RecordKind.Secret, "all", "all", Token).CountAsync(Token));
        Assert.Equal(0, server.OpenCursors);
    }

    // a connection that breaks can't make a page be left out
    [Theory]
    [InlineData(Mishap.LosesAnswer)]
    [InlineData(Mishap.LosesRequest)]
    [InlineData(Mishap.CutsAnswer)]
    [InlineData(Mishap.BreaksAnswer)]
    [InlineData(Mishap.IsUnavailable)]
    public async Task A_reading_is_whole_or_fails(Mishap mishap)
    {
        await using var server = await ArangoPlace.EmulateAsync();
        await using var store = ArangoPlace.Open(server);
        await FillAsync(store, 650);
        server.MishapOnce("POST _api/cursor/", mishap);
        var read = new List<string>();
        var thrown = await Record.ExceptionAsync(async () =>
        {
            await foreach (var record in store.ListAsync(RecordKind.Secret, "", null, Token))
            {
                read.Add(record.Key.Id);
            }
        });
        Assert.Equal([.. Enumerable.Range(0, read.Count).Select(static i => $"id-{i:D3}")], read);
        Assert.True(read.Count == 650 ? thrown is null : thrown is SecretsException, $"{read.Count} {thrown}");
    }

    [Fact]
    public async Task A_reading_that_pauses_too_long_says_so()
    {
        var clock = new FakeTimeProvider();
        await using var server = await ArangoPlace.EmulateAsync(options => options with { Clock = clock });
        await using var store = ArangoPlace.Open(server);
        await FillAsync(store, 250);
        var refusal = await Assert.ThrowsAsync<SecretsException>(async () =>
        {
            await foreach (var record in store.ListAsync(RecordKind.Secret, "", null, Token))
            {
                clock.Advance(TimeSpan.FromSeconds(1));
            }
        });
        Assert.Contains("given up a reading", refusal.Problem, StringComparison.Ordinal);
        Assert.Equal("read again from the beginning", refusal.Remedy);
    }

    [Fact]
    public async Task A_document_of_somebody_else_is_no_record()
    {
        await using var server = await ArangoPlace.EmulateAsync();
        await using var store = ArangoPlace.Open(server);
        await store.PrepareAsync(Token);
        server.Put("mallku_secret", "a", new JsonObject { ["hello"] = "world" });
        var refusal = await Assert.ThrowsAsync<SecretsException>(async () => await store.ReadAsync(new(RecordKind.Secret, "a"), Token));
        Assert.Contains("no record", refusal.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Two_stores_of_one_database_know_nothing_of_each_other()
    {
        await using var server = await ArangoPlace.EmulateAsync();
        await using var one = ArangoPlace.Open(server, "?prefix=one-");
        await using var other = ArangoPlace.Open(server, "?prefix=other-");
        await FillAsync(one, 3);
        await other.PrepareAsync(Token);
        Assert.Empty(await other.ListAsync(RecordKind.Secret, "", null, Token).ToListAsync(Token));
    }

    [Fact]
    public async Task What_is_prepared_is_prepared_again_by_somebody_who_may_make_nothing()
    {
        await using var server = await ArangoPlace.EmulateAsync();
        await using var store = ArangoPlace.Open(server);
        await store.PrepareAsync(Token);
        var before = server.Seen.Count;
        await store.PrepareAsync(Token);
        Assert.All(server.Seen.Skip(before), static request => Assert.StartsWith("GET ", request, StringComparison.Ordinal));
    }

    private static async Task FillAsync(ArangoRecordStore store, int count)
    {
        await store.PrepareAsync(Token);
        foreach (var batch in Enumerable.Range(0, count).Chunk(RecordWrite.MostAtOnce))
        {
            Assert.True(await store.WriteAsync(
                [.. batch.Select(static i => new RecordWrite(new(RecordKind.Secret, $"id-{i:D3}"), null, Encoding.UTF8.GetBytes($$"""{"i":{{i}}}""")) { Terms = ["all"] })], Token));
        }
    }
}
