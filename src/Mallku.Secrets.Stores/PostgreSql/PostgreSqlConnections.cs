using System.Collections.Concurrent;
using Npgsql;

namespace Mallku.Secrets.Stores.PostgreSql;

/// <summary>The connections to a database, each of which is used only once it is known of which version the tables are.</summary>
internal sealed class PostgreSqlConnections : IAsyncDisposable
{
    // who watches asks after so long a silence whether the server is still there, and waits as long for the answer; Npgsql then
    // asks for that to be cancelled, which takes the time for a connection besides: 11 s by default until a silence is told
    internal const int ProbeSeconds = 3;

    private readonly NpgsqlDataSource _pool;
    private readonly NpgsqlDataSource _watching;

    // those on which nobody has asked for the version yet, by the ids of their servers' processes
    private readonly ConcurrentDictionary<int, bool> _unasked = new();

    internal PostgreSqlConnections(PostgreSqlAddress address)
    {
        Description = address.Description;
        VersionQuestion = $"SELECT max(version) FROM \"{address.Schema}\".schema_version";
        _pool = Build(address, connected => _unasked[connected.ProcessID] = true, static connection => (connection.MaxAutoPrepare, connection.AutoPrepareMinUsages) = (32, 2));
        _watching = Build(address, connected: null, static connection => (connection.Pooling, connection.CommandTimeout, connection.CancellationTimeout) = (false, ProbeSeconds, -1));
    }

    internal string Description { get; }

    internal string VersionQuestion { get; }

    /// <summary>Opens one on which the version has to be asked for, unless it was.</summary>
    internal Task<NpgsqlConnection> OpenAsync(CancellationToken cancellationToken) => OpenAsync(_pool, cancellationToken);

    /// <summary>Opens one that hears of changes.</summary>
    internal Task<NpgsqlConnection> OpenWatchingAsync(CancellationToken cancellationToken) => OpenAsync(_watching, cancellationToken);

    /// <summary>Opens one, and asks for the version where nobody did.</summary>
    /// <exception cref="SecretsException">It is none that this program knows, or there is no connection.</exception>
    internal async Task<NpgsqlConnection> OpenKnownAsync(CancellationToken cancellationToken)
    {
        var connection = await OpenAsync(cancellationToken).ConfigureAwait(false);
        var isKnown = false;
        try
        {
            if (!IsAsked(connection))
            {
                await AskAsync(ReadVersionAsync(connection, cancellationToken)).ConfigureAwait(false);
            }

            isKnown = true;
        }
        catch (SecretsException e) when (e.InnerException is PostgresException refusal && IsNotToldVersion(refusal))
        {
            NoteAsked(connection);
            isKnown = true;
        }
        finally
        {
            if (!isKnown)
            {
                await connection.DisposeAsync().ConfigureAwait(false);
            }
        }

        return connection;
    }

    /// <summary>Whether somebody has asked for the version on this one.</summary>
    internal bool IsAsked(NpgsqlConnection connection) => !_unasked.ContainsKey(connection.ProcessID);

    internal void NoteAsked(NpgsqlConnection connection) => _unasked.TryRemove(connection.ProcessID, out _);

    /// <summary>The version of what is prepared; null where nothing is.</summary>
    internal async Task<int?> ReadVersionAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var command = new NpgsqlCommand(VersionQuestion, connection);
        await using var _ = command.ConfigureAwait(false);
        var version = await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false) as int?;
        RequireKnown(version);
        NoteAsked(connection);
        return version;
    }

    /// <exception cref="SecretsException">A newer program has made it.</exception>
    internal void RequireKnown(int? version)
    {
        if (version > PostgreSqlSchema.Version)
        {
            throw new SecretsException(
                $"{Description}: its tables are of version {version}, and this program knows version {PostgreSqlSchema.Version}; nothing was changed", "use a newer mallku");
        }
    }

    /// <summary>Whether it says that this user may not read the version, or that nothing has one: what he may read besides, he may use.</summary>
    internal static bool IsNotToldVersion(PostgresException refusal) => refusal.SqlState is PostgresErrorCodes.InsufficientPrivilege or PostgresErrorCodes.UndefinedTable;

    /// <summary>Waits for what was asked.</summary>
    /// <exception cref="SecretsException">It has failed.</exception>
    internal async Task<T> AskAsync<T>(Task<T> asked)
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

    public async ValueTask DisposeAsync()
    {
        await _watching.DisposeAsync().ConfigureAwait(false);
        await _pool.DisposeAsync().ConfigureAwait(false);
    }

    private static NpgsqlDataSource Build(PostgreSqlAddress address, Action<NpgsqlConnection>? connected, Action<NpgsqlConnectionStringBuilder> set)
    {
        var builder = new NpgsqlSlimDataSourceBuilder(address.Connection.ConnectionString);
        builder.EnableTransportSecurity().EnableArrays();

        // only types that every server has: the question for the others would come before the first read
        builder.ConfigureTypeLoading(static types => types.EnableTypeLoading(false));
        if (connected is not null)
        {
            builder.UsePhysicalConnectionInitializer(connected, connection =>
            {
                connected(connection);
                return Task.CompletedTask;
            });
        }

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

    private async Task<NpgsqlConnection> OpenAsync(NpgsqlDataSource source, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var connection = await AskAsync(source.OpenConnectionAsync(cancellationToken).AsTask()).ConfigureAwait(false);
        if (connection.PostgresParameters.TryGetValue("in_hot_standby", out var standby) && standby == "on")
        {
            // what it has may be older than what was acknowledged
            await connection.DisposeAsync().ConfigureAwait(false);
            var (problem, remedy) = PostgreSqlFault.IsStandby;
            throw new SecretsException($"{Description}: {problem}", remedy);
        }

        return connection;
    }
}
