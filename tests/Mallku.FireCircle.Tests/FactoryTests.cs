using System.Text;
using Microsoft.Extensions.AI;

namespace Mallku.FireCircle.Tests;

public sealed class FactoryTests
{
    [Fact]
    public async Task A_dictionary_of_adapters_gets_its_keys_and_explicit_ones_win()
    {
        await using var stage = await Stage.SetAsync();
        var stored = await stage.StoreAsync("openai_api_key");
        var named = await stage.StoreAsync("team.claude");
        using var given = SecretValue.FromString("given");
        var injected = await stage.Factory.InjectAsync(
            new Dictionary<string, AdapterOptions>(StringComparer.Ordinal)
            {
                ["openai"] = new() { Model = "a-model" },
                ["critic"] = new() { Provider = "claude", Secret = "team.claude" },
                ["chair"] = new() { Provider = "openai", Key = given },
                ["mistral"] = new(),
            },
            Stage.Cancel);
        Assert.Equal(stored, injected["openai"].Key!.RevealString());
        Assert.Equal("a-model", injected["openai"].Model);
        Assert.Equal(named, injected["critic"].Key!.RevealString());
        Assert.Same(given, injected["chair"].Key);
        Assert.Null(injected["mistral"].Key);
        Assert.DoesNotContain(stored, injected["openai"].ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_options_reach_the_request_and_the_callers_own_win()
    {
        await using var stage = await Stage.SetAsync();
        await stage.StoreAsync("openai_api_key");
        using var client = stage.Factory.Create("gpt", new AdapterOptions { BaseUrl = stage.Server.BaseUrl("openai"), Model = "a-model", Temperature = 0.25f });
        await client.GetResponseAsync("one", cancellationToken: Stage.Cancel);
        await client.GetResponseAsync("two", new ChatOptions { Temperature = 0.75f, ModelId = "another" }, Stage.Cancel);
        var bodies = stage.Server.Seen.Select(request => Encoding.UTF8.GetString(request.Body)).ToList();
        Assert.Contains("\"temperature\":0.25", bodies[0], StringComparison.Ordinal);
        Assert.Contains("\"a-model\"", bodies[0], StringComparison.Ordinal);
        Assert.Contains("\"temperature\":0.75", bodies[1], StringComparison.Ordinal);
        Assert.Contains("\"another\"", bodies[1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_missing_for_an_adapter_is_said_when_it_is_made()
    {
        await using var stage = await Stage.SetAsync();
        var unknown = Assert.Throws<SecretsException>(() => stage.Factory.Create("opnai"));
        Assert.Contains("openai", unknown.Remedy, StringComparison.Ordinal);
        var modelless = Assert.Throws<SecretsException>(() => stage.Factory.Create("local"));
        Assert.Contains("no model", modelless.Problem, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(ChatTests.Providers), MemberType = typeof(ChatTests))]
    public async Task A_check_says_whether_a_key_works(string provider)
    {
        await using var stage = await Stage.SetAsync();
        var key = await stage.StoreAsync($"{provider}_api_key");
        var options = new AdapterOptions { BaseUrl = stage.Server.BaseUrl(provider) };
        Assert.Equal(KeyOutcome.Works, (await stage.Factory.CheckAsync(provider, options, Stage.Cancel)).Outcome);
        stage.Server.Refuse(key);
        Assert.Equal(KeyOutcome.Refused, (await stage.Factory.CheckAsync(provider, options, Stage.Cancel)).Outcome);
        stage.Server.RefusalStatus = 500;
        Assert.Equal((KeyOutcome.Unreachable, (int?)500), await OutcomeAsync(options));
        Assert.Equal((KeyOutcome.Unreachable, null), await OutcomeAsync(options with { BaseUrl = new Uri("http://127.0.0.1:1/") }));
        Assert.Empty(stage.Server.Faults);

        async Task<(KeyOutcome, int?)> OutcomeAsync(AdapterOptions asked)
        {
            var verdict = await stage.Factory.CheckAsync(provider, asked, Stage.Cancel);
            return (verdict.Outcome, verdict.Status);
        }
    }

    [Fact]
    public async Task A_request_that_is_cancelled_ends()
    {
        await using var stage = await Stage.SetAsync();
        await stage.StoreAsync("openai_api_key");
        using var client = await stage.CreateAsync("openai");
        stage.Server.StreamGate = new TaskCompletionSource().Task;
        using var cancelling = CancellationTokenSource.CreateLinkedTokenSource(Stage.Cancel);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var _ in client.GetStreamingResponseAsync("one", cancellationToken: cancelling.Token))
            {
                await cancelling.CancelAsync();
            }
        });
    }
}
