using System.Net;

namespace Mallku.Secrets.Stores.ArangoDb;

/// <summary>
/// Where an ArangoDB database is and who asks there:
/// <c>arangodb://user[:password]@host[:port]/database?tls=…&amp;ca=…&amp;prefix=…&amp;auth=…</c>.
/// No error repeats the text, which may hold a password.
/// </summary>
internal sealed class ArangoAddress
{
    internal const string Form = "an address is like arangodb://user@host:8529/database?prefix=mallku_";
    private const int DefaultPort = 8529, LongestPrefix = 64;

    private ArangoAddress(Uri server, string database)
    {
        Server = server;
        Database = database;
    }

    /// <summary>Scheme, host and port, by HTTP.</summary>
    internal Uri Server { get; }

    internal string Database { get; }

    /// <summary>Null where the server asks for nobody's name.</summary>
    internal string? User { get; private init; }

    internal string? Password { get; private init; }

    /// <summary>Whether the password goes along with each request, instead of a token that was got for it.</summary>
    internal bool IsBasic { get; private init; }

    /// <summary>A PEM file of the authorities that may have signed the server's certificate; null for those of the system.</summary>
    internal string? Authorities { get; private init; }

    /// <summary>How the names of the collections begin.</summary>
    internal string Prefix { get; private init; } = "mallku_";

    public override string ToString() => $"ArangoDB {Server.Authority}/{SecretsException.Show(Database)}";

    /// <summary>Reads an address.</summary>
    /// <param name="text">The address.</param>
    /// <param name="password">The password, where it is not in the address.</param>
    /// <exception cref="SecretsException">It is none.</exception>
    internal static ArangoAddress Parse(string text, string? password)
    {
        if (!Uri.TryCreate(text, UriKind.Absolute, out var uri) || uri.Scheme != "arangodb" || uri.Host.Length == 0 || uri.Fragment.Length > 0)
        {
            throw Wrong("is no address");
        }

        var settings = SettingsOf(uri.Query);
        var (user, written) = CredentialsOf(uri.UserInfo);
        if (written is not null && password is not null)
        {
            throw Wrong("has a password, and another one comes beside it", "take it out of the address");
        }

        password ??= written;
        if (user is not null && password is null)
        {
            throw Wrong("names a user and has no password", "give it by the environment or a file");
        }

        var usesTls = Switch(settings, "tls", otherwise: !IsLoopback(uri.Host));
        var authorities = settings.GetValueOrDefault("ca");
        if (authorities is not null && !usesTls)
        {
            throw Wrong("names a certificate's authority and has no TLS", "add tls=true, or leave ca out");
        }

        return new ArangoAddress(
            new UriBuilder(usesTls ? "https" : "http", uri.Host, uri.IsDefaultPort || uri.Port < 0 ? DefaultPort : uri.Port).Uri,
            DatabaseOf(uri.AbsolutePath))
        {
            // an access token is a password without a user
            User = user,
            Password = password,
            IsBasic = settings.GetValueOrDefault("auth", "jwt") switch
            {
                "basic" => true,
                "jwt" => false,
                _ => throw Wrong("has an unknown 'auth'", "it is jwt or basic"),
            },
            Authorities = authorities,
            Prefix = PrefixOf(settings.GetValueOrDefault("prefix", "mallku_")),
        };
    }

    private static (string? User, string? Password) CredentialsOf(string text)
    {
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        var user = Uri.UnescapeDataString(colon < 0 ? text : text[..colon]);
        var password = colon < 0 ? null : Uri.UnescapeDataString(text[(colon + 1)..]);
        return user.Contains(':', StringComparison.Ordinal) || user.Any(char.IsControl) || password?.Any(char.IsControl) == true
            ? throw Wrong("has a user or a password that ArangoDB does not take")
            : (user.Length == 0 ? null : user, password);
    }

    // '/' and control characters are in no database's name
    private static string DatabaseOf(string path)
    {
        var name = Uri.UnescapeDataString(path.Trim('/'));
        return name.Contains('/', StringComparison.Ordinal) || name is "." or ".." || name.Any(char.IsControl)
            ? throw Wrong("names no database after the host")
            : name.Length == 0 ? "_system" : name;
    }

    private static string PrefixOf(string text) =>
        text.Length is > 0 and <= LongestPrefix && char.IsAsciiLetter(text[0]) && text.All(static c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-')
            ? text
            : throw Wrong("has a prefix that is none", $"it is 1 to {LongestPrefix} ASCII letters, digits, '_' and '-', and begins with a letter");

    private static Dictionary<string, string> SettingsOf(string query)
    {
        var settings = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var part in query.TrimStart('?').Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            var equals = part.IndexOf('=', StringComparison.Ordinal);
            var name = equals < 0 ? "" : part[..equals];
            if (name is not ("tls" or "ca" or "prefix" or "auth"))
            {
                throw Wrong("has an unknown setting", "there are tls, ca, prefix and auth, each with '=' and a value");
            }

            if (!settings.TryAdd(name, Uri.UnescapeDataString(part[(equals + 1)..])))
            {
                throw Wrong($"has '{name}' twice");
            }
        }

        return settings;
    }

    private static bool Switch(Dictionary<string, string> settings, string name, bool otherwise) => settings.GetValueOrDefault(name) switch
    {
        null => otherwise,
        "true" => true,
        "false" => false,
        _ => throw Wrong($"has an unknown '{name}'", "it is true or false"),
    };

    private static bool IsLoopback(string host) => host == "localhost" || (IPAddress.TryParse(host.Trim('[', ']'), out var address) && IPAddress.IsLoopback(address));

    private static SecretsException Wrong(string problem, string remedy = Form) => new($"the address of the ArangoDB store {problem}", remedy);
}
