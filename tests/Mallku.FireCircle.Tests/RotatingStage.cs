using System.Text;
using System.Text.RegularExpressions;
using Mallku.FireCircle.Rotators;
using Mallku.FireCircle.TestServer;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Rotation;
using Mallku.Secrets.Tests.Processes;

namespace Mallku.FireCircle.Tests;

/// <summary>
/// A stage on which one key serves every provider and is rotated by OpenAI's interface for managing keys, by a manager of
/// its own, so that the callers' learns of it as it would of another process.
/// </summary>
internal sealed partial class RotatingStage : IAsyncDisposable
{
    internal const string Secret = "openai_api_key";
    private static readonly string Program = Path.Combine(AppContext.BaseDirectory, "Mallku.FireCircle.Tests.Child");

    private readonly Stage _stage;
    private readonly AdapterFactory _rotatorsFactory;
    private readonly RotationPolicy _policy;
    private readonly SharedKeys? _shared;

    private RotatingStage(Stage stage, ProviderCatalogue providers, TimeSpan grace, SharedKeys? shared)
    {
        _stage = stage;
        _shared = shared;
        _policy = new RotationPolicy { Rotator = "openai", Account = "proj_test", Grace = grace };
        Factory = new AdapterFactory(stage.Secrets, providers);
        var rotating = SecretsManager.Open(stage.Options);
        _rotatorsFactory = new AdapterFactory(rotating, providers);
        Book = new KeyBook(new OpenAIRotator(_rotatorsFactory));
        Runner = rotating.CreateRotationRunner(Book);
    }

    internal AdapterFactory Factory { get; }

    internal KeyBook Book { get; }

    internal RotationRunner Runner { get; }

    internal ProviderServer Server => _stage.Server;

    /// <summary>The callers' requests, without those of rotations.</summary>
    internal List<SeenRequest> Calls => [.. Server.Seen.Where(static request => Prompt(request).Length > 0)];

    /// <param name="grace">Of each rotation.</param>
    /// <param name="shared">Where the keys lie; null for a vault.</param>
    internal static async Task<RotatingStage> SetAsync(TimeSpan grace, SharedKeys? shared = null)
    {
        var stage = await Stage.SetAsync(shared?.Options);

        // so that every caller is waiting for an answer nearly all the time, and leaves the machine to the rotations
        stage.Server.Latency = TimeSpan.FromMilliseconds(10);
        var rotating = new RotatingStage(stage, await stage.LoadProvidersAsync(Providers(stage.Server)), grace, shared);
        const string administrator = "canary-admin-0123456789";
        stage.Server.AcceptAdministrator(administrator);
        await rotating.StoreAsync("openai_admin_key", administrator);
        var byHand = stage.Server.AddKey("openai", "made by hand", "sk-proj-" + Stage.NewKey());
        await rotating.StoreAsync(Secret, byHand.Value);
        rotating.Book.Add(byHand.Value, version: 1);
        return rotating;
    }

    internal ValueTask<RotatedSecret> RotateAsync() => Runner.RotateAsync(Secret, _policy, Stage.Cancel);

    /// <summary>Another process on the same vault, or another machine on the same store.</summary>
    internal Child Start(string verb, params string[] arguments) => Child.StartOtherWith(
        _shared?.OfAnotherMachine() ?? [], Program, [verb, _stage.Options.Directory ?? "-", _stage.PathOf("providers.json"), .. arguments]);

    /// <summary>What goes on with rotations on another clock.</summary>
    internal RotationRunner CreateRunner(TimeProvider clock) => SecretsManager.Open(_stage.Options with { TimeProvider = clock }).CreateRotationRunner(Book);

    internal async Task<string> GetCurrentAsync()
    {
        await _stage.Secrets.RefreshAsync(Stage.Cancel);
        return (await _stage.Secrets.GetRequiredAsync(Secret, Stage.Cancel)).RevealString();
    }

    /// <summary>How often the adapters were handed each version, once the ledger knows of enough, which it does soon.</summary>
    internal async Task<Dictionary<int, long>> CountReadsAsync(Predicate<Dictionary<int, long>> isEnough)
    {
        for (var left = 120; ; left--)
        {
            var reads = new Dictionary<int, long>();
            await foreach (var entry in _stage.Secrets.Ledger.ReadEntriesAsync(cancellationToken: Stage.Cancel))
            {
                if (entry is { Kind: LedgerKind.Read, Secret: Secret, Version: { } version } && entry.Purpose?.StartsWith("adapter ", StringComparison.Ordinal) == true)
                {
                    reads[version] = reads.GetValueOrDefault(version) + entry.Count;
                }
            }

            if (left == 0 || isEnough(reads))
            {
                return reads;
            }

            await Task.Delay(TimeSpan.FromMilliseconds(250), Stage.Cancel);
        }
    }

    /// <summary>What a caller's request asked, or nothing.</summary>
    internal static string Prompt(SeenRequest request) => PromptPattern().Match(Encoding.UTF8.GetString(request.Body)).Value;

    public async ValueTask DisposeAsync()
    {
        Factory.Dispose();
        _rotatorsFactory.Dispose();
        await _stage.DisposeAsync();
    }

    private async Task StoreAsync(string name, string value)
    {
        using var secret = SecretValue.FromString(value);
        await _stage.Secrets.SetAsync(name, secret, cancellationToken: Stage.Cancel);
    }

    private static string Providers(ProviderServer server) =>
        $$"""
        {"providers": [
          {"id": "openai", "name": "OpenAI", "protocol": "openai", "baseUrl": "{{server.BaseUrl("openai")}}", "model": "a-model",
           "key": {"header": "bearer", "secrets": ["{{Secret}}"]}, "check": {"path": "models"},
           "management": {"can": ["create", "list", "delete"], "baseUrl": "{{server.BaseUrl("openai")}}/organization", "header": "bearer", "secrets": ["openai_admin_key"]} },
          {"id": "anthropic", "name": "Anthropic", "protocol": "anthropic", "baseUrl": "{{server.BaseUrl("anthropic")}}", "model": "a-model",
           "key": {"header": "x-api-key", "secrets": ["{{Secret}}"]}, "check": {"path": "v1/models"} },
          {"id": "google", "name": "Google", "protocol": "openai", "baseUrl": "{{server.BaseUrl("google")}}", "model": "a-model",
           "key": {"header": "bearer", "secrets": ["{{Secret}}"]}, "check": {"path": "models", "refused": [400, 401, 403]} },
          {"id": "ollama", "name": "Ollama", "protocol": "ollama", "baseUrl": "{{server.BaseUrl("ollama")}}", "model": "a-model",
           "key": {"header": "bearer", "secrets": ["{{Secret}}"]}, "check": {"path": "api/tags"} }
        ]}
        """;

    [GeneratedRegex("#[a-z]+/[0-9]+/[0-9]+#", RegexOptions.ExplicitCapture | RegexOptions.NonBacktracking)]
    private static partial Regex PromptPattern();
}
