using System.Globalization;
using System.Net;

namespace Mallku.Secrets.Stores.Etcd;

/// <summary>
/// Where an etcd cluster is and how to speak to it: <c>etcd://user@host1:2379,host2:2379/prefix?tls=true&amp;ca=/path</c>.
/// What is wrong in one is never repeated in an error: a password may have slipped into any part of it.
/// </summary>
internal sealed class EtcdUrl
{
    private const string Scheme = "etcd://", Form = "write it as etcd://user@host1:2379,host2:2379,host3:2379/prefix?tls=true&ca=/path";
    private const int DefaultPort = 2379, LongestPrefix = 100, LongestTimeout = 60;

    private EtcdUrl()
    {
    }

    internal required IReadOnlyList<Uri> Endpoints { get; init; }

    /// <summary>Under what all keys lie, so that several deployments can share a cluster.</summary>
    internal required string Prefix { get; init; }

    internal string? User { get; private init; }

    internal SecretValue? Password { get; private init; }

    /// <summary>The file of the certificates that vouch for the servers'; null for those that the machine trusts.</summary>
    internal string? Root { get; private init; }

    /// <summary>The files of the certificate and the key that this client shows, where it does.</summary>
    internal (string Certificate, string Key)? Client { get; private init; }

    /// <summary>The longest that a call may take.</summary>
    internal TimeSpan Timeout { get; private init; }

    /// <summary>All of it that a person may see.</summary>
    internal string Description => $"etcd at {Hosts}, prefix {Prefix}";

    internal string Hosts => string.Join(", ", Endpoints.Select(static endpoint => endpoint.Authority));

    /// <param name="text">The URL.</param>
    /// <param name="password">The password, where it is not in the URL.</param>
    /// <exception cref="SecretsException">It is none, or contradicts itself.</exception>
    internal static EtcdUrl Parse(string text, SecretValue? password)
    {
        if (!text.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))
        {
            throw Wrong("does not begin with etcd://");
        }

        var (beforeQuery, query) = Cut(text[Scheme.Length..], '?');
        var (authority, prefix) = Cut(beforeQuery, '/');
        var at = authority.LastIndexOf('@');
        var (user, written) = at < 0 ? (null, null) : Cut(authority[..at], ':');
        if (written is not null && password is not null)
        {
            throw Wrong("has a password, and another one was given");
        }

        if (written is not null)
        {
            password = SecretValue.FromString(Uri.UnescapeDataString(written));
        }

        var parameters = Parameters(query);
        var hosts = authority[(at + 1)..].Split(',').Select(HostOf).ToList();
        var isSecure = IsSecure(parameters.GetValueOrDefault("tls"), hosts);
        var client = ClientOf(parameters);
        if (!isSecure && (client is not null || parameters.ContainsKey("ca")))
        {
            throw Wrong("names certificates and does without TLS", "say tls=true, or leave them out");
        }

        user = string.IsNullOrEmpty(user) ? null : Uri.UnescapeDataString(user);
        if (user is null ? password is not null : password is null && client is null)
        {
            throw user is null
                ? Wrong("has a password and no user", "put the user before the first host: etcd://user@host")
                : Wrong("has a user and no password", "give the password, or the client's certificate of that user: cert=/path&key=/path");
        }

        return new EtcdUrl
        {
            Endpoints = [.. hosts.Select(host => new UriBuilder(isSecure ? Uri.UriSchemeHttps : Uri.UriSchemeHttp, host.Host, host.Port).Uri)],
            Prefix = PrefixOf(prefix),
            User = user,
            Password = password,
            Root = parameters.GetValueOrDefault("ca"),
            Client = client,
            Timeout = TimeoutOf(parameters.GetValueOrDefault("timeout")),
        };
    }

    // without a word about it, only what does not leave the machine goes unencrypted
    private static bool IsSecure(string? tls, List<(string Host, int Port)> hosts) => tls switch
    {
        "true" => true,
        "false" => false,
        null => !hosts.TrueForAll(static host =>
            host.Host == "localhost" || (IPAddress.TryParse(host.Host, out var address) && IPAddress.IsLoopback(address))),
        _ => throw Wrong("has for tls neither true nor false"),
    };

    private static (string Host, int Port) HostOf(string text)
    {
        var colon = text.LastIndexOf(':');
        var hasPort = colon > text.LastIndexOf(']');
        var port = DefaultPort;
        if (hasPort && (!int.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out port) || port is 0 or > IPEndPoint.MaxPort))
        {
            throw Wrong("has a port that is none");
        }

        var host = hasPort ? text[..colon] : text;
        var isBracketed = host.StartsWith('[') && host.EndsWith(']');
        host = isBracketed ? host[1..^1] : host.ToLowerInvariant();
        var kind = Uri.CheckHostName(host);
        if (kind == UriHostNameType.Unknown || kind == UriHostNameType.IPv6 != isBracketed)
        {
            throw Wrong("has a host that is none");
        }

        return (host, port);
    }

    private static string PrefixOf(string? text)
    {
        var prefix = string.IsNullOrEmpty(text) ? "mallku" : text;
        return prefix.Length <= LongestPrefix && prefix.All(static c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-')
            ? prefix
            : throw Wrong("has a prefix that is none", $"use 1 to {LongestPrefix} ASCII letters, digits, '.', '_' and '-'");
    }

    private static (string Certificate, string Key)? ClientOf(Dictionary<string, string> parameters)
    {
        var (certificate, key) = (parameters.GetValueOrDefault("cert"), parameters.GetValueOrDefault("key"));
        return certificate is null == key is null
            ? certificate is null ? null : (certificate, key!)
            : throw Wrong("names only one of the client's certificate and its key", "name both: cert=/path&key=/path");
    }

    private static TimeSpan TimeoutOf(string? text)
    {
        var seconds = 10;
        return text is null || (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out seconds) && seconds is > 0 and <= LongestTimeout)
            ? TimeSpan.FromSeconds(seconds)
            : throw Wrong("has a timeout that is none", $"use 1 to {LongestTimeout} seconds");
    }

    private static Dictionary<string, string> Parameters(string? query)
    {
        var parameters = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var part in (query ?? "").Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            var (name, value) = Cut(part, '=');
            if (name is not ("tls" or "ca" or "cert" or "key" or "timeout") || string.IsNullOrEmpty(value) || !parameters.TryAdd(name, Uri.UnescapeDataString(value)))
            {
                throw Wrong("has a parameter that is none, or has no value, or is there twice", "there are tls, ca, cert, key and timeout");
            }
        }

        return parameters;
    }

    private static (string Before, string? After) Cut(string text, char mark)
    {
        var at = text.IndexOf(mark, StringComparison.Ordinal);
        return at < 0 ? (text, null) : (text[..at], text[(at + 1)..]);
    }

    private static SecretsException Wrong(string what, string remedy = Form) =>
        new($"the URL of the etcd cluster {what}", remedy == Form ? $"{Form}; in a user or a password, '/' is %2F, '?' is %3F and ':' is %3A" : remedy);
}
