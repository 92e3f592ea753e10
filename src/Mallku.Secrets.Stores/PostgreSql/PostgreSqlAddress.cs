using System.Data.Common;
using System.Globalization;
using Npgsql;

namespace Mallku.Secrets.Stores.PostgreSql;

/// <summary>
/// Where the records are: <c>postgres://user@host:port/database?sslmode=verify-full&amp;schema=mallku</c>, or a connection
/// string of Npgsql, which may have <c>Schema</c> too. Nothing of it is repeated in an error: any part may be a password in
/// the wrong place.
/// </summary>
internal sealed class PostgreSqlAddress
{
    private const string DefaultSchema = "mallku";
    private const int LongestSchema = 40;

    // the names of libpq, and those of Npgsql
    private static readonly Dictionary<string, string> Parameters = new(StringComparer.Ordinal)
    {
        ["schema"] = "Schema",
        ["sslmode"] = "SSL Mode",
        ["sslrootcert"] = "Root Certificate",
        ["sslcert"] = "SSL Certificate",
        ["sslkey"] = "SSL Key",
        ["channel_binding"] = "Channel Binding",
        ["passfile"] = "Passfile",
        ["application_name"] = "Application Name",
        ["connect_timeout"] = "Timeout",
        ["command_timeout"] = "Command Timeout",
        ["pool_size"] = "Maximum Pool Size",
    };

    private PostgreSqlAddress(NpgsqlConnectionStringBuilder connection, string schema) => (Connection, Schema) = (connection, schema);

    internal NpgsqlConnectionStringBuilder Connection { get; }

    internal string Schema { get; }

    /// <summary>For a person, without user and password.</summary>
    internal string Description => $"PostgreSQL at {Hosts}, database {SecretsException.ShowAll(Connection.Database!)}, schema {Schema}";

    private string Hosts => SecretsException.ShowAll(
        Connection.Host!.Contains(',') || Connection.Host.StartsWith('/') ? Connection.Host
        : Connection.Host.Contains(':') ? $"[{Connection.Host}]:{Connection.Port}"
        : $"{Connection.Host}:{Connection.Port}");

    /// <exception cref="SecretsException">It is none.</exception>
    internal static PostgreSqlAddress Parse(string address)
    {
        ArgumentNullException.ThrowIfNull(address);
        var (scheme, rest) = address.IndexOf("://", StringComparison.Ordinal) is > 0 and var index ? (address[..index], address[(index + 3)..]) : ("", "");
        return Build(scheme is "postgres" or "postgresql" ? ReadUrl(rest) : ReadConnectionString(address));
    }

    private static List<(string Key, string Value)> ReadUrl(string text)
    {
        var (path, query) = Cut(text, '?');
        var (authority, database) = Cut(path, '/');
        var at = authority.LastIndexOf('@');
        if (text.Contains('#') || database is null || database.AsSpan().ContainsAny('/', '@'))
        {
            throw Malformed("it is not postgres://USER@HOST:PORT/DATABASE");
        }

        var read = new List<(string, string)> { ("Database", Decode(database)) };
        if (at >= 0)
        {
            var (user, password) = Cut(authority[..at], ':');
            read.Add(("Username", Decode(user)));
            if (password is not null)
            {
                read.Add(("Password", Decode(password)));
            }
        }

        ReadHosts(authority[(at + 1)..], read);
        foreach (var parameter in query?.Split('&', StringSplitOptions.RemoveEmptyEntries) ?? [])
        {
            var (name, value) = Cut(parameter, '=');
            if (value is null || !Parameters.TryGetValue(name, out var key) || read.Exists(pair => pair.Item1 == key))
            {
                throw Malformed($"a parameter of it is given twice or is none of {string.Join(", ", Parameters.Keys)}");
            }

            // verify-full is VerifyFull
            read.Add((key, name == "sslmode" ? Decode(value).Replace("-", "", StringComparison.Ordinal) : Decode(value)));
        }

        return read;
    }

    private static void ReadHosts(string text, List<(string, string)> read)
    {
        var hosts = text.Split(',').Select(static host =>
        {
            var colon = host.LastIndexOf(':') is var last && last > host.LastIndexOf(']') ? last : -1;
            var port = colon < 0 ? "5432" : host[(colon + 1)..];
            var name = Decode(colon < 0 ? host : host[..colon]);
            return name.Length > 0 && ushort.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0
                ? (Name: name, Port: port)
                : throw Malformed("it names no host, or a port that is none");
        }).ToList();
        if (hosts is [var only])
        {
            read.Add(("Host", only.Name.Trim('[', ']')));
            read.Add(("Port", only.Port));
        }
        else
        {
            read.Add(("Host", string.Join(',', hosts.Select(static host => $"{host.Name}:{host.Port}"))));
        }
    }

    private static List<(string Key, string Value)> ReadConnectionString(string text)
    {
        try
        {
            var read = new DbConnectionStringBuilder { ConnectionString = text };
            return [.. read.Keys.Cast<string>().Select(key => (key, (string)read[key]))];
        }
        catch (ArgumentException)
        {
            // its message may have a part of the text
            throw Malformed("it is neither postgres://USER@HOST:PORT/DATABASE nor Host=…;Database=…");
        }
    }

    private static PostgreSqlAddress Build(List<(string Key, string Value)> read)
    {
        var connection = new NpgsqlConnectionStringBuilder
        {
            ApplicationName = "mallku",
            Timeout = 5,
            CommandTimeout = 10,
            MaxPoolSize = 16,
            GssEncryptionMode = GssEncryptionMode.Disable,
        };
        var schema = DefaultSchema;
        try
        {
            foreach (var (key, value) in read)
            {
                if (key.Equals("Schema", StringComparison.OrdinalIgnoreCase))
                {
                    schema = value;
                }
                else
                {
                    connection[key] = value;
                }
            }
        }
        catch (Exception e) when (e is ArgumentException or FormatException or InvalidCastException or OverflowException or KeyNotFoundException or NotSupportedException)
        {
            throw Malformed("a setting of it is not known, or its value is none");
        }

        if (string.IsNullOrEmpty(connection.Host) || string.IsNullOrEmpty(connection.Database))
        {
            throw Malformed("it names no host or no database");
        }

        if (schema.Length is 0 or > LongestSchema || char.IsAsciiDigit(schema[0]) || !schema.All(static c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '_'))
        {
            throw Malformed($"its schema is not 1 to {LongestSchema} of a-z, 0-9 and '_'");
        }

        if (connection.CommandTimeout == 0 || connection.Timeout == 0 || connection.MaxPoolSize == 0)
        {
            throw Malformed("it has a limit of 0");
        }

        if (!string.IsNullOrEmpty(connection.RootCertificate) && connection.SslMode is not (SslMode.VerifyCA or SslMode.VerifyFull))
        {
            throw Malformed("a root certificate is used with sslmode=verify-full or verify-ca alone");
        }

        if (connection.Host.Contains(','))
        {
            connection.TargetSessionAttributes = "primary";
        }

        return new PostgreSqlAddress(connection, schema);
    }

    private static (string Before, string? After) Cut(string text, char at) => text.IndexOf(at) is >= 0 and var index ? (text[..index], text[(index + 1)..]) : (text, null);

    private static string Decode(string text) => Uri.UnescapeDataString(text);

    internal static SecretsException Malformed(string why) => new(
        $"the address of the PostgreSQL store can't be used: {why}",
        "write it as postgres://USER@HOST:PORT/DATABASE?sslmode=verify-full, with '@', ':', '/', '?', '#' and '%' within its parts as %40, %3A, %2F, %3F, %23 and %25, and the password in PGPASSWORD or ~/.pgpass");
}
