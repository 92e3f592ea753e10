using System.Text;
using Mallku.ArangoDb.TestServer;
using Mallku.Secrets.Stores.ArangoDb;
using Microsoft.Extensions.Time.Testing;

namespace Mallku.Secrets.Stores.Tests.ArangoDb;

/// <summary>What a user is told, and what is in the database, when something goes wrong on the way.</summary>
public sealed class ArangoFaultTests : IAsyncLifetime
{
    private static readonly RecordKey A = new(RecordKind.Secret, "a"), B = new(RecordKind.Version, "b");

    private ArangoServer _server = null!;
    private ArangoRecordStore _store = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _server = await ArangoPlace.EmulateAsync();
        _store = ArangoPlace.Open(_server);
        await _store.PrepareAsync(Token);
    }

    public async ValueTask DisposeAsync()
    {
        await _store.DisposeAsync();
        await _server.DisposeAsync();
    }

    [Theory]
    [InlineData(Mishap.LosesAnswer)]
    [InlineData(Mishap.LosesRequest)]
    [InlineData(Mishap.CutsAnswer)]
    [InlineData(Mishap.BreaksAnswer)]
    [InlineData(Mishap.AnswersPage)]
    [InlineData(Mishap.IsUnavailable)]
    public async Task A_commit_whose_answer_is_lost_once_is_known_to_be_made(Mishap mishap)
    {
        _server.MishapOnce("PUT _api/transaction/", mishap);
        Assert.True(await _store.WriteAsync([Put(A, null), Put(B, null)], Token));
        Assert.NotNull(await _store.ReadAsync(A, Token));
        Assert.NotNull(await _store.ReadAsync(B, Token));
    }

    [Theory]
    [InlineData(Mishap.LosesAnswer, true)]
    [InlineData(Mishap.CutsAnswer, true)]
    [InlineData(Mishap.BreaksAnswer, true)]
    [InlineData(Mishap.AnswersPage, false)]
    [InlineData(Mishap.IsUnavailable, false)]
    public async Task A_commit_that_nobody_answers_may_be_made(Mishap mishap, bool isMade)
    {
        _server.Mishaps(request => request.StartsWith("PUT _api/transaction/", StringComparison.Ordinal) ? mishap : Mishap.None);
        var fault = await Assert.ThrowsAsync<StoreUnreachableException>(async () => await _store.WriteAsync([Put(A, null), Put(B, null)], Token));
        Assert.True(fault.MayBeWritten);
        Assert.Equal(isMade, await _store.ReadAsync(A, Token) is not null);
        Assert.Equal(isMade, await _store.ReadAsync(B, Token) is not null);
    }

    [Theory]
    [InlineData(Mishap.LosesAnswer, true)]
    [InlineData(Mishap.CutsAnswer, true)]
    [InlineData(Mishap.BreaksAnswer, true)]
    [InlineData(Mishap.LosesRequest, false)]
    [InlineData(Mishap.AnswersPage, false)]
    [InlineData(Mishap.IsUnavailable, false)]
    public async Task A_write_of_one_record_whose_answer_is_lost_may_be_made(Mishap mishap, bool isMade)
    {
        _server.MishapOnce("POST _api/document/", mishap);
        var fault = await Assert.ThrowsAsync<StoreUnreachableException>(async () => await _store.WriteAsync([Put(A, null)], Token));
        Assert.True(fault.MayBeWritten);
        Assert.Equal(isMade, await _store.ReadAsync(A, Token) is not null);
    }

    // a request without a body is sent once more by itself where its connection breaks, and finds nothing to remove then
    [Fact]
    public async Task A_removal_whose_answer_is_lost_is_not_taken_for_a_refused_one()
    {
        Assert.True(await _store.WriteAsync([Put(A, null)], Token));
        var there = await _store.ReadAsync(A, Token);
        _server.MishapOnce("DELETE _api/document/", Mishap.LosesAnswer);
        var fault = await Assert.ThrowsAsync<StoreUnreachableException>(async () => await _store.WriteAsync([new RecordWrite(A, there!.Revision, null)], Token));
        Assert.True(fault.MayBeWritten);
        Assert.Null(await _store.ReadAsync(A, Token));
    }

    [Theory]
    [InlineData("POST _api/transaction/begin", Mishap.LosesAnswer)]
    [InlineData("POST _api/document/", Mishap.LosesRequest)]
    [InlineData("POST _api/document/", Mishap.LosesAnswer)]
    [InlineData("PUT _api/document/", Mishap.IsUnavailable)]
    [InlineData("PUT _api/document/", Mishap.CutsAnswer)]
    [InlineData("PUT _api/document/", Mishap.AnswersPage)]
    public async Task What_fails_before_the_commit_is_not_made_and_is_given_up(string request, Mishap mishap)
    {
        Assert.True(await _store.WriteAsync([Put(B, null)], Token));
        var there = await _store.ReadAsync(B, Token);
        _server.MishapOnce(request, mishap);
        var fault = await Assert.ThrowsAsync<StoreUnreachableException>(async () => await _store.WriteAsync([Put(A, null), Put(B, there!.Revision)], Token));
        Assert.False(fault.MayBeWritten);
        Assert.Null(await _store.ReadAsync(A, Token));
        Assert.Equal(there!.Revision, (await _store.ReadAsync(B, Token))!.Revision);
        Assert.Equal(request.EndsWith("begin", StringComparison.Ordinal) ? 1 : 0, _server.OpenTransactions);
        Assert.True(await _store.WriteAsync([Put(A, null), Put(B, there.Revision)], Token));
    }

    [Fact]
    public async Task A_write_that_is_cancelled_on_its_way_may_be_made_and_one_before_its_commit_is_not()
    {
        using var end = new CancellationTokenSource();
        _server.MishapOnce("POST _api/document/", Mishap.Hangs);
        var write = _store.WriteAsync([Put(A, null)], end.Token).AsTask();
        await SeenAsync("POST _api/document/mallku_secret");
        await end.CancelAsync();
        Assert.True((await Assert.ThrowsAsync<StoreUnreachableException>(() => write)).MayBeWritten);

        using var again = new CancellationTokenSource();
        _server.MishapOnce("POST _api/document/mallku_version", Mishap.Hangs);
        write = _store.WriteAsync([Put(A, null), Put(B, null)], again.Token).AsTask();
        await SeenAsync("POST _api/document/mallku_version");
        await again.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => write);
        Assert.Null(await _store.ReadAsync(A, Token));
        Assert.Equal(0, _server.OpenTransactions);
    }

    [Fact]
    public async Task A_server_that_does_not_answer_is_not_waited_for_for_ever()
    {
        var clock = new FakeTimeProvider();
        await using var store = ArangoPlace.Open(_server, clock: clock);
        Assert.Null(await store.ReadAsync(A, Token));
        _server.MishapOnce("GET _api/document/mallku_version/b", Mishap.Hangs);
        var read = store.ReadAsync(B, Token).AsTask();
        await SeenAsync("GET _api/document/mallku_version/b");
        Assert.False(read.IsCompleted);
        clock.Advance(TimeSpan.FromSeconds(10));
        var fault = await Assert.ThrowsAsync<StoreUnreachableException>(() => read);
        Assert.Contains("did not answer within 10 seconds", fault.Problem, StringComparison.Ordinal);
        Assert.False(fault.MayBeWritten);
    }

    [Fact]
    public async Task A_server_that_is_gone_is_unreachable_in_every_call()
    {
        await using var watched = _store.WatchAsync(Token).GetAsyncEnumerator(Token);
        Assert.True(await watched.MoveNextAsync());
        var next = watched.MoveNextAsync().AsTask();
        await _server.KillAsync();
        await Assert.ThrowsAsync<StoreUnreachableException>(() => next);
        foreach (var call in Calls(_store))
        {
            var fault = await Assert.ThrowsAsync<StoreUnreachableException>(call);
            Assert.False(fault.MayBeWritten, fault.Message);
        }
    }

    [Theory]
    [InlineData(Mishap.AnswersPage, "is not ArangoDB")]
    [InlineData(Mishap.CutsAnswer, "only a part of it arrived")]
    [InlineData(Mishap.BreaksAnswer, "broke the connection off")]
    [InlineData(Mishap.IsUnavailable, "HTTP 503, error 1429")]
    public async Task What_is_no_answer_is_named_in_every_call(Mishap mishap, string problem)
    {
        _server.Mishaps(_ => mishap);
        foreach (var call in Calls(_store))
        {
            Assert.Contains(problem, (await Assert.ThrowsAsync<StoreUnreachableException>(call)).Problem, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_write_waits_for_another_that_is_given_up()
    {
        Assert.True(await _store.WriteAsync([Put(A, null)], Token));
        var there = await _store.ReadAsync(A, Token);
        var tries = Writes();
        Task<bool> write;
        using (_server.Hold("mallku_secret", A.Id))
        {
            write = _store.WriteAsync([Put(A, there!.Revision)], Token).AsTask();
            await UntilAsync(() => Writes() >= tries + 2);
            Assert.False(write.IsCompleted);
        }

        Assert.True(await write);

        int Writes() => _server.Seen.Count(static request => request.StartsWith("PUT _api/document/", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_write_that_others_never_let_through_ends()
    {
        await using var store = ArangoPlace.Open(_server, clock: new HastyClock());
        using var held = _server.Hold("mallku_secret", A.Id);
        var fault = await Assert.ThrowsAsync<StoreUnreachableException>(async () => await store.WriteAsync([Put(A, null)], Token));
        Assert.False(fault.MayBeWritten);
        Assert.Contains("others have written the same records", fault.Problem, StringComparison.Ordinal);
    }

    /// <summary>Measures a hundred times what has passed. Its timers take their time.</summary>
    private sealed class HastyClock : TimeProvider
    {
        public override long GetTimestamp() => base.GetTimestamp() * 100;
    }

    private static RecordWrite Put(RecordKey key, string? expected) => new(key, expected, Encoding.UTF8.GetBytes("""{"text":"x"}"""));

    /// <summary>One of each call, of which all go wrong when the server does.</summary>
    internal static IEnumerable<Func<Task>> Calls(IRecordStore store) =>
    [
        async () => await store.PrepareAsync(Token),
        async () => await store.ReadAsync(A, Token),
        async () => await store.ListAsync(RecordKind.Secret, "", null, Token).CountAsync(Token),
        async () => await store.FindAsync(RecordKind.Secret, "x", "x", Token).CountAsync(Token),
        async () => await store.WriteAsync([Put(A, null), Put(B, null)], Token),
        async () => await store.WriteAsync([new RecordWrite(A, null, null)], Token),
        async () => await store.WatchAsync(Token).FirstAsync(Token),
    ];

    private Task SeenAsync(string request) => UntilAsync(() => _server.Seen.Contains(request, StringComparer.Ordinal));

    private static async Task UntilAsync(Func<bool> isSo)
    {
        using var late = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, Token);
        while (!isSo())
        {
            await Task.Delay(5, either.Token);
        }
    }
}
