namespace Mallku.Secrets.Stores.Tests.PostgreSql;

/// <summary>What a person is told where the server refuses.</summary>
[Collection(OnePostgreSql.Name)]
public sealed class PostgreSqlRefusalTests(SharedPostgreSql shared)
{
    private readonly string _schema = $"refusal_{Guid.NewGuid():N}"[..30];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Nothing_prepared_is_not_an_empty_store()
    {
        var server = await shared.StartAsync();
        await using var store = server.Open(_schema);
        foreach (var call in new Func<Task>[]
        {
            async () => await store.ReadAsync(new(RecordKind.Secret, "a"), Token),
            async () => await store.WriteAsync([PostgreSqlLineTests.Put(new(RecordKind.Secret, "a"), null)], Token),
            async () => await store.ListAsync(RecordKind.Secret, "", null, Token).ToListAsync(Token),
            async () => await store.FindAsync(RecordKind.Secret, "a", "b", Token).ToListAsync(Token),
        })
        {
            var fault = await Faults.ExpectAsync<SecretsException>(call);
            Assert.Contains("SharedStore.CreateAsync", fault.Remedy, StringComparison.Ordinal);
            Assert.Contains(store.Description, fault.Problem, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("the server does not accept the user's password", "postgres", "postgres", "canary-wrong")]
    [InlineData("the server does not accept the user's password", "nobody-here", "postgres", PostgreSqlServer.Password)]
    [InlineData("the server asks for a password, and there is none", "postgres", "postgres", null)]
    [InlineData("the server has no such database", "postgres", "nowhere", PostgreSqlServer.Password)]
    public async Task Who_is_not_let_in_is_told_why(string problem, string user, string database, string? password)
    {
        var server = await shared.StartAsync();
        await using var store = Stores.PostgreSql.PostgreSqlRecordStore.Open(server.Address(_schema, user, database, password: password, more: "&passfile=/dev/null"));
        var fault = await Faults.ExpectAsync<SecretsException>(() => store.ReadAsync(new(RecordKind.Secret, "a"), Token).AsTask());
        Assert.Equal($"{store.Description}: {problem}", fault.Problem);
        await Faults.ExpectAsync<SecretsException>(() => store.PrepareAsync(Token).AsTask());
        await Faults.ExpectAsync<SecretsException>(async () => await store.WatchAsync(Token).FirstAsync(Token));
    }

    [Fact]
    public async Task The_password_may_be_given_apart_from_the_address()
    {
        var server = await shared.StartAsync();
        using var password = SecretValue.FromString(PostgreSqlServer.Password);
        await using var store = Stores.PostgreSql.PostgreSqlRecordStore.Open(server.Address(_schema, password: null), password);
        await store.PrepareAsync(Token);
        Assert.DoesNotContain("canary", store.Description, StringComparison.Ordinal);
    }

    [Fact]
    public async Task No_connection_left_is_unreachable()
    {
        var server = await shared.StartAsync();
        await server.RunAsync($"CREATE ROLE {_schema} LOGIN CONNECTION LIMIT 0 PASSWORD '{PostgreSqlServer.Password.Replace("'", "''", StringComparison.Ordinal)}'");
        await using var store = server.Open(_schema, user: _schema);
        var fault = await Faults.UnreachableAsync(() => store.ReadAsync(new(RecordKind.Secret, "a"), Token).AsTask());
        Assert.Contains("no connection left", fault.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task More_calls_at_once_than_connections_wait_for_each_other()
    {
        var server = await shared.StartAsync();
        await using var store = server.Open(_schema, more: "&pool_size=2");
        await store.PrepareAsync(Token);
        Assert.All(await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => store.ReadAsync(new(RecordKind.Secret, "a"), Token).AsTask())), Assert.Null);
    }

    [Fact]
    public async Task Whoever_reads_a_list_keeps_no_connection_from_others()
    {
        var server = await shared.StartAsync();
        await using var store = server.Open(_schema, more: "&pool_size=1&connect_timeout=3");
        await store.PrepareAsync(Token);
        string[] ids = [.. Enumerable.Range(0, 40).Select(static i => $"a{i:D2}")];
        foreach (var id in ids)
        {
            Assert.True(await store.WriteAsync([new RecordWrite(new(RecordKind.Secret, id), Expected: null, "{}"u8.ToArray()) { Terms = [id] }], Token));
        }

        var seen = new List<string>();
        await foreach (var outer in store.ListAsync(RecordKind.Secret, "", before: null, Token))
        {
            seen.Add(outer.Key.Id);
            await foreach (var inner in store.FindAsync(RecordKind.Secret, outer.Key.Id, outer.Key.Id, Token))
            {
                Assert.NotNull(await store.ReadAsync(inner.Key, Token));
            }
        }

        Assert.Equal(ids, seen, StringComparer.Ordinal);
    }

    [Theory]
    [InlineData("53100", "the server's disk is full; nothing was written")]
    [InlineData("25006", "it takes no writes")]
    [InlineData("42501", "the user has no right to do this: canary")]
    [InlineData("XX001", "the server has failed with SQLSTATE XX001")]
    public async Task An_error_of_the_server_is_told_as_what_it_is(string state, string problem)
    {
        var server = await shared.StartAsync();
        await using var store = await PrepareFailingAsync(server, state);
        var fault = await Assert.ThrowsAsync<SecretsException>(() => store.WriteAsync([PostgreSqlLineTests.Put(new(RecordKind.Secret, "a"), null)], Token).AsTask());
        Assert.Equal($"{store.Description}: {problem}", fault.Problem);
    }

    [Theory]
    [InlineData("57014")]
    [InlineData("55P03")]
    [InlineData("53200")]
    [InlineData("53300")]
    public async Task A_server_that_has_no_time_now_is_unreachable_and_has_written_nothing(string state)
    {
        var server = await shared.StartAsync();
        await using var store = await PrepareFailingAsync(server, state);
        var fault = await Assert.ThrowsAsync<StoreUnreachableException>(() => store.WriteAsync([PostgreSqlLineTests.Put(new(RecordKind.Secret, "a"), null)], Token).AsTask());
        Assert.False(fault.MayBeWritten);
    }

    [Theory]
    [InlineData("40001")]
    [InlineData("40P01")]
    public async Task A_write_that_the_server_took_back_for_another_is_one_that_came_too_late(string state)
    {
        var server = await shared.StartAsync();
        await using var store = await PrepareFailingAsync(server, state);
        Assert.False(await store.WriteAsync([PostgreSqlLineTests.Put(new(RecordKind.Secret, "a"), null)], Token));
    }

    [Fact]
    public async Task Tables_of_a_newer_version_are_left_alone()
    {
        var server = await shared.StartAsync();
        await using var store = server.Open(_schema);
        await store.PrepareAsync(Token);
        await server.RunAsync($"INSERT INTO {_schema}.schema_version VALUES (2)");
        var fault = await Faults.ExpectAsync<SecretsException>(() => store.PrepareAsync(Token).AsTask());
        Assert.Contains("version 2", fault.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_schema_with_tables_of_something_else_is_left_alone()
    {
        var server = await shared.StartAsync();
        await server.RunAsync($"CREATE SCHEMA {_schema} CREATE TABLE version (mine text)");
        await using var store = server.Open(_schema);
        var fault = await Faults.ExpectAsync<SecretsException>(() => store.PrepareAsync(Token).AsTask());
        Assert.Contains("something else", fault.Problem, StringComparison.Ordinal);
        Assert.Equal(1L, await server.RunAsync($"SELECT count(*) FROM pg_tables WHERE schemaname = '{_schema}'"));
    }

    private async Task<IRecordStore> PrepareFailingAsync(PostgreSqlServer server, string state)
    {
        var store = server.Open(_schema);
        await store.PrepareAsync(Token);
        await server.RunAsync($"""
            CREATE FUNCTION {_schema}.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'canary' USING ERRCODE = '{state}'; END $$;
            CREATE TRIGGER fail BEFORE INSERT ON {_schema}.secret FOR EACH ROW EXECUTE FUNCTION {_schema}.fail();
            """);
        return store;
    }
}
