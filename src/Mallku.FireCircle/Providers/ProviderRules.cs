using System.Buffers;

namespace Mallku.FireCircle.Providers;

/// <summary>What an entry of the catalogue must be like, so that no key goes where it should not.</summary>
internal static class ProviderRules
{
    private const int MaxIdLength = 64;

    /// <summary>What an id is like, as a remedy.</summary>
    internal static readonly string IdShape = $"use 1 to {MaxIdLength} lower-case letters, digits and '-'";

    private static readonly SearchValues<char> IdCharacters = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789-");

    /// <summary>The first rule that it breaks, in words that follow on its name; null for none.</summary>
    internal static string? FindFault(Provider provider)
    {
        if (FindNull(provider) is { } empty)
        {
            return $"has a null in {empty}";
        }

        if (!provider.Aliases.All(IsId))
        {
            return $"has an alias that is none: {IdShape}";
        }

        if (!Enum.IsDefined(provider.Protocol) || !Enum.IsDefined(provider.Key.Header) || provider.Management is { } desk && !(Enum.IsDefined(desk.Header) && desk.Can.All(Enum.IsDefined)))
        {
            return "has a number where a word belongs: protocol, header, can";
        }

        if (FindAddressFault(provider.BaseUrl) is { } fault)
        {
            return $"has a baseUrl that {fault}";
        }

        if (provider.Management is { } management && FindAddressFault(management.BaseUrl) is { } managementFault)
        {
            return $"has a management.baseUrl that {managementFault}";
        }

        var names = provider.Management?.Secrets ?? [];
        if (provider.Key.Secrets.Count == 0 || !provider.Key.Secrets.Concat(names).All(static name => SecretName.TryParse(name, out _)))
        {
            return "needs names of secrets: 1 to 255 ASCII letters, digits, '.', '_' and '-'";
        }

        return FindPatternFault(provider.Key.Pattern) ?? FindCheckFault(provider);
    }

    /// <summary>Why no key may go there, in words that follow on "an address that"; null where one may.</summary>
    internal static string? FindAddressFault(Uri address) => address switch
    {
        { IsAbsoluteUri: false } => "is no whole address: begin it with https://",
        { Scheme: not ("https" or "http") } => "is neither https:// nor http://",
        { Scheme: "http", IsLoopback: false } => "would send the key in the clear: use https://; http:// is for this machine alone",
        { UserInfo.Length: > 0 } or { Query.Length: > 0 } or { Fragment.Length: > 0 } => "has more than a scheme, a host, a port and a path",
        { Host.Length: 0 } => "names no host",
        _ => null,
    };

    internal static bool IsId(string text) => text.Length is >= 1 and <= MaxIdLength && !text.AsSpan().ContainsAnyExcept(IdCharacters);

    /// <summary>The address as a folder, to which paths can be added.</summary>
    internal static Uri AsFolder(Uri address) =>
        address.AbsolutePath.EndsWith('/') ? address : new Uri(address.AbsoluteUri + "/");

    /// <summary>Whether a request to one is a request to the other's server.</summary>
    internal static bool IsSameServer(Uri one, Uri other) =>
        one.Port == other.Port
        && string.Equals(one.Scheme, other.Scheme, StringComparison.Ordinal)
        && (string.Equals(one.Host, other.Host, StringComparison.OrdinalIgnoreCase) || string.Equals(one.IdnHost, other.IdnHost, StringComparison.OrdinalIgnoreCase));

    // what the reader of JSON looks at is whether a member is null, not what is in it
    private static string? FindNull(Provider provider) =>
        HasNull(provider.Aliases) ? "aliases"
        : HasNull(provider.Key.Secrets) ? "key.secrets"
        : HasNull(provider.Check.Headers.Values) ? "check.headers"
        : HasNull(provider.Management?.Secrets ?? []) ? "management.secrets"
        : null;

    private static bool HasNull(IEnumerable<string?> texts) => texts.Any(static text => text is null);

    private static string? FindPatternFault(string? pattern)
    {
        try
        {
            _ = pattern is null ? null : ProviderKey.ToRegex(pattern);
            return null;
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException)
        {
            return "has a key.pattern that is no regular expression without look-around and back references";
        }
    }

    private static string? FindCheckFault(Provider provider)
    {
        var check = provider.Check;
        if (!Uri.TryCreate(AsFolder(provider.BaseUrl), check.Path, out var address)
            || !address.AbsoluteUri.StartsWith(AsFolder(provider.BaseUrl).AbsoluteUri, StringComparison.Ordinal))
        {
            return "has a check.path that leads out of its baseUrl";
        }

        using var probe = new HttpRequestMessage();
        if (!check.Headers.All(header => probe.Headers.TryAddWithoutValidation(header.Key, header.Value)))
        {
            return "has check.headers that no request can have";
        }

        return check.Works.Count > 0 && check.Works.Concat(check.Refused).All(static status => status is >= 100 and <= 599)
            ? null
            : "has statuses in check.works or check.refused that are none: from 100 to 599, and one at least that works";
    }
}
