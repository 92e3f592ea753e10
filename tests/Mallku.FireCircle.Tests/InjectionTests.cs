using System.Net;
using Microsoft.Extensions.AI;

namespace Mallku.FireCircle.Tests;

/// <summary>Which key is sent, when another is, and what happens where none is or none works.</summary>
public sealed class InjectionTests
{
    public static TheoryData<string> Providers => ChatTests.Providers;

    [Theory]
    [MemberData(nameof(Providers))]
    public async Task A_change_of_the_secret_reaches_a_client_that_was_made_before(string provider)
    {
        await using var stage = await Stage.SetAsync();
        var first = await stage.StoreAsync($"{provider}_api_key");
        using var client = await stage.CreateAsync(provider);
        await client.GetResponseAsync("one", cancellationToken: Stage.Cancel);

        var second = await stage.StoreAsync($"{provider}_api_key");
        await stage.Secrets.RefreshAsync(Stage.Cancel);
        await client.GetResponseAsync("two", cancellationToken: Stage.Cancel);
        Assert.Equal([first, second], stage.Server.Seen.Select(request => request.Key).ToList());
    }

    [Theory]
    [MemberData(nameof(Providers))]
    public async Task A_request_whose_key_is_refused_is_sent_again_with_the_newer_version(string provider)
    {
        await using var stage = await Stage.SetAsync();
        var first = await stage.StoreAsync($"{provider}_api_key");
        using var client = await stage.CreateAsync(provider);
        await client.GetResponseAsync("one", cancellationToken: Stage.Cancel);

        var second = await stage.StoreAsync($"{provider}_api_key");
        stage.Server.Refuse(first);
        var response = await client.GetResponseAsync("two", cancellationToken: Stage.Cancel);
        Assert.Equal($"{provider} heard: two", response.Text);
        var text = "";
        await foreach (var update in client.GetStreamingResponseAsync("three", cancellationToken: Stage.Cancel))
        {
            text += update.Text;
        }

        Assert.Equal($"{provider} heard: three", text);
        Assert.Equal(200, stage.Server.Seen.Last().Status);
        Assert.Equal(second, stage.Server.Seen.Last().Key);
        Assert.InRange(stage.Server.Seen.Count(request => request.Status != 200), 0, 1);
        Assert.Empty(stage.Server.Faults);
    }

    [Fact]
    public async Task A_request_whose_key_is_refused_is_sent_again_with_the_previous_version_within_its_grace()
    {
        await using var stage = await Stage.SetAsync();
        var previous = await stage.StoreAsync("openai_api_key");
        var current = await stage.StoreAsync("openai_api_key", isAccepted: false, grace: TimeSpan.FromHours(1));
        using var client = await stage.CreateAsync("openai");
        await client.GetResponseAsync("one", cancellationToken: Stage.Cancel);
        Assert.Equal([(current, 401), (previous, 200)], stage.Server.Seen.Select(request => (request.Key!, request.Status)));
    }

    [Fact]
    public async Task A_check_is_of_the_current_version_whatever_the_previous_one_can_do()
    {
        await using var stage = await Stage.SetAsync();
        var options = new AdapterOptions { BaseUrl = stage.Server.BaseUrl("openai") };
        var previous = await stage.StoreAsync("openai_api_key");
        var current = await stage.StoreAsync("openai_api_key", isAccepted: false, grace: TimeSpan.FromHours(1));
        Assert.Equal(KeyOutcome.Refused, (await stage.Factory.CheckAsync("openai", options, Stage.Cancel)).Outcome);
        Assert.Equal(current, Assert.Single(stage.Server.Seen).Key);

        // one that is newer than what was known is the current one
        var newer = await stage.StoreAsync("openai_api_key", grace: TimeSpan.FromHours(1));
        stage.Server.Refuse(previous);
        Assert.Equal(KeyOutcome.Works, (await stage.Factory.CheckAsync("openai", options, Stage.Cancel)).Outcome);
        Assert.Equal(newer, stage.Server.Seen.Last().Key);
    }

    [Fact]
    public async Task It_is_sent_again_once_and_a_version_without_grace_is_not_tried()
    {
        await using var stage = await Stage.SetAsync();
        await stage.StoreAsync("openai_api_key");
        await stage.StoreAsync("openai_api_key", isAccepted: false);
        using var client = await stage.CreateAsync("openai");
        await Assert.ThrowsAnyAsync<Exception>(() => client.GetResponseAsync("one", cancellationToken: Stage.Cancel));
        Assert.Single(stage.Server.Seen);

        await stage.StoreAsync("openai_api_key", isAccepted: false, grace: TimeSpan.FromHours(1));
        await stage.StoreAsync("openai_api_key", isAccepted: false, grace: TimeSpan.FromHours(1));
        await Assert.ThrowsAnyAsync<Exception>(() => client.GetResponseAsync("two", cancellationToken: Stage.Cancel));
        Assert.Equal(3, stage.Server.Seen.Count);
    }

    [Fact]
    public async Task A_refusal_by_forbidding_is_one_and_an_overloaded_server_is_not()
    {
        await using var stage = await Stage.SetAsync();
        await stage.StoreAsync("openai_api_key");
        var current = await stage.StoreAsync("openai_api_key", isAccepted: false, grace: TimeSpan.FromHours(1));
        using var client = await stage.CreateAsync("openai");
        stage.Server.RefusalStatus = 503;
        await Assert.ThrowsAnyAsync<Exception>(() => client.GetResponseAsync("one", cancellationToken: Stage.Cancel));
        Assert.Equal(current, Assert.Single(stage.Server.Seen).Key);

        stage.Server.RefusalStatus = 403;
        Assert.Equal("openai heard: two", (await client.GetResponseAsync("two", cancellationToken: Stage.Cancel)).Text);
    }

    [Fact]
    public async Task A_body_that_can_be_sent_again_is_the_same_one_and_for_another_the_refusal_is_the_answer()
    {
        await using var stage = await Stage.SetAsync();
        await stage.StoreAsync("openai_api_key");
        await stage.StoreAsync("openai_api_key", isAccepted: false, grace: TimeSpan.FromHours(1));
        using var http = Open(stage);
        byte[] body = [.. """{"model":"m","messages":[{"role":"user","content":"hello"}]}"""u8];

        using var replayed = await http.PostAsync("chat/completions", new ByteArrayContent(body), Stage.Cancel);
        Assert.Equal(HttpStatusCode.OK, replayed.StatusCode);
        Assert.All(stage.Server.Seen, request => Assert.Equal(body, request.Body));
        Assert.Equal(2, stage.Server.Seen.Count);

        using var refused = await http.PostAsync("chat/completions", new StreamContent(new OnceStream(body)), Stage.Cancel);
        Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
        Assert.Contains("Incorrect API key", await refused.Content.ReadAsStringAsync(Stage.Cancel), StringComparison.Ordinal);
        Assert.Equal(3, stage.Server.Seen.Count);
    }

    [Theory]
    [InlineData("https://127.0.0.1:{0}/openai/v1/models")]
    [InlineData("http://localhost:{0}/openai/v1/models")]
    [InlineData("http://127.0.0.1:1/openai/v1/models")]
    public async Task A_request_to_another_server_than_the_configured_one_is_not_sent(string address)
    {
        await using var stage = await Stage.SetAsync();
        await stage.StoreAsync("openai_api_key");
        using var http = Open(stage);
        var error = await Assert.ThrowsAsync<SecretsException>(() => http.GetAsync(new Uri(string.Format(address, stage.Server.Address.Port)), Stage.Cancel));
        Assert.Contains("another server", error.Problem, StringComparison.Ordinal);
        Assert.Empty(stage.Server.Seen);
    }

    [Fact]
    public async Task Who_asks_synchronously_is_told_so()
    {
        await using var stage = await Stage.SetAsync();
        await stage.StoreAsync("openai_api_key");
        using var http = Open(stage);
        using var request = new HttpRequestMessage(HttpMethod.Get, "models");
        Assert.Throws<NotSupportedException>(() => http.Send(request, Stage.Cancel));
        Assert.Empty(stage.Server.Seen);
    }

    [Fact]
    public async Task An_explicit_key_wins_over_a_named_secret_and_that_over_the_providers_names()
    {
        await using var stage = await Stage.SetAsync();
        var usual = await stage.StoreAsync("openai_key");
        var named = await stage.StoreAsync("team.openai");
        var given = Stage.NewKey();
        stage.Server.Accept(given);
        using var value = SecretValue.FromString(given);
        var options = new AdapterOptions { BaseUrl = stage.Server.BaseUrl("openai") };

        foreach (var variant in new[] { options, options with { Secret = "team.openai" }, options with { Secret = "team.openai", Key = value } })
        {
            using var client = await stage.Factory.CreateAsync("openai", variant, Stage.Cancel);
            await client.GetResponseAsync("one", cancellationToken: Stage.Cancel);
        }

        Assert.Equal([usual, named, given], stage.Server.Seen.Select(request => request.Key).ToList());
    }

    [Fact]
    public async Task A_more_wanted_name_that_is_set_later_wins_from_then_on()
    {
        await using var stage = await Stage.SetAsync();
        var second = await stage.StoreAsync("gemini_api_key");
        using var client = await stage.CreateAsync("google");
        await client.GetResponseAsync("one", cancellationToken: Stage.Cancel);
        var first = await stage.StoreAsync("google_api_key");
        await stage.Secrets.RefreshAsync(Stage.Cancel);
        await client.GetResponseAsync("two", cancellationToken: Stage.Cancel);
        Assert.Equal([second, first], stage.Server.Seen.Select(request => request.Key).ToList());
    }

    [Theory]
    [InlineData("ollama")]
    [InlineData("local")]
    public async Task A_local_server_needs_no_key_and_gets_one_as_soon_as_there_is_one(string provider)
    {
        await using var stage = await Stage.SetAsync();
        using var client = await stage.CreateAsync(provider);
        await client.GetResponseAsync("one", cancellationToken: Stage.Cancel);
        Assert.Null(Assert.Single(stage.Server.Seen).Key);

        var key = await stage.StoreAsync($"{provider}_api_key");
        await stage.Secrets.RefreshAsync(Stage.Cancel);
        await client.GetResponseAsync("two", cancellationToken: Stage.Cancel);
        Assert.Equal(key, stage.Server.Seen.Last().Key);
    }

    [Fact]
    public async Task Where_no_key_is_the_error_says_what_was_looked_for_where_and_who_has_one()
    {
        await using var stage = await Stage.SetAsync();
        await stage.StoreAsync("grok_api_key");
        var error = await Assert.ThrowsAsync<MissingKeyException>(async () => await stage.Factory.CreateAsync("openai", cancellationToken: Stage.Cancel));
        Assert.Equal(
            $"no key for openai: no secret openai_api_key or openai_key or OPENAI_API_KEY in environment (OPENAI_API_KEY), vault ({stage.Options.Directory}), environment (OPENAI_KEY)",
            error.Problem);
        Assert.Equal("set it: mallku set openai_api_key; keys are made at https://platform.openai.com/api-keys; providers with a key: xai", error.Remedy);
    }

    [Fact]
    public async Task A_key_that_is_removed_is_missing_from_the_next_request_on()
    {
        await using var stage = await Stage.SetAsync();
        await stage.StoreAsync("openai_api_key");
        using var client = await stage.CreateAsync("openai");
        await client.GetResponseAsync("one", cancellationToken: Stage.Cancel);
        await stage.Secrets.RemoveAsync("openai_api_key", Stage.Cancel);
        var error = await Assert.ThrowsAnyAsync<Exception>(() => client.GetResponseAsync("two", cancellationToken: Stage.Cancel));
        Assert.Contains("no key for openai", error.ToString(), StringComparison.Ordinal);
        Assert.Single(stage.Server.Seen);
    }

    [Fact]
    public async Task A_key_that_was_missing_is_used_as_soon_as_another_process_has_set_it()
    {
        await using var stage = await Stage.SetAsync();
        await stage.StoreAsync("openai_api_key");
        using var client = await stage.CreateAsync("openai");
        for (var i = 0; i < 3; i++)
        {
            await client.GetResponseAsync("one", cancellationToken: Stage.Cancel);
            await stage.Secrets.RemoveAsync("openai_api_key", Stage.Cancel);
            await Assert.ThrowsAnyAsync<Exception>(() => client.GetResponseAsync("two", cancellationToken: Stage.Cancel));
            var key = await stage.StoreAsync("openai_api_key");
            await client.GetResponseAsync("three", cancellationToken: Stage.Cancel);
            Assert.Equal(key, stage.Server.Seen.Last().Key);
        }
    }

    [Theory]
    [InlineData("sk-proj-canary0123456789abcdef")]
    [InlineData("xai-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")]
    public async Task A_key_that_is_given_as_the_name_of_an_adapter_stands_in_no_ledger(string key)
    {
        await using var stage = await Stage.SetAsync();
        await stage.StoreAsync("openai_api_key");
        using var client = await stage.Factory.CreateAsync(key, new AdapterOptions { Provider = "openai", BaseUrl = stage.Server.BaseUrl("openai") }, Stage.Cancel);
        await client.GetResponseAsync("one", cancellationToken: Stage.Cancel);
        await stage.Secrets.FlushAsync(Stage.Cancel);
        var ledger = Directory.GetFiles(Path.Combine(stage.Options.Directory!, "ledger"), "*.jsonl").SelectMany(File.ReadLines).ToList();
        Assert.Contains(ledger, line => line.Contains("\"purpose\":\"adapter openai\"", StringComparison.Ordinal));
        Assert.DoesNotContain(ledger, line => line.Contains(key, StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_ledger_says_for_which_adapter_a_key_was_used()
    {
        await using var stage = await Stage.SetAsync();
        await stage.StoreAsync("openai_api_key");
        using var client = await stage.Factory.CreateAsync(
            "critic", new AdapterOptions { Provider = "openai", BaseUrl = stage.Server.BaseUrl("openai") }, Stage.Cancel);
        await client.GetResponseAsync("one", cancellationToken: Stage.Cancel);
        var ledger = Directory.GetFiles(Path.Combine(stage.Options.Directory!, "ledger"), "*.jsonl").SelectMany(File.ReadLines);
        Assert.Contains("\"purpose\":\"adapter critic\"", ledger.Last(), StringComparison.Ordinal);
    }

    private static HttpClient Open(Stage stage)
    {
        var provider = ProviderCatalogue.BuiltIn.Find("openai");
        var key = new AdapterKey(stage.Secrets, ProviderCatalogue.BuiltIn, provider, new AdapterOptions());
        var server = ProviderRules.AsFolder(stage.Server.BaseUrl("openai"));
        return new HttpClient(new KeyInjectionHandler(key, provider, server, new SocketsHttpHandler())) { BaseAddress = server };
    }

    /// <summary>A stream that can be read once, as one from a network.</summary>
    private sealed class OnceStream(byte[] content) : MemoryStream(content)
    {
        public override bool CanSeek => false;
    }
}
