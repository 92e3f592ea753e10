namespace Mallku.FireCircle.Tests;

/// <summary>A user's file of providers.</summary>
internal static class OwnServers
{
    /// <summary>With a server that takes the key as Google's own interface does.</summary>
    public static Task<ProviderCatalogue> LoadAsync(Stage stage) =>
        stage.LoadProvidersAsync(
            $$"""
            {
              // comments are allowed
              "providers": [
                {
                  "id": "goog",
                  "name": "a server of our own",
                  "protocol": "openai",
                  "baseUrl": "{{stage.Server.BaseUrl("goog")}}",
                  "key": { "header": "x-goog-api-key", "secrets": ["goog_api_key"] },
                  "check": { "path": "models" },
                  "model": "a-model",
                },
              ]
            }
            """);
}
