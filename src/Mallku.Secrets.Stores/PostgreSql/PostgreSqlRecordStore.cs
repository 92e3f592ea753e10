using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using Mallku.Secrets.Storage;
using Npgsql;
using NpgsqlTypes;

namespace Mallku.Secrets.Stores.PostgreSql;

/// <summary>Records in a schema of a PostgreSQL database.</summary>
public sealed class PostgreSqlRecordStore : IRecordStore
{
    // the first page is small, since records may be large; the next ones are of about so many bytes
    private const int FirstPage = 16, LargestPage = 256, PageBytes = 1 << 20;

    // who watches asks after so long a silence whether the server is still there, and waits as long for the answer; Npgsql then
    // asks for that to be cancelled, which takes the time for a connection besides: 11 s by default until a silence is told
    private const int ProbeSeconds = 3;

    // above every id and term
    private const string End = "~";

    private readonly NpgsqlDataSource _pool;
    private readonly NpgsqlDataSource _watching;
    private readonly string _schema;

    private PostgreSqlRecordStore(PostgreSqlAddress address)
    {
        _schema = address.Schema;
        Description = address.Description;
        _pool = Build(address, static connection => (connection.MaxAutoPrepare, connection.AutoPrepareMinUsages) = (32, 2));
        _watching = Build(address, static connection => (connection.Pooling, connection.CommandTimeout, connection.CancellationTimeout) = (false, ProbeSeconds, -1));
    }

    /// <inheritdoc/>
    public string Description { get; }

    /// <inheritdoc/>
    public int MaxDataLength => 4 << 20;

    /// <summary>Names the records; the first use connects.</summary>
    /// <param name="address">
    /// <c>postgres://USER@HOST:PORT/DATABASE?sslmode=verify-full&amp;schema=mallku</c>, or a connection string of Npgsql with
    /// <c>Schema</c> beside its own settings.
    /// </param>
    /// <param name="password">The user's; null where the address has it, or <c>PGPASSWORD</c> or a passfile, or there is none.</param>
    /// <exception cref="SecretsException">The address is none.</exception>
    public static PostgreSqlRecordStore Open(string address, SecretValue? password = null)
    {
        var parsed = PostgreSqlAddress.Parse(address);
        if (password is not null)
        {
            parsed.Connection.Password = password.RevealString();
        }

        return new PostgreSqlRecordStore(parsed);
    }

    /// <inheritdoc/>
    public async ValueTask PrepareAsync(CancellationToken cancellationToken)
    {
        if (await ReadVersionAsync(cancellationToken).ConfigureAwait(false) is null)
        {
            await CreateAsync(cancellationToken).ConfigureAwait(false);
            await ReadVersionAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    public async ValueTask<StoredRecord?> ReadAsync(RecordKey key, CancellationToken cancellationToken)
    {
        var connection = await ConnectAsync(_pool, cancellationToken).ConfigureAwait(false);
        await using var _ = connection.ConfigureAwait(false);
        try
        {
            var command = Command(connection, $"SELECT id, revision, data FROM {Table(key.Kind)} WHERE id = $1", key.Id);
            await using var __ = command.ConfigureAwait(false);
            var row = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
            await using var ___ = row.ConfigureAwait(false);
            return await row.ReadAsync(cancellationToken).ConfigureAwait(false) ? Record(key.Kind, row) : null;
        }
        catch (Exception fault) when (PostgreSqlFault.Is(fault))
        {
            throw PostgreSqlFault.Translate(Description, fault);
        }
    }

    /// <inheritdoc/>
    public IAsyncEnumerable<StoredRecord> ListAsync(RecordKind kind, string from, string? before, CancellationToken cancellationToken) => ReadPagesAsync(
        kind,
        $"SELECT id, revision, data FROM {Table(kind)} WHERE id >= $1 AND id < $2 ORDER BY id LIMIT",
        "",
        [from, before ?? End],
        static (row, position) => position[0] = After(row.GetString(0)),
        cancellationToken);

    /// <inheritdoc/>
    public IAsyncEnumerable<StoredRecord> FindAsync(RecordKind kind, string first, string last, CancellationToken cancellationToken) => ReadPagesAsync(
        kind,
        // the page is cut before the join, and by bounds of the index itself: so the planner has no choice to get wrong
        $"""
        SELECT id, revision, data, term FROM (
            SELECT term, id FROM {Table(kind, "_term")}
            WHERE {(first == last ? "term = $1 AND id >= $2" : "(term, id) >= ($1, $2)")} AND term <= $3 ORDER BY term, id LIMIT
        """,
        $"""
        ) AS page JOIN {Table(kind)} USING (id) ORDER BY term, id
        """,
        [first, "", last],
        static (row, position) => (position[0], position[1]) = (row.GetString(3), After(row.GetString(0))),
        cancellationToken);

    /// <inheritdoc/>
    public async ValueTask<bool> WriteAsync(IReadOnlyList<RecordWrite> writes, CancellationToken cancellationToken)
    {
        RecordWrite.Require(writes, MaxDataLength);
        var connection = await ConnectAsync(_pool, cancellationToken).ConfigureAwait(false);
        await using var _ = connection.ConfigureAwait(false);
        var command = WriteCommand(connection, writes);
        await using var __ = command.ConfigureAwait(false);
        try
        {
            var answer = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
            await using var ___ = answer.ConfigureAwait(false);
            await answer.ReadAsync(cancellationToken).ConfigureAwait(false);
            var written = answer.GetBoolean(0);

            // the commit comes after the row, and whoever only disposes of the answer is not told where it never came
            await answer.NextResultAsync(cancellationToken).ConfigureAwait(false);
            return written;
        }
        catch (PostgresException e) when (e.SqlState is PostgresErrorCodes.SerializationFailure or PostgresErrorCodes.DeadlockDetected && PostgreSqlFault.IsUndone(e))
        {
            return false;
        }
        catch (Exception fault) when (PostgreSqlFault.IsUndone(fault))
        {
            throw PostgreSqlFault.Translate(Description, fault);
        }
        catch (Exception fault) when (PostgreSqlFault.Is(fault) || (fault is OperationCanceledException && !PostgreSqlFault.IsUndone(fault.InnerException)))
        {
            throw PostgreSqlFault.Unanswered(Description, fault);
        }
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<RecordKey?> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var heard = new Queue<RecordKey?>();
        var connection = await ConnectAsync(_watching, cancellationToken).ConfigureAwait(false);
        await using var _ = connection.ConfigureAwait(false);
        connection.Notification += (_, notification) => Hear(notification.Payload, heard);
        await ExecuteAsync(connection, $"LISTEN \"{PostgreSqlSchema.Channel(_schema)}\"", cancellationToken).ConfigureAwait(false);
        var lastHeard = Stopwatch.GetTimestamp();
        yield return null;
        while (true)
        {
            while (heard.TryDequeue(out var key))
            {
                yield return key;
            }

            try
            {
                // Npgsql's own KeepAlive would tell of changes on a thread of its own
                if (!await AskAsync(connection.WaitAsync(TimeSpan.FromSeconds(ProbeSeconds), cancellationToken)).ConfigureAwait(false))
                {
                    await ExecuteAsync(connection, "SELECT 1", cancellationToken).ConfigureAwait(false);
                }

                lastHeard = Stopwatch.GetTimestamp();
            }
            catch (StoreUnreachableException e)
            {
                e.LastHeard = lastHeard;
                throw;
            }
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _watching.DisposeAsync().ConfigureAwait(false);
        await _pool.DisposeAsync().ConfigureAwait(false);
    }

    private static NpgsqlDataSource Build(PostgreSqlAddress address, Action<NpgsqlConnectionStringBuilder> set)
    {
        var builder = new NpgsqlSlimDataSourceBuilder(address.Connection.ConnectionString);
        builder.EnableTransportSecurity().EnableArrays();

        // only types that every server has: the question for the others would come before the first read
        builder.ConfigureTypeLoading(static types => types.EnableTypeLoading(false));
        var connection = builder.ConnectionStringBuilder;
        connection.IncludeErrorDetail = false;

        // a write that is acknowledged is not undone with a transaction around the caller
        (connection.Enlist, connection.Multiplexing) = (false, false);
        set(connection);
        try
        {
            return builder.Build();
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException or InvalidOperationException)
        {
            throw PostgreSqlAddress.Malformed("its settings contradict each other");
        }
    }

    /// <summary>The least text after an id.</summary>
    private static string After(string id) => id + '\u0001';

    private static void Hear(string payload, Queue<RecordKey?> heard)
    {
        foreach (var word in payload.Split(' '))
        {
            // anybody may notify: what is not understood may mean anything
            var slash = word.IndexOf('/');
            heard.Enqueue(slash > 0 && PostgreSqlSchema.Kind(word.AsSpan(0, slash)) is { } kind ? new RecordKey(kind, word[(slash + 1)..]) : null);
        }
    }

    private static StoredRecord Record(RecordKind kind, NpgsqlDataReader row) =>
        new(new(kind, row.GetString(0)), row.GetInt64(1).ToString(CultureInfo.InvariantCulture), row.GetFieldValue<byte[]>(2));

    private static NpgsqlCommand Command(NpgsqlConnection connection, string sql, params ReadOnlySpan<string> values)
    {
        var command = new NpgsqlCommand(sql, connection);
        foreach (var value in values)
        {
            command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = value, NpgsqlDbType = NpgsqlDbType.Text });
        }

        return command;
    }

    private string Table(RecordKind kind, string suffix = "") => $"\"{_schema}\".{PostgreSqlSchema.Table(kind)}{suffix}";

    private NpgsqlCommand WriteCommand(NpgsqlConnection connection, IReadOnlyList<RecordWrite> writes)
    {
        var ordered = writes.OrderBy(static write => write.Key.Kind).ThenBy(static write => write.Key.Id, StringComparer.Ordinal).ToList();
        var command = new NpgsqlCommand($"SELECT \"{_schema}\".write($1, $2, $3, $4, $5)", connection);
        Add(NpgsqlDbType.Text, write => PostgreSqlSchema.Table(write.Key.Kind));
        Add(NpgsqlDbType.Text, write => write.Key.Id);
        Add<long?>(NpgsqlDbType.Bigint, write => write.Expected is null ? null : Revision(write.Expected));
        Add(NpgsqlDbType.Bytea, write => write.Data);
        Add(NpgsqlDbType.Text, write => string.Join(' ', write.Terms));
        return command;

        void Add<T>(NpgsqlDbType type, Func<RecordWrite, T> choose) => command.Parameters.Add(
            new NpgsqlParameter<T[]> { TypedValue = [.. ordered.Select(choose)], NpgsqlDbType = NpgsqlDbType.Array | type });

        // one that is none matches nothing
        static long Revision(string expected) => long.TryParse(expected, NumberStyles.None, CultureInfo.InvariantCulture, out var revision) ? revision : -1;
    }

    // whoever reads may take his time, and ask for something else meanwhile: no connection waits for that
    private async IAsyncEnumerable<StoredRecord> ReadPagesAsync(
        RecordKind kind, string sql, string rest, string[] position, Action<NpgsqlDataReader, string[]> move, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        for (var (limit, hasMore) = (FirstPage, true); hasMore;)
        {
            var page = await ReadPageAsync(kind, $"{sql} {limit} {rest}", position, move, cancellationToken).ConfigureAwait(false);
            hasMore = page.Count == limit;

            // of powers of two, so that there are few statements to prepare
            var bytes = page.Sum(static record => (long)record.Data.Length);
            limit = bytes > PageBytes ? Math.Max(1, limit / 2) : bytes > PageBytes / 2 ? limit : Math.Min(LargestPage, limit * 2);
            foreach (var record in page)
            {
                yield return record;
            }
        }
    }

    private async Task<List<StoredRecord>> ReadPageAsync(RecordKind kind, string sql, string[] position, Action<NpgsqlDataReader, string[]> move, CancellationToken cancellationToken)
    {
        var connection = await ConnectAsync(_pool, cancellationToken).ConfigureAwait(false);
        await using var _ = connection.ConfigureAwait(false);
        var command = Command(connection, sql, position);
        await using var __ = command.ConfigureAwait(false);
        var rows = await AskAsync(command.ExecuteReaderAsync(cancellationToken)).ConfigureAwait(false);
        await using var ___ = rows.ConfigureAwait(false);
        var page = new List<StoredRecord>();
        while (await AskAsync(rows.ReadAsync(cancellationToken)).ConfigureAwait(false))
        {
            move(rows, position);
            page.Add(Record(kind, rows));
        }

        return page;
    }

    private async Task CreateAsync(CancellationToken cancellationToken)
    {
        var connection = await ConnectAsync(_pool, cancellationToken).ConfigureAwait(false);
        await using var _ = connection.ConfigureAwait(false);
        await ExecuteAsync(connection, PostgreSqlSchema.Creation(_schema), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>The version of what is prepared; null where nothing is.</summary>
    private async Task<int?> ReadVersionAsync(CancellationToken cancellationToken)
    {
        var connection = await ConnectAsync(_pool, cancellationToken).ConfigureAwait(false);
        await using var _ = connection.ConfigureAwait(false);
        try
        {
            var command = Command(connection, $"SELECT max(version) FROM \"{_schema}\".schema_version");
            await using var __ = command.ConfigureAwait(false);
            var version = await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false) as int?;
            return version is null or <= PostgreSqlSchema.Version ? version : throw new SecretsException(
                $"{Description}: its tables are of version {version}, and this program knows version {PostgreSqlSchema.Version}; nothing was changed", "use a newer mallku");
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.UndefinedTable)
        {
            return null;
        }
        catch (Exception fault) when (PostgreSqlFault.Is(fault))
        {
            throw PostgreSqlFault.Translate(Description, fault);
        }
    }

    private async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        var command = Command(connection, sql);
        await using var _ = command.ConfigureAwait(false);
        await AskAsync(command.ExecuteNonQueryAsync(cancellationToken)).ConfigureAwait(false);
    }

    private async Task<NpgsqlConnection> ConnectAsync(NpgsqlDataSource source, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var connection = await AskAsync(source.OpenConnectionAsync(cancellationToken).AsTask()).ConfigureAwait(false);
        if (connection.PostgresParameters.TryGetValue("in_hot_standby", out var standby) && standby == "on")
        {
            // what it has may be older than what was acknowledged
            await connection.DisposeAsync().ConfigureAwait(false);
            var (problem, remedy) = PostgreSqlFault.IsReadOnly;
            throw new SecretsException($"{Description}: {problem}", remedy);
        }

        return connection;
    }

    private async Task<T> AskAsync<T>(Task<T> asked)
    {
        try
        {
            return await asked.ConfigureAwait(false);
        }
        catch (Exception fault) when (PostgreSqlFault.Is(fault))
        {
            throw PostgreSqlFault.Translate(Description, fault);
        }
    }
}
