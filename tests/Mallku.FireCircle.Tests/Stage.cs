using Mallku.FireCircle.TestServer;
using Mallku.Secrets.Vault;
using Microsoft.Extensions.AI;

namespace Mallku.FireCircle.Tests;

/// <summary>A vault or a shared store, a server that plays the providers, and a factory: what a test of an adapter needs.</summary>
internal sealed class Stage : IAsyncDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("mallku-test-").FullName;

    private Stage(ProviderServer server, SecretsOptions? options)
    {
        Server = server;
        Options = options ?? new SecretsOptions { Directory = Path.Combine(_folder, ".secrets") };
        Secrets = SecretsManager.Open(Options);
        Factory = new AdapterFactory(Secrets);
    }

    public static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public ProviderServer Server { get; }

    public SecretsOptions Options { get; }

    public SecretsManager Secrets { get; }

    public AdapterFactory Factory { get; }

    /// <param name="options">Where the keys lie; null for a vault of the test's own.</param>
    public static async Task<Stage> SetAsync(SecretsOptions? options = null)
    {
        var stage = new Stage(await ProviderServer.StartAsync(cancellationToken: Cancel), options);
        if (options is null)
        {
            await VaultCreation.CreateAsync(stage.Secrets.Vault, Cancel);
        }

        return stage;
    }

    /// <summary>A key that nothing else looks like.</summary>
    public static string NewKey() => $"canary-{Guid.NewGuid():N}";

    /// <summary>Stores a new key, as another process would, and lets the server take it.</summary>
    public async Task<string> StoreAsync(string name, bool isAccepted = true, TimeSpan grace = default)
    {
        var key = NewKey();
        using var value = SecretValue.FromString(key);
        await SecretsManager.Open(Options).SetAsync(name, value, new SetOptions { Grace = grace }, Cancel);
        if (isAccepted)
        {
            Server.Accept(key);
        }

        return key;
    }

    /// <summary>A client of the server that plays a provider.</summary>
    public ValueTask<IChatClient> CreateAsync(string provider) =>
        Factory.CreateAsync(provider, new AdapterOptions { BaseUrl = Server.BaseUrl(provider), Model = "a-model" }, Cancel);

    public string PathOf(string file) => Path.Combine(_folder, file);

    /// <summary>A catalogue with a user's file.</summary>
    public async Task<ProviderCatalogue> LoadProvidersAsync(string json)
    {
        var file = PathOf("providers.json");
        await File.WriteAllTextAsync(file, json, Cancel);
        File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return await ProviderCatalogue.LoadAsync(file, Cancel);
    }

    public async ValueTask DisposeAsync()
    {
        Factory.Dispose();
        await Secrets.FlushAsync(CancellationToken.None);
        await Server.DisposeAsync();
        const int attempts = 20;
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                Directory.Delete(_folder, recursive: true);
                return;
            }
            catch (IOException) when (attempt < attempts)
            {
                // a manager that the test left has counts to write into the ledger, within a quarter of a second
                await Task.Delay(50, CancellationToken.None);
            }
        }
    }
}
