using System.Globalization;
using Mallku.Secrets.Stores.PostgreSql;
using Npgsql;
using NpgsqlTypes;

namespace Mallku.Bench.Stores;

/// <summary>The engine as a program uses it by hand, with the statements that a store asks of it and nothing around them.</summary>
internal interface IBareRecords : IAsyncDisposable
{
    ValueTask<StoredRecord> ReadAsync(RecordKey key);

    ValueTask<List<StoredRecord>> ListVersionsAsync(string from, string before);

    ValueTask WriteAsync(IReadOnlyList<RecordWrite> writes);
}

/// <summary>The same SQL by Npgsql, with a pool and statements that are prepared as the store's are.</summary>
internal sealed class BarePostgreSql : IBareRecords
{
    private readonly NpgsqlDataSource _pool;
    private readonly string _schema;

    internal BarePostgreSql(string url)
    {
        var address = PostgreSqlAddress.Parse(url);
        (address.Connection.MaxAutoPrepare, address.Connection.AutoPrepareMinUsages) = (32, 2);
        _schema = address.Schema;
        _pool = new NpgsqlSlimDataSourceBuilder(address.Connection.ConnectionString).EnableArrays().Build();
    }

    public async ValueTask<StoredRecord> ReadAsync(RecordKey key)
    {
        await using var command = _pool.CreateCommand($"SELECT id, revision, data FROM \"{_schema}\".{PostgreSqlSchema.Table(key.Kind)} WHERE id = $1");
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = key.Id, NpgsqlDbType = NpgsqlDbType.Text });
        await using var row = await command.ExecuteReaderAsync();
        return await row.ReadAsync() ? Record(key.Kind, row) : throw new InvalidOperationException("A record is missing.");
    }

    public async ValueTask<List<StoredRecord>> ListVersionsAsync(string from, string before)
    {
        await using var command = _pool.CreateCommand($"SELECT id, revision, data FROM \"{_schema}\".version WHERE id >= $1 AND id < $2 ORDER BY id LIMIT 1000");
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = from, NpgsqlDbType = NpgsqlDbType.Text });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = before, NpgsqlDbType = NpgsqlDbType.Text });
        await using var row = await command.ExecuteReaderAsync();
        var found = new List<StoredRecord>();
        while (await row.ReadAsync())
        {
            found.Add(Record(RecordKind.Version, row));
        }

        return found;
    }

    public async ValueTask WriteAsync(IReadOnlyList<RecordWrite> writes)
    {
        await using var command = _pool.CreateCommand($"SELECT \"{_schema}\".write($1, $2, $3, $4, $5)");
        Add(NpgsqlDbType.Text, static write => PostgreSqlSchema.Table(write.Key.Kind));
        Add(NpgsqlDbType.Text, static write => write.Key.Id);
        Add<long?>(NpgsqlDbType.Bigint, static write => write.Expected is null ? null : long.Parse(write.Expected, CultureInfo.InvariantCulture));
        Add(NpgsqlDbType.Bytea, static write => write.Data);
        Add(NpgsqlDbType.Text, static write => string.Join(' ', write.Terms));
        if (await command.ExecuteScalarAsync() is not true)
        {
            throw new InvalidOperationException("A write was refused.");
        }

        void Add<T>(NpgsqlDbType type, Func<RecordWrite, T> choose) =>
            command.Parameters.Add(new NpgsqlParameter<T[]> { TypedValue = [.. writes.Select(choose)], NpgsqlDbType = NpgsqlDbType.Array | type });
    }

    public ValueTask DisposeAsync() => _pool.DisposeAsync();

    private static StoredRecord Record(RecordKind kind, NpgsqlDataReader row) =>
        new(new(kind, row.GetString(0)), row.GetInt64(1).ToString(CultureInfo.InvariantCulture), row.GetFieldValue<byte[]>(2));
}

/// <summary>The same requests by the same client, since there is no other here.</summary>
internal sealed class BareEtcd(IRecordStore records) : IBareRecords
{
    public async ValueTask<StoredRecord> ReadAsync(RecordKey key) =>
        await records.ReadAsync(key, CancellationToken.None) ?? throw new InvalidOperationException("A record is missing.");

    public ValueTask<List<StoredRecord>> ListVersionsAsync(string from, string before) =>
        records.ListAsync(RecordKind.Version, from, before, CancellationToken.None).ToListAsync();

    public async ValueTask WriteAsync(IReadOnlyList<RecordWrite> writes)
    {
        if (!await records.WriteAsync(writes, CancellationToken.None))
        {
            throw new InvalidOperationException("A write was refused.");
        }
    }

    public ValueTask DisposeAsync() => records.DisposeAsync();
}
