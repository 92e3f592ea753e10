using System.Text.RegularExpressions;
using Npgsql;

namespace Mallku.Secrets.Stores.Tests.PostgreSql;

/// <summary>The roles, made by the SQL of the guide.</summary>
[Collection(OnePostgreSql.Name)]
public sealed partial class PostgreSqlRightsTests(SharedPostgreSql shared)
{
    private static readonly RecordKey Secret = new(RecordKind.Secret, "a"), Version = new(RecordKind.Version, "a"), Instance = new(RecordKind.Instance, "a"), Audit = new(RecordKind.Audit, "a");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Each_role_of_the_guide_may_do_what_it_is_for_and_no_more()
    {
        var server = await shared.StartAsync();
        await server.RunAsync("CREATE DATABASE rights");
        var blocks = SqlBlock().Matches(await File.ReadAllTextAsync(Guide(), Token)).Select(static match => match.Groups["sql"].Value).ToList();
        Assert.Equal(2, blocks.Count);
        await server.RunAsync(blocks[0], "rights");
        foreach (var role in new[] { "owner", "writer", "reader", "audit" })
        {
            await server.RunAsync($"ALTER ROLE mallku_{role} PASSWORD '{PostgreSqlServer.Password.Replace("'", "''", StringComparison.Ordinal)}'");
        }

        await using (var early = Open("writer"))
        {
            var fault = await Faults.ExpectAsync<SecretsException>(() => early.PrepareAsync(Token).AsTask());
            Assert.Contains("permission denied", fault.Problem, StringComparison.Ordinal);
        }

        await using (var owner = Open("owner"))
        {
            await owner.PrepareAsync(Token);
        }

        await server.RunAsync(blocks[1], "rights", "mallku_owner");
        await WriterAsync();
        await ReaderAsync();
        await AuditAsync();

        async Task WriterAsync()
        {
            await using var writer = Open("writer");
            await writer.PrepareAsync(Token);
            foreach (var kind in Enum.GetValues<RecordKind>())
            {
                Assert.True(await writer.WriteAsync([PutTerm(new(kind, "a"), null)], Token));
                if (kind != RecordKind.Audit)
                {
                    var first = await writer.ReadAsync(new(kind, "a"), Token);
                    Assert.True(await writer.WriteAsync([PutTerm(new(kind, "a"), first!.Revision)], Token));
                    var second = await writer.ReadAsync(new(kind, "a"), Token);
                    Assert.True(await writer.WriteAsync([new RecordWrite(new(kind, "a"), second!.Revision, null)], Token));
                    Assert.True(await writer.WriteAsync([PutTerm(new(kind, "a"), null)], Token));
                }
            }

            await RefuseAsync(
                "writer",
                "UPDATE mallku.audit SET data = ''", "DELETE FROM mallku.audit", "DELETE FROM mallku.audit_term", "TRUNCATE mallku.audit", "TRUNCATE mallku.secret",
                "DROP TABLE mallku.secret", "DROP SCHEMA mallku CASCADE", "ALTER TABLE mallku.secret ADD COLUMN mine text", "CREATE TABLE mallku.mine ()",
                "ALTER FUNCTION mallku.write OWNER TO mallku_writer", "DROP FUNCTION mallku.write", "UPDATE mallku.schema_version SET version = 0",
                "SELECT setval('mallku.revision', 1)");
        }

        async Task ReaderAsync()
        {
            await using var reader = Open("reader");
            await reader.PrepareAsync(Token);
            foreach (var kind in Enum.GetValues<RecordKind>())
            {
                Assert.NotNull(await reader.ReadAsync(new(kind, "a"), Token));
                Assert.Single(await reader.ListAsync(kind, "", null, Token).ToListAsync(Token));
                Assert.Single(await reader.FindAsync(kind, "term", "term", Token).ToListAsync(Token));
                await RefuseWriteAsync(reader, PutTerm(new(kind, "b"), null));
            }

            await using var heard = reader.WatchAsync(Token).GetAsyncEnumerator(Token);
            Assert.True(await heard.MoveNextAsync());
            await using var writer = Open("writer");
            Assert.True(await writer.WriteAsync([PutTerm(new(RecordKind.Secret, "heard"), null)], Token));
            Assert.True(await heard.MoveNextAsync());
            Assert.Equal(new RecordKey(RecordKind.Secret, "heard"), heard.Current);
            await RefuseAsync("reader", "UPDATE mallku.secret SET data = ''", "DELETE FROM mallku.instance", "SELECT nextval('mallku.revision')", "DROP TABLE mallku.secret");
        }

        async Task AuditAsync()
        {
            await using var audit = Open("audit");
            await audit.PrepareAsync(Token);
            Assert.True(await audit.WriteAsync([PutTerm(new(RecordKind.Audit, "b"), null), PutTerm(new(RecordKind.Instance, "b"), null)], Token));
            var state = await audit.ReadAsync(new(RecordKind.Instance, "b"), Token);
            Assert.True(await audit.WriteAsync([PutTerm(new(RecordKind.Audit, "c"), null), PutTerm(new(RecordKind.Instance, "b"), state!.Revision)], Token));
            Assert.False(await audit.WriteAsync([PutTerm(new(RecordKind.Audit, "c"), null)], Token));
            Assert.NotNull(await audit.ReadAsync(Audit, Token));
            await Faults.ExpectAsync<SecretsException>(() => audit.ReadAsync(Version, Token).AsTask());
            Assert.NotNull(await audit.ReadAsync(Secret, Token));
            await RefuseWriteAsync(audit, PutTerm(new(RecordKind.Secret, "b"), null));
            await RefuseWriteAsync(audit, PutTerm(new(RecordKind.Version, "b"), null));
            await RefuseWriteAsync(audit, PutTerm(new(RecordKind.Store, "b"), null));
            state = await audit.ReadAsync(Instance, Token);
            await RefuseWriteAsync(audit, new RecordWrite(Instance, state!.Revision, null));
            await RefuseAsync(
                "audit",
                "UPDATE mallku.audit SET data = ''", "DELETE FROM mallku.audit", "DELETE FROM mallku.audit_term", "TRUNCATE mallku.audit", "DELETE FROM mallku.instance",
                "SELECT * FROM mallku.version", "SELECT * FROM mallku.version_term", "UPDATE mallku.secret SET data = ''", "DROP TABLE mallku.audit", "ALTER TABLE mallku.audit RENAME TO mine");
        }

        IRecordStore Open(string role) => server.Open("mallku", "mallku_" + role, "rights");

        async Task RefuseAsync(string role, params string[] statements)
        {
            foreach (var statement in statements)
            {
                var refusal = await Assert.ThrowsAsync<PostgresException>(() => server.RunAsync(statement, "rights", "mallku_" + role));
                Assert.True(refusal.SqlState == PostgresErrorCodes.InsufficientPrivilege, $"{statement}: {refusal.MessageText}");
            }
        }
    }

    private static RecordWrite PutTerm(RecordKey key, string? expected) => PostgreSqlLineTests.Put(key, expected) with { Terms = ["term"] };

    private static async Task RefuseWriteAsync(IRecordStore store, RecordWrite write)
    {
        var fault = await Faults.ExpectAsync<SecretsException>(() => store.WriteAsync([write], Token).AsTask());
        Assert.Contains("no right to do this: permission denied", fault.Problem, StringComparison.Ordinal);
    }

    private static string Guide()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Mallku.slnx")))
        {
            folder = Path.GetDirectoryName(folder)!;
        }

        return Path.Combine(folder, "docs", "guide", "stores-postgresql.md");
    }

    [GeneratedRegex("```sql\n(?<sql>.*?)```", RegexOptions.Singleline | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex SqlBlock();
}
