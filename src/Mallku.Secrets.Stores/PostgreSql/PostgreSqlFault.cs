using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using Mallku.Secrets.Storage;
using Npgsql;

namespace Mallku.Secrets.Stores.PostgreSql;

/// <summary>What a fault of the server, or of the way to it, means to a person.</summary>
internal static class PostgreSqlFault
{
    private const string WherePasswords = "MALLKU_STORE_PASSWORD with the command, the address, PGPASSWORD, ~/.pgpass: the first that there is counts";
    private const string SeeThatItRuns = "see that the server runs and can be reached from here, then try again";

    /// <summary>Whether it is one of those that Npgsql throws for something outside of this program.</summary>
    internal static bool Is(Exception thrown) => thrown is NpgsqlException or IOException or SocketException or TimeoutException
        or AuthenticationException or CryptographicException or UnauthorizedAccessException;

    /// <summary>Whether the server has said that the statement has failed, and goes on: its transaction is undone then.</summary>
    internal static bool IsUndone(Exception? thrown) => thrown is PostgresException { InvariantSeverity: "ERROR" };

    /// <summary>A write that was sent, and has no answer.</summary>
    internal static StoreUnreachableException Unanswered(string store, Exception cause) => new(
        $"{store}: {Reason(cause)}; whether what was sent is written is not known", "see what is there, then try again if need be", cause)
    {
        MayBeWritten = true,
    };

    internal static SecretsException Translate(string store, Exception thrown)
    {
        if (Find<AuthenticationException>(thrown) is not null || Find<CryptographicException>(thrown) is not null)
        {
            return new SecretsException(
                $"{store}: the server's certificate, or one of this side, is not accepted",
                "see that sslrootcert is the root that the server's certificate comes from, that the host's name is in it, and that it has not run out", thrown);
        }

        if (Find<FileNotFoundException>(thrown) is not null || Find<DirectoryNotFoundException>(thrown) is not null || Find<UnauthorizedAccessException>(thrown) is not null)
        {
            return new SecretsException(
                $"{store}: a file of its address can't be read", "see sslrootcert, sslcert, sslkey and passfile, and whether this user may read them", thrown);
        }

        return thrown switch
        {
            PostgresException refusal => Translate(store, refusal),
            NpgsqlException { InnerException: null } when thrown.Message.StartsWith("No password", StringComparison.Ordinal) =>
                new SecretsException($"{store}: the server asks for a password, and there is none", $"give it in one of {WherePasswords}", thrown),
            NpgsqlException { InnerException: null } when thrown.Message.StartsWith("SSL connection requested", StringComparison.Ordinal) =>
                new SecretsException($"{store}: the server does not speak TLS, and sslmode demands it", "turn TLS on in the server (ssl = on), or say sslmode=disable where the way to it is safe", thrown),
            _ => new StoreUnreachableException($"{store}: {Reason(thrown)}", SeeThatItRuns, thrown),
        };
    }

    private static SecretsException Translate(string store, PostgresException refusal)
    {
        var (problem, remedy) = refusal.SqlState switch
        {
            PostgresErrorCodes.InvalidPassword => ("the server does not accept the user's password", $"put the right one where it comes from, {WherePasswords}"),
            PostgresErrorCodes.InvalidAuthorizationSpecification =>
                ($"the server refuses the user: {Said(refusal)}", "see the user's name, the server's pg_hba.conf, and whether it demands TLS (sslmode)"),
            PostgresErrorCodes.InvalidCatalogName => ("the server has no such database", "make it with CREATE DATABASE, or name another"),
            PostgresErrorCodes.InsufficientPrivilege => ($"the user has no right to do this: {Said(refusal)}", "connect as a user who has it, or grant it"),
            PostgresErrorCodes.UndefinedFunction =>
                ("the function 'write' that every write is made by is not there", "put it back as it was from a backup of the schema (pg_dump --schema-only)"),
            PostgresErrorCodes.UndefinedTable or PostgresErrorCodes.InvalidSchemaName =>
                ("nothing is prepared there", "make the store as a user who may create tables, by mallku store init or SharedStore.CreateAsync, or name the right database and schema"),
            PostgresErrorCodes.DuplicateTable or PostgresErrorCodes.DuplicateFunction =>
                ("the schema has tables of something else", "name a schema of its own with schema=NAME"),
            PostgresErrorCodes.ReadOnlySqlTransaction =>
                ("it takes no writes", "see default_transaction_read_only of the database and the user (SHOW default_transaction_read_only); where it is a standby, name the primary"),
            PostgresErrorCodes.DiskFull => ("the server's disk is full; nothing was written", "make room there, then try again"),
            _ => (null, null),
        };
        if (problem is not null)
        {
            return new SecretsException($"{store}: {problem}", remedy!, refusal)
            {
                IsNothingPrepared = refusal.SqlState is PostgresErrorCodes.UndefinedTable or PostgresErrorCodes.InvalidSchemaName or PostgresErrorCodes.InvalidCatalogName,
            };
        }

        return refusal.SqlState switch
        {
            PostgresErrorCodes.TooManyConnections or PostgresErrorCodes.ConfigurationLimitExceeded => new StoreUnreachableException(
                $"{store}: the server has no connection left", "raise max_connections there, or lower pool_size of the instances", refusal),
            PostgresErrorCodes.QueryCanceled or PostgresErrorCodes.LockNotAvailable => new StoreUnreachableException(
                $"{store}: the server gave the statement up: {Said(refusal)}", "see what holds it up there (pg_stat_activity), then try again", refusal),
            PostgresErrorCodes.SerializationFailure or PostgresErrorCodes.DeadlockDetected => new StoreUnreachableException(
                $"{store}: others were writing there", "try again", refusal),
            _ when refusal.SqlState.StartsWith("57P", StringComparison.Ordinal) || refusal.SqlState.StartsWith("08", StringComparison.Ordinal)
                || refusal.SqlState is PostgresErrorCodes.OutOfMemory =>
                new StoreUnreachableException($"{store}: {Reason(refusal)}", SeeThatItRuns, refusal),
            _ => new SecretsException($"{store}: the server has failed with SQLSTATE {refusal.SqlState}", "see the server's log", refusal),
        };
    }

    /// <summary>A row, or an answer, of other types than this program makes: somebody has altered it.</summary>
    internal static bool IsOfOtherType(Exception thrown) => thrown is InvalidCastException or InvalidOperationException;

    /// <summary>What was asked for by a row that is none of this program's.</summary>
    internal static SecretsException Altered(string store, string what, Exception cause) => new(
        $"{store}: {what} was altered: it is not of the kind that this program writes", "see who else writes there, and put it back from a backup", cause);

    internal static (string Problem, string Remedy) IsStandby => ("the server is read-only, such as a standby", "name the primary, or all hosts of the cluster as HOST:PORT,HOST:PORT");

    private static string Reason(Exception thrown) => thrown switch
    {
        PostgresException refusal => $"the server says: {Said(refusal)}",
        _ when Find<TimeoutException>(thrown) is not null => "there was no answer in time",
        _ when Find<SocketException>(thrown) is { } socket => SecretsException.ShowAll(socket.Message),
        OperationCanceledException => "the wait for the answer was ended",
        _ when Find<IOException>(thrown) is not null => "the connection was lost",
        _ => "the connection failed",
    };

    private static string Said(PostgresException refusal) => SecretsException.ShowAll(refusal.MessageText);

    private static T? Find<T>(Exception? thrown)
        where T : Exception
    {
        while (thrown is not (null or T))
        {
            thrown = thrown.InnerException;
        }

        return (T?)thrown;
    }
}
