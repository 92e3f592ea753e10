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

    // above every id and term
    private const string End = "~";

    private readonly PostgreSqlConnections _connections;
    private readonly string _schema;

    private PostgreSqlRecordStore(PostgreSqlAddress address) => (_connections, _schema) = (new(address), address.Schema);

    /// <inheritdoc/>
    public string Description => _connections.Description;

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
        var connection = await _connections.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using var _ = connection.ConfigureAwait(false);
        try
        {
            var sql = $"SELECT id, revision, data FROM {Table(key.Kind)} WHERE id = $1";
            if (!_connections.IsAsked(connection))
            {
                try
                {
                    return await ReadFirstAsync(connection, sql, key, cancellationToken).ConfigureAwait(false);
                }
                catch (PostgresException e) when (PostgreSqlConnections.IsNotToldVersion(e))
                {
                    // by itself then
                    _connections.NoteAsked(connection);
                }
            }

            var command = Command(connection, sql, key.Id);
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
        var connection = await _connections.OpenKnownAsync(cancellationToken).ConfigureAwait(false);
        await using var _ = connection.ConfigureAwait(false);
        var command = WriteCommand(connection, writes);
        await using var __ = command.ConfigureAwait(false);
        try
        {
            var answer = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
            await using var ___ = answer.ConfigureAwait(false);
            await answer.ReadAsync(cancellationToken).ConfigureAwait(false);
            var written = IsWritten(answer);

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
        catch (SecretsException altered)
        {
            throw new StoreUnreachableException($"{altered.Problem}; whether it has written is not known", altered.Remedy, altered) { MayBeWritten = true, Refusal = altered };
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
        var connection = await _connections.OpenWatchingAsync(cancellationToken).ConfigureAwait(false);
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
                if (!await _connections.AskAsync(connection.WaitAsync(TimeSpan.FromSeconds(PostgreSqlConnections.ProbeSeconds), cancellationToken)).ConfigureAwait(false))
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
        await _connections.DisposeAsync().ConfigureAwait(false);
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

    private StoredRecord Record(RecordKind kind, NpgsqlDataReader row)
    {
        string? id = null;
        try
        {
            id = row.GetString(0);
            return new(new(kind, id), row.GetInt64(1).ToString(CultureInfo.InvariantCulture), row.GetFieldValue<byte[]>(2));
        }
        catch (Exception e) when (PostgreSqlFault.IsOfOtherType(e))
        {
            throw PostgreSqlFault.Altered(Description, $"{(id is null ? "a record" : $"the record {SecretsException.Show(id)}")} of the table '{PostgreSqlSchema.Table(kind)}'", e);
        }
    }

    private bool IsWritten(NpgsqlDataReader answer)
    {
        try
        {
            return answer.GetBoolean(0);
        }
        catch (Exception e) when (PostgreSqlFault.IsOfOtherType(e))
        {
            throw PostgreSqlFault.Altered(Description, "the function 'write'", e);
        }
    }

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
        var connection = await _connections.OpenKnownAsync(cancellationToken).ConfigureAwait(false);
        await using var _ = connection.ConfigureAwait(false);
        var command = Command(connection, sql, position);
        await using var __ = command.ConfigureAwait(false);
        var rows = await _connections.AskAsync(command.ExecuteReaderAsync(cancellationToken)).ConfigureAwait(false);
        await using var ___ = rows.ConfigureAwait(false);
        var page = new List<StoredRecord>();
        while (await _connections.AskAsync(rows.ReadAsync(cancellationToken)).ConfigureAwait(false))
        {
            page.Add(Record(kind, rows));
            move(rows, position);
        }

        return page;
    }

    private async Task CreateAsync(CancellationToken cancellationToken)
    {
        var connection = await _connections.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using var _ = connection.ConfigureAwait(false);
        await ExecuteAsync(connection, PostgreSqlSchema.Creation(_schema), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>The version of what is prepared; null where nothing is.</summary>
    private async Task<int?> ReadVersionAsync(CancellationToken cancellationToken)
    {
        var connection = await _connections.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using var _ = connection.ConfigureAwait(false);
        try
        {
            return await _connections.ReadVersionAsync(connection, cancellationToken).ConfigureAwait(false);
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

    // the first read of a connection has the question of which version the tables are before it: in one round trip
    private async Task<StoredRecord?> ReadFirstAsync(NpgsqlConnection connection, string sql, RecordKey key, CancellationToken cancellationToken)
    {
        var both = new NpgsqlBatch(connection)
        {
            BatchCommands =
            {
                new NpgsqlBatchCommand(_connections.VersionQuestion),
                new NpgsqlBatchCommand(sql) { Parameters = { new NpgsqlParameter<string> { TypedValue = key.Id, NpgsqlDbType = NpgsqlDbType.Text } } },
            },
        };
        await using var _ = both.ConfigureAwait(false);
        var rows = await both.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
        await using var __ = rows.ConfigureAwait(false);
        await rows.ReadAsync(cancellationToken).ConfigureAwait(false);
        _connections.RequireKnown(rows.GetValue(0) as int?);
        _connections.NoteAsked(connection);
        await rows.NextResultAsync(cancellationToken).ConfigureAwait(false);
        return await rows.ReadAsync(cancellationToken).ConfigureAwait(false) ? Record(key.Kind, rows) : null;
    }

    private async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        var command = Command(connection, sql);
        await using var _ = command.ConfigureAwait(false);
        await _connections.AskAsync(command.ExecuteNonQueryAsync(cancellationToken)).ConfigureAwait(false);
    }
}
