using System.Text.Json.Serialization;
using System.Text.RegularExpressions;

namespace Mallku.FireCircle.Providers;

/// <summary>How a provider's server is spoken to.</summary>
public enum ProviderProtocol
{
    /// <summary>OpenAI's chat completions, which most others offer too.</summary>
    [JsonStringEnumMemberName("openai")]
    OpenAI,

    /// <summary>Anthropic's messages.</summary>
    [JsonStringEnumMemberName("anthropic")]
    Anthropic,

    /// <summary>Ollama's own interface.</summary>
    [JsonStringEnumMemberName("ollama")]
    Ollama,
}

/// <summary>The request header in which a key travels.</summary>
public enum KeyHeader
{
    /// <summary><c>Authorization: Bearer KEY</c>.</summary>
    [JsonStringEnumMemberName("bearer")]
    Bearer,

    /// <summary><c>x-api-key: KEY</c>.</summary>
    [JsonStringEnumMemberName("x-api-key")]
    XApiKey,

    /// <summary><c>x-goog-api-key: KEY</c>.</summary>
    [JsonStringEnumMemberName("x-goog-api-key")]
    XGoogApiKey,
}

/// <summary>What a management interface can do with keys.</summary>
public enum KeyAction
{
    /// <summary>Make a new one.</summary>
    [JsonStringEnumMemberName("create")]
    Create,

    /// <summary>List them, without their values.</summary>
    [JsonStringEnumMemberName("list")]
    List,

    /// <summary>Make one stop working, so that it can be enabled again.</summary>
    [JsonStringEnumMemberName("disable")]
    Disable,

    /// <summary>Remove one for good.</summary>
    [JsonStringEnumMemberName("delete")]
    Delete,
}

// the generated reader of JSON assigns null to what the document leaves out, so the defaults are told twice

/// <summary>A company or server that offers models, as the catalogue has it. Immutable.</summary>
public sealed record Provider
{
    /// <summary>What it is called in code and on the command line: lower-case letters, digits, <c>-</c>.</summary>
    public required string Id { get; init; }

    /// <summary>What it is called in sentences.</summary>
    public required string Name { get; init; }

    /// <summary>Other ids.</summary>
    public IReadOnlyList<string> Aliases { get; init => field = value ?? []; } = [];

    /// <summary>How its server is spoken to.</summary>
    public required ProviderProtocol Protocol { get; init; }

    /// <summary>Where it is: <c>https</c>, or <c>http</c> on this machine. Keys go to this scheme, host and port alone.</summary>
    public required Uri BaseUrl { get; init; }

    /// <summary>Its keys.</summary>
    public required ProviderKey Key { get; init; }

    /// <summary>A cheap request that proves a key.</summary>
    public required KeyCheck Check { get; init; }

    /// <summary>What can be done with its keys by a program; null for nothing, or nothing that is known.</summary>
    public KeyManagement? Management { get; init; }

    /// <summary>The model that is asked when none is named; null for none.</summary>
    public string? Model { get; init; }
}

/// <summary>The keys of a provider. Immutable.</summary>
public sealed record ProviderKey
{
    /// <summary>The header in which one travels.</summary>
    public required KeyHeader Header { get; init; }

    /// <summary>The names under which it is looked for, the most wanted first.</summary>
    public required IReadOnlyList<string> Secrets { get; init; }

    /// <summary>Whether the server also answers who has none.</summary>
    [JsonPropertyName("optional")]
    public bool IsOptional { get; init; }

    /// <summary>A regular expression that a whole key matches; null where its shape is not known or says nothing.</summary>
    public string? Pattern { get; init; }

    /// <summary>The page on which a person makes keys.</summary>
    public Uri? Console { get; init; }

    /// <summary>Whether a text looks like a key of this provider; false where the shape is not known.</summary>
    public bool Recognizes(ReadOnlySpan<char> text) => Pattern is not null && ToRegex(Pattern).IsMatch(text);

    /// <summary>Whether a secret of that name is one under which it is looked for; case, and <c>-</c> for <c>_</c>, ignored.</summary>
    internal bool IsLookedForAs(string secret)
    {
        var asked = SecretName.Existing(secret);
        return Secrets.Any(name => SecretName.Existing(name).MatchesLoosely(asked));
    }

    // without backtracking: the pattern may be a user's
    internal static Regex ToRegex(string pattern) => new($@"\A(?:{pattern})\z", RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);
}

/// <summary>A cheap authenticated GET that proves a key. Immutable.</summary>
public sealed record KeyCheck
{
    private static readonly Dictionary<string, string> None = [];

    /// <summary>What is asked for, relative to the base URL.</summary>
    public required string Path { get; init; }

    /// <summary>Headers that the server wants besides the key.</summary>
    public IReadOnlyDictionary<string, string> Headers { get; init => field = value ?? None; } = None;

    /// <summary>The statuses that say that the key works: 200.</summary>
    public IReadOnlyList<int> Works { get; init => field = value ?? [200]; } = [200];

    /// <summary>The statuses that say that the key is refused: 401 and 403. Some answer 400.</summary>
    public IReadOnlyList<int> Refused { get; init => field = value ?? [401, 403]; } = [401, 403];
}

/// <summary>A provider's interface for managing keys. Immutable.</summary>
public sealed record KeyManagement
{
    /// <summary>What it can do.</summary>
    public required IReadOnlyList<KeyAction> Can { get; init; }

    /// <summary>Where it is.</summary>
    public required Uri BaseUrl { get; init; }

    /// <summary>The header in which its own key travels.</summary>
    public required KeyHeader Header { get; init; }

    /// <summary>The names under which its own key is looked for; empty where it takes none, but a token that expires.</summary>
    public required IReadOnlyList<string> Secrets { get; init; }
}
