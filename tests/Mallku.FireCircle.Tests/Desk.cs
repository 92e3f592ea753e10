using System.Globalization;
using Mallku.FireCircle.Rotators;
using Mallku.Secrets.Rotation;

namespace Mallku.FireCircle.Tests;

/// <summary>A stage whose catalogue has the server in the place of a few providers, and a person who types what the test says.</summary>
internal sealed class Desk : IAsyncDisposable
{
    private const string Administrator = "canary-admin-0123456789";

    internal required Stage Stage { get; init; }

    internal required AdapterFactory Factory { get; init; }

    internal string Typed { get; set; } = "";

    internal Uri? Console { get; private set; }

    internal TimeProvider? Clock { get; set; }

    internal RotationRunner Runner => SecretsManager.Open(Clock is null ? Stage.Options : Stage.Options with { TimeProvider = Clock }).CreateRotationRunner([new OpenAIRotator(Factory), new XaiRotator(Factory), new AssistedRotator(Factory, AskAsync)]);

    internal static async Task<Desk> SetAsync(string provider, bool hasAdministrator = true)
    {
        var stage = await Stage.SetAsync();
        var path = stage.PathOf("providers.json");
        await File.WriteAllTextAsync(path, Providers(stage.Server.Address), Stage.Cancel);
        var desk = new Desk { Stage = stage, Factory = new AdapterFactory(stage.Secrets, await ProviderCatalogue.LoadAsync(path, Stage.Cancel)) };
        if (hasAdministrator)
        {
            stage.Server.AcceptAdministrator(Administrator);
            await desk.StoreAsync(provider + (provider == "xai" ? "_management_key" : "_admin_key"), Administrator);
        }

        return desk;
    }

    internal async Task StoreAsync(string name, string value)
    {
        using var secret = SecretValue.FromString(value);
        await SecretsManager.Open(Stage.Options).SetAsync(name, secret, cancellationToken: Stage.Cancel);
        await Stage.Secrets.RefreshAsync(Stage.Cancel);
    }

    public async ValueTask DisposeAsync()
    {
        Factory.Dispose();
        await Stage.DisposeAsync();
    }

    private ValueTask<SecretValue> AskAsync(RotatedKey key, Uri? console, CancellationToken cancellationToken)
    {
        Console = console;
        return new(SecretValue.FromString(Typed));
    }

    private static string Providers(Uri server) => string.Create(CultureInfo.InvariantCulture, $$"""
        {"providers": [
          {"id": "openai", "name": "OpenAI", "protocol": "openai", "baseUrl": "{{server}}openai/v1",
           "key": {"header": "bearer", "secrets": ["openai_api_key"]}, "check": {"path": "models"},
           "management": {"can": ["create", "list", "delete"], "baseUrl": "{{server}}openai/v1/organization", "header": "bearer", "secrets": ["openai_admin_key"]} },
          {"id": "anthropic", "name": "Anthropic", "protocol": "anthropic", "baseUrl": "{{server}}anthropic",
           "key": {"header": "x-api-key", "secrets": ["anthropic_api_key"], "console": "https://console.anthropic.com/settings/keys"},
           "check": {"path": "v1/models", "headers": {"anthropic-version": "2023-06-01"} },
           "management": {"can": ["list", "disable"], "baseUrl": "{{server}}anthropic/v1/organizations", "header": "x-api-key", "secrets": ["anthropic_admin_key"]} },
          {"id": "xai", "name": "xAI", "protocol": "openai", "baseUrl": "{{server}}xai/v1",
           "key": {"header": "bearer", "secrets": ["xai_api_key"], "pattern": "xai-canary-[0-9a-f]{32}"}, "check": {"path": "models", "refused": [400, 401, 403]},
           "management": {"can": ["create", "list", "disable", "delete"], "baseUrl": "{{server}}xai", "header": "bearer", "secrets": ["xai_management_key"]} },
          {"id": "mistral", "name": "Mistral", "protocol": "openai", "baseUrl": "{{server}}mistral/v1",
           "key": {"header": "bearer", "secrets": ["mistral_api_key"], "console": "https://console.mistral.ai/api-keys"}, "check": {"path": "models"} }
        ]}
        """);
}
