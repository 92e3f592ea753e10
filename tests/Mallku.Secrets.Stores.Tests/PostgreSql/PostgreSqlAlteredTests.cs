using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Stores.Tests.PostgreSql;

/// <summary>What somebody with the database does to its tables, and not to what is in them: whoever uses the store is told what it is.</summary>
[Collection(OnePostgreSql.Name)]
public sealed class PostgreSqlAlteredTests(SharedPostgreSql shared)
{
    private readonly string _schema = $"altered_{Guid.NewGuid():N}"[..30];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Each_use_refuses_tables_of_a_newer_version()
    {
        var server = await shared.StartAsync();
        await using var stage = await StoreStage.CreateAsync(server.Open(_schema));
        var store = stage.Open();
        await StoreStage.SetAsync(store, "key", "value");
        await server.RunAsync($"UPDATE {_schema}.schema_version SET version = 2");
        await using var records = server.Open(_schema);
        foreach (var call in new Func<Task>[]
        {
            async () => await records.WriteAsync([PostgreSqlLineTests.Put(new(RecordKind.Secret, "a"), null)], Token),
            async () => await records.ListAsync(RecordKind.Secret, "", null, Token).ToListAsync(Token),
            async () => await records.FindAsync(RecordKind.Secret, "a", "b", Token).ToListAsync(Token),
            async () => await records.ReadAsync(StoreRoot.Record, Token),

            // a connection on which it was refused is none on which it is known
            async () => await records.ReadAsync(StoreRoot.Record, Token),
            async () => await records.WriteAsync([PostgreSqlLineTests.Put(new(RecordKind.Secret, "a"), null)], Token),
            async () => await stage.Open(records: records).ReadAsync("key", Token),
        })
        {
            var fault = await Assert.ThrowsAnyAsync<SecretsException>(call);
            Assert.Contains("version 2", fault.Problem, StringComparison.Ordinal);
            Assert.Equal("use a newer mallku", fault.Remedy);
        }

        Assert.Equal(1L, await server.RunAsync($"SELECT count(*) FROM {_schema}.secret"));
        await server.RunAsync($"UPDATE {_schema}.schema_version SET version = 1");
        Assert.NotNull(await records.ReadAsync(StoreRoot.Record, Token));
    }

    [Fact]
    public async Task Who_may_not_read_the_version_may_use_what_he_may_read()
    {
        var server = await shared.StartAsync();
        await using var store = server.Open(_schema);
        await store.PrepareAsync(Token);
        Assert.True(await store.WriteAsync([PostgreSqlLineTests.Put(new(RecordKind.Secret, "a"), null)], Token));
        await GrantAsync(server);
        await server.RunAsync($"REVOKE ALL ON {_schema}.schema_version FROM {_schema}");
        for (var turn = 0; turn < 2; turn++)
        {
            await using var other = server.Open(_schema, user: _schema);
            if (turn == 0)
            {
                Assert.NotNull(await other.ReadAsync(new(RecordKind.Secret, "a"), Token));
            }

            Assert.Single(await other.ListAsync(RecordKind.Secret, "", null, Token).ToListAsync(Token));
            Assert.True(await other.WriteAsync([PostgreSqlLineTests.Put(new(RecordKind.Secret, $"b{turn}"), null)], Token));
            Assert.True(await other.WriteAsync([new(new(RecordKind.Secret, $"b{turn}"), (await other.ReadAsync(new(RecordKind.Secret, $"b{turn}"), Token))!.Revision, null)], Token));
        }
    }

    [Theory]
    [InlineData("ALTER COLUMN data DROP NOT NULL", "data = NULL")]
    [InlineData("ALTER COLUMN revision TYPE text", "revision = 'x'")]
    [InlineData("ALTER COLUMN revision DROP NOT NULL", "revision = NULL")]
    public async Task A_row_that_is_none_of_the_programs_is_named(string alter, string set)
    {
        var server = await shared.StartAsync();
        await using var store = server.Open(_schema);
        await store.PrepareAsync(Token);
        Assert.True(await store.WriteAsync([PostgreSqlLineTests.Put(new(RecordKind.Secret, "a"), null) with { Terms = ["term"] }], Token));
        await server.RunAsync($"ALTER TABLE {_schema}.secret {alter}; UPDATE {_schema}.secret SET {set}");
        await using var other = server.Open(_schema);
        foreach (var call in new Func<Task>[]
        {
            async () => await other.ReadAsync(new(RecordKind.Secret, "a"), Token),
            async () => await other.ReadAsync(new(RecordKind.Secret, "a"), Token),
            async () => await other.ListAsync(RecordKind.Secret, "", null, Token).ToListAsync(Token),
            async () => await other.FindAsync(RecordKind.Secret, "term", "term", Token).ToListAsync(Token),
        })
        {
            var fault = await Assert.ThrowsAsync<SecretsException>(call);
            Assert.StartsWith($"{other.Description}: the record a of the table 'secret' was altered", fault.Problem, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_function_that_answers_nothing_is_an_error_and_no_change()
    {
        var server = await shared.StartAsync();
        await using var stage = await StoreStage.CreateAsync(server.Open(_schema));
        var store = stage.Open();
        await StoreStage.SetAsync(store, "key", "value");
        await ReplaceWriteAsync(server, "SELECT NULL::boolean");
        var fault = await Assert.ThrowsAsync<SecretsException>(() => StoreStage.SetAsync(store, "key", "other"));
        Assert.Contains("the function 'write' was altered", fault.Problem, StringComparison.Ordinal);
        Assert.Contains("nothing was changed", fault.Problem, StringComparison.Ordinal);
        RequireOneAborted(stage, 1);
    }

    [Fact]
    public async Task Without_the_function_nobody_is_sent_to_make_the_store()
    {
        var server = await shared.StartAsync();
        await using var stage = await StoreStage.CreateAsync(server.Open(_schema));
        await server.RunAsync($"DROP FUNCTION {_schema}.write");
        var fault = await Assert.ThrowsAsync<SecretsException>(() => StoreStage.SetAsync(stage.Open(), "key", "value"));
        Assert.Contains("the function 'write'", fault.Problem, StringComparison.Ordinal);
        Assert.DoesNotContain("store init", fault.Remedy, StringComparison.Ordinal);
        await using var records = server.Open(_schema);
        using var key = StoreKey.Generate();
        fault = await Assert.ThrowsAsync<SecretsException>(async () => await new StoreRoot(records, key).CreateAsync(TimeProvider.System, Token));
        Assert.DoesNotContain("store init", fault.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_always_refuses_a_write_is_said_soon_and_not_taken_for_others_that_write()
    {
        var server = await shared.StartAsync();
        await using var stage = await StoreStage.CreateAsync(server.Open(_schema));
        var store = stage.Open();
        await StoreStage.SetAsync(store, "key", "value");
        await ReplaceWriteAsync(server, "SELECT false");
        await RequireRefusedAsync("'key'", () => StoreStage.SetAsync(store, "key", "other"));
        RequireOneAborted(stage, 5);
        await RequireRefusedAsync("'new'", () => StoreStage.SetAsync(store, "new", "value"));
        await RequireRefusedAsync("its own record", () => store.ResealAsync(progress: null, Token).AsTask());
        await RequireRefusedAsync("its own record", () => store.Root.ChangeAsync(static head => head with { Keep = 3 }, Token).AsTask());
        await RequireRefusedAsync("who rotates", () => store.TakeTurnAsync(Token).AsTask());
    }

    [Fact]
    public async Task Rows_that_a_policy_hides_from_writes_are_refused_ones()
    {
        var server = await shared.StartAsync();
        await using var stage = await StoreStage.CreateAsync(server.Open(_schema));
        await StoreStage.SetAsync(stage.Open(), "key", "value");
        await GrantAsync(server);
        foreach (var table in new[] { "store", "secret" })
        {
            await server.RunAsync($"""
                ALTER TABLE {_schema}.{table} ENABLE ROW LEVEL SECURITY;
                CREATE POLICY r ON {_schema}.{table} FOR SELECT USING (true);
                CREATE POLICY i ON {_schema}.{table} FOR INSERT WITH CHECK (true);
                """);
        }

        await using var records = server.Open(_schema, user: _schema);
        var store = stage.Open(records: records);
        await RequireRefusedAsync("its own record", () => store.ResealAsync(progress: null, Token).AsTask());
        await RequireRefusedAsync("'key'", () => StoreStage.SetAsync(store, "key", "other"));
        Assert.Equal("value", await StoreStage.GetAsync(store, "key"));
    }

    [Fact]
    public async Task A_store_whose_schema_is_gone_is_gone_for_who_has_seen_it()
    {
        var server = await shared.StartAsync();
        await using var stage = await StoreStage.CreateAsync(server.Open(_schema));
        await StoreStage.SetAsync(stage.Open(seen: "here"), "key", "value");
        await server.RunAsync($"DROP SCHEMA {_schema} CASCADE");
        var gone = await Assert.ThrowsAsync<VaultOpenException>(() => StoreStage.GetAsync(stage.Open(seen: "here"), "key"));
        Assert.Contains("is gone", gone.Problem, StringComparison.Ordinal);
        Assert.DoesNotContain("store init", gone.Remedy, StringComparison.Ordinal);
        var absent = await Assert.ThrowsAsync<VaultOpenException>(() => StoreStage.GetAsync(stage.Open(), "key"));
        Assert.Contains("store init", absent.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_database_that_is_read_only_by_a_setting_is_not_called_a_standby_alone()
    {
        var server = await shared.StartAsync();
        await using var stage = await StoreStage.CreateAsync(server.Open(_schema));
        await GrantAsync(server);
        await server.RunAsync($"ALTER ROLE {_schema} SET default_transaction_read_only = on");
        await using var records = server.Open(_schema, user: _schema);
        var fault = await Assert.ThrowsAsync<SecretsException>(() => StoreStage.SetAsync(stage.Open(records: records), "key", "value"));
        Assert.Contains("default_transaction_read_only", fault.Remedy, StringComparison.Ordinal);
        Assert.Contains("primary", fault.Remedy, StringComparison.Ordinal);
    }

    private static async Task RequireRefusedAsync(string what, Func<Task> call)
    {
        var fault = await Assert.ThrowsAsync<SecretsException>(() => call().WaitAsync(TimeSpan.FromSeconds(60), Token));
        Assert.Contains($"refuses each write of {what}, though nobody has changed it", fault.Problem, StringComparison.Ordinal);
        Assert.Contains("row-level security", fault.Remedy, StringComparison.Ordinal);
    }

    private static void RequireOneAborted(StoreStage stage, int count)
    {
        lock (stage.Told)
        {
            Assert.Equal(Enumerable.Repeat(SealedStore.NotTaken, count), stage.Told.Where(static told => told.Kind == LedgerKind.Aborted).Select(static told => told.Note), StringComparer.Ordinal);
        }
    }

    private Task<object?> ReplaceWriteAsync(PostgreSqlServer server, string body) => server.RunAsync(
        $"CREATE OR REPLACE FUNCTION {_schema}.write(kinds text[], ids text[], expected bigint[], data bytea[], terms text[]) RETURNS boolean LANGUAGE sql AS $$ {body} $$");

    private Task<object?> GrantAsync(PostgreSqlServer server) => server.RunAsync($"""
        CREATE ROLE {_schema} LOGIN PASSWORD '{PostgreSqlServer.Password.Replace("'", "''", StringComparison.Ordinal)}';
        GRANT USAGE ON SCHEMA {_schema} TO {_schema};
        GRANT ALL ON ALL TABLES IN SCHEMA {_schema} TO {_schema};
        GRANT USAGE ON SEQUENCE {_schema}.revision TO {_schema};
        """);
}
