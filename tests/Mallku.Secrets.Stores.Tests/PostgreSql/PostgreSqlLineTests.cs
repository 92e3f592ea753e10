using System.Diagnostics;
using System.Text;
using System.Transactions;

namespace Mallku.Secrets.Stores.Tests.PostgreSql;

/// <summary>What a store does where the line to the server, or the server, gives way in the middle of a call.</summary>
[Collection(OnePostgreSql.Name)]
public sealed class PostgreSqlLineTests(SharedPostgreSql shared)
{
    private static readonly RecordKey A = new(RecordKind.Secret, "a");
    private readonly string _schema = $"line_{Guid.NewGuid():N}"[..30];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_write_that_was_cut_before_the_server_had_it_may_be_written_for_all_the_client_knows()
    {
        var server = await shared.StartAsync();
        await using var line = new Line(server.Port);
        await using var store = await PrepareAsync(server, line);
        var cut = line.CutAtNext(Way.ToServer);
        var fault = await Faults.UnreachableAsync(() => WriteAsync(store));
        await cut;
        Assert.True(fault.MayBeWritten);
        Assert.Null(await store.ReadAsync(A, Token));
        Assert.True(await WriteAsync(store));
    }

    [Fact]
    public async Task A_write_whose_answer_was_cut_off_may_be_written_and_is()
    {
        var server = await shared.StartAsync();
        await using var line = new Line(server.Port);
        await using var store = await PrepareAsync(server, line);
        var cut = line.CutAtNext(Way.ToClient);
        var fault = await Faults.UnreachableAsync(() => WriteAsync(store));
        await cut;
        Assert.True(fault.MayBeWritten);
        await using var other = server.Open(_schema);
        Assert.NotNull(await UntilAsync(() => other.ReadAsync(A, Token).AsTask(), static record => record is not null));
        Assert.False(await WriteAsync(store));
    }

    [Fact]
    public async Task A_write_whose_connection_an_administrator_ends_may_be_written()
    {
        var server = await shared.StartAsync();
        await using var line = new Line(server.Port);
        await using var store = await PrepareAsync(server, line);
        Assert.True(await WriteAsync(store));
        await using var holder = await server.ConnectAsync();
        await using var transaction = await holder.BeginTransactionAsync(Token);
        await ExecuteAsync(holder, $"UPDATE {_schema}.secret SET data = data");
        var first = await store.ReadAsync(A, Token);
        var writing = Faults.UnreachableAsync(() => WriteAsync(store, first!.Revision));
        await UntilAsync(
            () => server.RunAsync($"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%{_schema}%write%'"),
            static ended => ended is true);
        var fault = await writing;
        Assert.True(fault.MayBeWritten);
        await transaction.RollbackAsync(Token);
        Assert.Equal(first!.Revision, (await store.ReadAsync(A, Token))!.Revision);
    }

    [Fact]
    public async Task A_write_that_waits_too_long_for_another_is_not_made()
    {
        var server = await shared.StartAsync();
        await using var store = server.Open(_schema, more: "&command_timeout=1");
        await store.PrepareAsync(Token);
        Assert.True(await WriteAsync(store));
        var first = await store.ReadAsync(A, Token);
        await using var holder = await server.ConnectAsync();
        await using var transaction = await holder.BeginTransactionAsync(Token);
        await ExecuteAsync(holder, $"UPDATE {_schema}.secret SET data = data");
        await Faults.UnreachableAsync(() => WriteAsync(store, first!.Revision));

        // and one that its caller gives up
        using var end = CancellationTokenSource.CreateLinkedTokenSource(Token);
        await using var patient = server.Open(_schema);
        var given = Record.ExceptionAsync(async () => await patient.WriteAsync([Put(A, first!.Revision)], end.Token));
        await UntilAsync(() => server.RunAsync($"SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%{_schema}%write%'"), static waiting => waiting is > 0L);
        await end.CancelAsync();
        Assert.IsAssignableFrom<OperationCanceledException>(await given);
        await transaction.RollbackAsync(Token);
        Assert.Equal(first!.Revision, (await store.ReadAsync(A, Token))!.Revision);
    }

    // a driver that sees the row, and then waits for the commit in vain, may take the row for the answer
    [Fact]
    public async Task A_write_whose_row_came_and_whose_commit_did_not_is_not_acknowledged()
    {
        var server = await shared.StartAsync();
        await using var store = server.Open(_schema, more: "&command_timeout=1");
        await store.PrepareAsync(Token);
        await server.RunAsync($"""
            CREATE FUNCTION {_schema}.stall() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE NOTICE 'this sends the row on its way'; PERFORM pg_sleep(60); RETURN NULL; END $$;
            CREATE CONSTRAINT TRIGGER stall AFTER INSERT ON {_schema}.secret DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION {_schema}.stall();
            """);
        var fault = await Faults.UnreachableAsync(() => WriteAsync(store));
        Assert.True(fault.MayBeWritten);
        await server.RunAsync($"DROP TRIGGER stall ON {_schema}.secret");
        Assert.Null(await store.ReadAsync(A, Token));
    }

    [Fact]
    public async Task A_write_is_durable_also_where_the_database_would_not_wait_for_its_disk()
    {
        var server = await shared.StartAsync();
        await using var store = server.Open(_schema);
        await store.PrepareAsync(Token);
        await server.RunAsync($"""
            CREATE TABLE {_schema}.seen (setting text);
            CREATE FUNCTION {_schema}.look() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN INSERT INTO {_schema}.seen VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$;
            CREATE CONSTRAINT TRIGGER look AFTER INSERT ON {_schema}.secret DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION {_schema}.look();
            CREATE ROLE lax_{_schema} SUPERUSER LOGIN PASSWORD '{PostgreSqlServer.Password.Replace("'", "''", StringComparison.Ordinal)}';
            ALTER ROLE lax_{_schema} SET synchronous_commit = off;
            """);
        await using var lax = server.Open(_schema, user: "lax_" + _schema);
        Assert.True(await WriteAsync(lax));
        Assert.Equal("on", await server.RunAsync($"SELECT setting FROM {_schema}.seen"));
    }

    [Fact]
    public async Task An_acknowledged_write_is_not_undone_with_a_transaction_of_the_caller()
    {
        var server = await shared.StartAsync();
        await using var store = server.Open(_schema);
        await store.PrepareAsync(Token);
        using (new TransactionScope(TransactionScopeAsyncFlowOption.Enabled))
        {
            Assert.True(await WriteAsync(store));
        }

        Assert.NotNull(await store.ReadAsync(A, Token));
    }

    [Fact]
    public async Task A_watch_ends_when_its_line_is_cut()
    {
        var server = await shared.StartAsync();
        await using var line = new Line(server.Port);
        await using var store = await PrepareAsync(server, line);
        await using var heard = store.WatchAsync(Token).GetAsyncEnumerator(Token);
        Assert.True(await heard.MoveNextAsync());
        var next = Faults.UnreachableAsync(() => heard.MoveNextAsync().AsTask());
        line.Cut();
        await next;
    }

    [Fact]
    public async Task A_watch_ends_when_its_line_is_dead_and_nobody_says_so()
    {
        var server = await shared.StartAsync();
        await using var line = new Line(server.Port);
        await using var store = await PrepareAsync(server, line);
        await using var heard = store.WatchAsync(Token).GetAsyncEnumerator(Token);
        Assert.True(await heard.MoveNextAsync());
        line.Hold();
        var clock = Stopwatch.StartNew();
        await Faults.UnreachableAsync(() => heard.MoveNextAsync().AsTask());
        Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(15));
    }

    [Fact]
    public async Task How_old_a_known_value_may_be_counts_from_when_the_line_was_last_heard_of_and_not_from_when_that_is_found_out()
    {
        var server = await shared.StartAsync();
        await using var line = new Line(server.Port);
        await using var stage = await StoreStage.CreateAsync(await PrepareAsync(server, line));
        var store = stage.Open(follows: true, maxStaleness: TimeSpan.FromSeconds(2));
        await StoreStage.SetAsync(store, "known", "value");
        Assert.Equal("value", await StoreStage.GetAsync(store, "known"));
        await UntilAsync(() => Task.FromResult<object?>(store.Memory.IsFollowing), static follows => follows is true);
        line.Hold();
        var clock = Stopwatch.StartNew();
        await UntilAsync(() => Task.FromResult<object?>(store.Memory.IsFollowing), static follows => follows is false);
        Assert.InRange(clock.Elapsed, TimeSpan.FromSeconds(2.5), TimeSpan.FromSeconds(15));
        await Assert.ThrowsAsync<StoreUnreachableException>(() => StoreStage.GetAsync(store, "known"));
    }

    [Fact]
    public async Task A_watch_on_a_quiet_line_goes_on()
    {
        var server = await shared.StartAsync();
        await using var store = server.Open(_schema);
        await store.PrepareAsync(Token);
        await using var heard = store.WatchAsync(Token).GetAsyncEnumerator(Token);
        Assert.True(await heard.MoveNextAsync());
        var next = heard.MoveNextAsync().AsTask();

        // until it has asked twice whether the server is still there
        var watcher = await server.RunAsync($"SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%{_schema}%'");
        for (var asked = 0; asked < 2; asked++)
        {
            var before = await LastAsync();
            await UntilAsync(LastAsync, last => !Equals(last, before));
        }

        Task<object?> LastAsync() => server.RunAsync($"SELECT query_start FROM pg_stat_activity WHERE pid = {watcher}");
        Assert.False(next.IsCompleted);
        Assert.True(await WriteAsync(store));
        Assert.True(await next);
        Assert.Equal(A, heard.Current);
    }

    [Fact]
    public async Task Changes_are_told_by_their_keys_and_more_than_one_notification_takes_as_anything()
    {
        var server = await shared.StartAsync();
        await using var store = server.Open(_schema);
        await store.PrepareAsync(Token);
        await using var heard = store.WatchAsync(Token).GetAsyncEnumerator(Token);
        Assert.True(await heard.MoveNextAsync());
        var longIds = Enumerable.Range(0, 16).Select(static i => new RecordKey(RecordKind.Store, $"{i:D3}{new string('x', 197)}")).ToList();
        Assert.True(await store.WriteAsync([.. longIds.Select(static key => Put(key, null))], Token));
        var told = new List<RecordKey?>();
        while (told.Count < longIds.Count)
        {
            Assert.True(await heard.MoveNextAsync());
            told.Add(heard.Current);
        }

        Assert.Equal(longIds.Select(static key => (RecordKey?)key), told);
        // an instance's state and a batch of its trail are nobody else's business
        Assert.True(await store.WriteAsync([Put(new(RecordKind.Instance, "i"), null), Put(new(RecordKind.Audit, "i"), null)], Token));
        Assert.True(await store.WriteAsync([.. Enumerable.Range(0, 17).Select(static i => Put(new(RecordKind.Version, $"{i}"), null))], Token));
        Assert.True(await heard.MoveNextAsync());
        Assert.Null(heard.Current);

        // anybody may notify, and what is not understood may mean anything
        await server.RunAsync($"SELECT pg_notify('{_schema}.changes', 'secrets of old')");
        Assert.True(await heard.MoveNextAsync());
        Assert.Null(heard.Current);
    }

    [Fact]
    public async Task A_slow_line_changes_nothing()
    {
        var server = await shared.StartAsync();
        await using var line = new Line(server.Port) { Delay = TimeSpan.FromMilliseconds(20) };
        await using var store = await PrepareAsync(server, line);
        Assert.True(await WriteAsync(store));
        Assert.NotNull(await store.ReadAsync(A, Token));
    }

    internal static RecordWrite Put(RecordKey key, string? expected) => new(key, expected, Encoding.UTF8.GetBytes("{}"));

    internal static async Task<T> UntilAsync<T>(Func<Task<T>> look, Func<T, bool> isSo)
    {
        for (var clock = Stopwatch.StartNew(); clock.Elapsed < TimeSpan.FromSeconds(30); await Task.Delay(20, Token))
        {
            if (await look() is var seen && isSo(seen))
            {
                return seen;
            }
        }

        Assert.Fail("it has not come");
        return default;
    }

    private static async Task<bool> WriteAsync(IRecordStore store, string? expected = null) => await store.WriteAsync([Put(A, expected)], Token);

    private static async Task ExecuteAsync(Npgsql.NpgsqlConnection connection, string sql)
    {
        await using var command = new Npgsql.NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(Token);
    }

    // with a connection that is open already
    private async Task<IRecordStore> PrepareAsync(PostgreSqlServer server, Line line)
    {
        var store = server.Open(_schema, port: line.Port);
        await store.PrepareAsync(Token);
        return store;
    }
}
