using Mallku.FireCircle.Adapters;
using Mallku.FireCircle.TestServer;
using Mallku.Secrets;

namespace Dialogue;

/// <summary>Where the voices come from: the providers themselves, or a server on this machine that plays them.</summary>
internal sealed class Stage : IAsyncDisposable
{
    private readonly ProviderServer? _server;
    private readonly string? _variable;

    private Stage(SecretsManager secrets, ProviderServer? server = null, string? variable = null) =>
        (Secrets, _server, _variable) = (secrets, server, variable);

    internal SecretsManager Secrets { get; }

    internal static Stage Real() => new(SecretsManager.Open());

    /// <summary>Four providers are played, with a key that this process makes up and keeps in its environment.</summary>
    internal static async Task<Stage> PlayedAsync()
    {
        const string secret = "dialogue_sample_key";
        var server = await ProviderServer.StartAsync();
        var key = $"sk-played-{Guid.NewGuid():N}";
        server.Accept(key);
        Environment.SetEnvironmentVariable(secret.ToUpperInvariant(), key);
        return new Stage(SecretsManager.Open(), server, secret);
    }

    /// <summary>The adapters whose key is there, by the names of their providers.</summary>
    internal async Task<Dictionary<string, AdapterOptions>> FindVoicesAsync(AdapterFactory factory)
    {
        if (_server is not null)
        {
            string[] played = ["openai", "anthropic", "google", "mistral"];
            return played.ToDictionary(name => name, name => new AdapterOptions { BaseUrl = _server.BaseUrl(name), Model = "a-model", Secret = _variable }, StringComparer.Ordinal);
        }

        var voices = new Dictionary<string, AdapterOptions>(StringComparer.Ordinal);
        foreach (var provider in factory.Providers.All)
        {
            if (await KeyLocation.FindAsync(Secrets, provider) is { Source: not null })
            {
                voices.Add(provider.Id, new AdapterOptions());
            }
        }

        return voices.Count > 0 ? voices : throw new SecretsException("no provider has a key", "set one, as: mallku set openai_api_key");
    }

    public async ValueTask DisposeAsync()
    {
        if (_server is not null)
        {
            await _server.DisposeAsync();
        }
    }
}
