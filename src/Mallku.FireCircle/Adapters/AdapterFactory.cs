using System.ClientModel;
using System.ClientModel.Primitives;
using Anthropic;
using Mallku.FireCircle.Providers;
using Microsoft.Extensions.AI;
using OllamaSharp;
using OpenAI;
using OpenAI.Chat;

namespace Mallku.FireCircle.Adapters;

/// <summary>
/// Makes chat clients whose key is asked for when a request is sent: no client and no configuration holds one, and a
/// rotation reaches a client that was made weeks ago. Safe for concurrent use; make one and keep it, since its clients
/// share its connections.
/// </summary>
/// <remarks>
/// The clients' own retries are off: what is retried is up to the caller. Redirects are not followed.
/// </remarks>
public sealed class AdapterFactory : IDisposable
{
    // what the official clients demand; it is taken out of every request
    private const string Placeholder = "the-key-is-injected";

    // far above any page of a list of keys
    private const int LongestManagementAnswer = 4 << 20;

    private readonly SecretsManager _secrets;
    private readonly Connections _connections = new();

    /// <summary>A factory for the providers of a catalogue.</summary>
    /// <param name="secrets">Where the keys come from.</param>
    /// <param name="providers">Null: those that come with this library.</param>
    public AdapterFactory(SecretsManager secrets, ProviderCatalogue? providers = null)
    {
        ArgumentNullException.ThrowIfNull(secrets);
        _secrets = secrets;
        Providers = providers ?? ProviderCatalogue.BuiltIn;
    }

    /// <summary>The providers that it knows.</summary>
    public ProviderCatalogue Providers { get; }

    /// <summary>A chat client, once there is a key for it.</summary>
    /// <param name="name">The provider's id or alias; or a name of the caller's, where the options name the provider.</param>
    /// <param name="options">What differs from the catalogue.</param>
    /// <param name="cancellationToken">Ends the lookup.</param>
    /// <exception cref="MissingKeyException">There is no key, and the provider needs one.</exception>
    /// <exception cref="SecretsException">There is no such provider, an option is not allowed, or a source failed.</exception>
    public async ValueTask<IChatClient> CreateAsync(string name, AdapterOptions? options = null, CancellationToken cancellationToken = default)
    {
        var adapter = Describe(name, options);
        await adapter.Key.GetAsync(cancellationToken).ConfigureAwait(false);
        return Create(adapter);
    }

    /// <summary>The same without a look for the key: where there is none, the first request says so.</summary>
    /// <exception cref="SecretsException">There is no such provider, or an option is not allowed.</exception>
    public IChatClient Create(string name, AdapterOptions? options = null) => Create(Describe(name, options));

    /// <summary>
    /// The same adapters with their keys filled in, for callers who make clients of their own. An explicit key wins; where
    /// there is none, it stays null.
    /// </summary>
    /// <param name="adapters">By name, which is a provider's id where an adapter names none.</param>
    /// <param name="cancellationToken">Ends the lookups.</param>
    /// <exception cref="SecretsException">There is no such provider, an option is not allowed, or a source failed.</exception>
    public async ValueTask<IReadOnlyDictionary<string, AdapterOptions>> InjectAsync(
        IReadOnlyDictionary<string, AdapterOptions> adapters, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(adapters);
        var injected = new Dictionary<string, AdapterOptions>(adapters.Count, StringComparer.Ordinal);
        foreach (var (name, options) in adapters)
        {
            injected.Add(name, options with { Key = await Describe(name, options).Key.FindAsync(cancellationToken).ConfigureAwait(false) });
        }

        return injected;
    }

    /// <summary>
    /// Makes the provider's cheap request, and says what it shows of the key: of the current version alone, also where the one
    /// before could still be used.
    /// </summary>
    /// <param name="name">The provider's id or alias; or a name of the caller's, where the options name the provider.</param>
    /// <param name="options">What differs from the catalogue; a key here is checked in place of the stored one.</param>
    /// <param name="cancellationToken">Ends the request.</param>
    /// <exception cref="MissingKeyException">There is no key, and the provider needs one.</exception>
    /// <exception cref="SecretsException">There is no such provider, an option is not allowed, or a source failed.</exception>
    public async ValueTask<KeyVerdict> CheckAsync(string name, AdapterOptions? options = null, CancellationToken cancellationToken = default)
    {
        var adapter = Describe(name, options, mayBePrevious: false);
        using var http = _connections.Open(adapter, Connections.ShortPatience);
        return await KeyVerdict.AskAsync(http, adapter.Provider.Check, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>A client of a provider's interface for managing keys, whose own key is injected.</summary>
    /// <exception cref="SecretsException">The provider has none that a program can use.</exception>
    internal HttpClient OpenManagement(Provider provider)
    {
        if (provider.Management is not { Secrets.Count: > 0 } management)
        {
            throw new SecretsException($"a program can't manage the keys of {provider.Name}", $"do it by hand{(provider.Key.Console is { } console ? $": {console}" : "")}");
        }

        var desk = provider with { BaseUrl = management.BaseUrl, Key = new ProviderKey { Header = management.Header, Secrets = management.Secrets } };
        return OpenForRotation(desk, new AdapterOptions());
    }

    /// <summary>A client of a provider's own interface, for a rotation.</summary>
    internal HttpClient OpenForRotation(Provider provider, AdapterOptions options)
    {
        var key = new AdapterKey(_secrets.WithPurpose($"rotation {provider.Id}"), Providers, provider, options);
        var http = _connections.Open(new Adapter(provider, options, ProviderRules.AsFolder(provider.BaseUrl), key), Connections.ShortPatience);
        http.MaxResponseContentBufferSize = LongestManagementAnswer;
        return http;
    }

    /// <summary>Closes the connections. Clients that it made can't be used any more.</summary>
    public void Dispose() => _connections.Dispose();

    private Adapter Describe(string name, AdapterOptions? options, bool mayBePrevious = true)
    {
        ArgumentNullException.ThrowIfNull(name);
        options ??= new AdapterOptions();
        var provider = Providers.Find(options.Provider ?? name);
        var server = options.BaseUrl ?? provider.BaseUrl;

        // a name that may be a key stands nowhere
        var shown = Providers.MayBeKey(name) ? null : SecretsException.Show(name);
        if (ProviderRules.FindAddressFault(server) is { } fault)
        {
            throw new SecretsException($"the base URL of the adapter{(shown is null ? "" : $" '{shown}'")} {fault}", "name another one");
        }

        var secrets = _secrets.WithPurpose($"adapter {shown ?? provider.Id}");
        return new Adapter(provider, options, ProviderRules.AsFolder(server), new AdapterKey(secrets, Providers, provider, options) { MayBePrevious = mayBePrevious });
    }

    private IChatClient Create(Adapter adapter)
    {
        var model = adapter.Options.Model ?? adapter.Provider.Model
            ?? throw new SecretsException($"no model is named for {adapter.Provider.Id}, and it has no default", "name one in the adapter's options");
        var http = _connections.Open(adapter, Connections.LongPatience);
        var client = adapter.Provider.Protocol switch
        {
            ProviderProtocol.Anthropic => CreateAnthropic(http, adapter.Server, model),
            ProviderProtocol.Ollama => new OllamaApiClient(http, model),
            _ => CreateOpenAI(http, adapter.Server, model),
        };
        return adapter.Options.Temperature is { } temperature
            ? client.AsBuilder().ConfigureOptions(options => options.Temperature ??= temperature).Build()
            : client;
    }

    private static IChatClient CreateOpenAI(HttpClient http, Uri server, string model)
    {
        // one clock for a request and not two: its own, which would otherwise be shorter
        http.Timeout = Timeout.InfiniteTimeSpan;
        return new ChatClient(
            model,
            new ApiKeyCredential(Placeholder),
            new OpenAIClientOptions
            {
                Endpoint = server,
                Transport = new HttpClientPipelineTransport(http),
                NetworkTimeout = Connections.LongPatience,
                RetryPolicy = new ClientRetryPolicy(maxRetries: 0),
            }).AsIChatClient();
    }

    // what it would take from the environment is said here
    private static IChatClient CreateAnthropic(HttpClient http, Uri server, string model) =>
        new AnthropicClient
        {
            HttpClient = http,
            BaseUrl = server.AbsoluteUri.TrimEnd('/'),
            ApiKey = Placeholder,
            AuthToken = null,
            MaxRetries = 0,
        }.AsIChatClient(model);
}

/// <summary>An adapter that is about to be made. Immutable.</summary>
internal sealed record Adapter(Provider Provider, AdapterOptions Options, Uri Server, AdapterKey Key);
