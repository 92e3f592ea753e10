using System.IO.Pipelines;
using System.Net;
using System.Text;
using Microsoft.Extensions.AI;

namespace Mallku.FireCircle.Tests;

/// <summary>Answers that no server of good will gives: keys where none belong, and ends that never come.</summary>
public sealed class RawAnswerTests
{
    private const string Key = "sk-1234567890abcdefghij";

    [Theory]
    [InlineData("openai")]
    [InlineData("anthropic")]
    [InlineData("ollama")]
    public async Task A_key_in_the_head_of_an_error_reaches_nobody(string provider)
    {
        await using var stage = await Stage.SetAsync();
        await using var server = new RawServer(
            $"HTTP/1.1 401 Invalid key {Key}\r\nWWW-Authenticate: Bearer error=\"{Key}\"\r\nx-other: {Key}\r\nContent-Type: text/{Key}\r\nContent-Length: 5\r\n\r\nplain");
        using var key = SecretValue.FromString(Key);
        var options = new AdapterOptions { BaseUrl = server.Address, Key = key, Model = "a-model" };
        using var client = stage.Factory.Create(provider, options);
        var error = await Assert.ThrowsAnyAsync<Exception>(() => client.GetResponseAsync("one", cancellationToken: Stage.Cancel));
        AssertNoPart(error.ToString());

        var adapter = new Adapter(
            ProviderCatalogue.BuiltIn.Find(provider), options, server.Address, new AdapterKey(stage.Secrets, ProviderCatalogue.BuiltIn, ProviderCatalogue.BuiltIn.Find(provider), options));
        using var connections = new Connections();
        using var http = connections.Open(adapter, Connections.ShortPatience);
        using var response = await http.GetAsync("", Stage.Cancel);
        Assert.Equal((HttpStatusCode.Unauthorized, "Unauthorized"), (response.StatusCode, response.ReasonPhrase));
        Assert.Contains("***", response.Headers.ToString(), StringComparison.Ordinal);
        AssertNoPart($"{response}{response.Headers}{response.Content.Headers}");
        Assert.Equal("plain", await response.Content.ReadAsStringAsync(Stage.Cancel));
    }

    [Fact]
    public async Task A_key_in_an_error_within_a_stream_reaches_nobody()
    {
        await using var stage = await Stage.SetAsync();
        await using var server = new RawServer(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
            + "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"authentication_error\",\"message\":\"Invalid " + Key + "!\"}}\n\n");
        using var key = SecretValue.FromString(Key);
        using var client = stage.Factory.Create("anthropic", new AdapterOptions { BaseUrl = server.Address, Key = key });
        var error = await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            await foreach (var update in client.GetStreamingResponseAsync("one", cancellationToken: Stage.Cancel))
            {
                AssertNoPart(update.Text);
            }
        });
        Assert.Contains("Invalid ***", error.ToString(), StringComparison.Ordinal);
        AssertNoPart(error.ToString());
    }

    [Theory]
    [InlineData("application/json", true)]
    [InlineData("Application/JSON; charset=utf-8", true)]
    [InlineData("application/json-seq", false)]
    [InlineData("application/x-ndjson", false)]
    [InlineData("text/event-stream", false)]
    [InlineData(null, false)]
    public async Task Of_what_is_no_error_a_whole_document_alone_is_left_as_it_is(string? type, bool isLeft)
    {
        await using var stage = await Stage.SetAsync();
        await using var server = new RawServer($"HTTP/1.1 200 OK\r\n{(type is null ? "" : $"Content-Type: {type}\r\n")}Content-Length: {Key.Length}\r\n\r\n{Key}");
        using var key = SecretValue.FromString(Key);
        var provider = ProviderCatalogue.BuiltIn.Find("openai");
        var options = new AdapterOptions { Key = key };
        using var connections = new Connections();
        using var http = connections.Open(
            new Adapter(provider, options, server.Address, new AdapterKey(stage.Secrets, ProviderCatalogue.BuiltIn, provider, options)), Connections.ShortPatience);
        Assert.Equal(isLeft ? Key : new string('*', Key.Length), await http.GetStringAsync("", Stage.Cancel));
    }

    [Fact]
    public async Task A_key_is_masked_wherever_the_parts_of_a_stream_end()
    {
        const string text = $"sk-12{Key}{Key}sk-1sk-1234567890{Key}sk-12345";
        var expected = text.Replace(Key, new string('*', Key.Length), StringComparison.Ordinal);
        using var key = SecretValue.FromString(Key);
        for (var one = 0; one < text.Length; one++)
        {
            var pipe = new Pipe();
            await using var masking = new MaskingStream(pipe.Reader.AsStream(), key);
            var reading = new StreamReader(masking).ReadToEndAsync(Stage.Cancel);
            await pipe.Writer.WriteAsync(Encoding.UTF8.GetBytes(text[..one]), Stage.Cancel);
            await pipe.Writer.WriteAsync(Encoding.UTF8.GetBytes(text[one..]), Stage.Cancel);
            await pipe.Writer.CompleteAsync();
            Assert.Equal(expected, await reading);
        }
    }

    [Fact]
    public async Task A_stream_waits_for_more_only_after_the_beginning_of_the_key()
    {
        using var key = SecretValue.FromString(Key);
        var pipe = new Pipe();
        await using var masking = new MaskingStream(pipe.Reader.AsStream(), key);
        var buffer = new byte[100];
        foreach (var part in new[] { "data: one\n\n", "data: sk-1234\n\n", "x" })
        {
            await pipe.Writer.WriteAsync(Encoding.UTF8.GetBytes(part), Stage.Cancel);
            Assert.Equal(part, Encoding.UTF8.GetString(buffer, 0, await masking.ReadAsync(buffer, Stage.Cancel)));
        }

        await pipe.Writer.WriteAsync("a sk-12"u8.ToArray(), Stage.Cancel);
        Assert.Equal("a ", Encoding.UTF8.GetString(buffer, 0, await masking.ReadAsync(buffer, Stage.Cancel)));
        await pipe.Writer.WriteAsync("5"u8.ToArray(), Stage.Cancel);
        Assert.Equal("sk-125", Encoding.UTF8.GetString(buffer, 0, await masking.ReadAsync(buffer, Stage.Cancel)));
    }

    [Theory]
    [InlineData("HTTP/1.1 401 No\r\nContent-Length: 100\r\n\r\n", true)]
    [InlineData("HTTP/1.1 401 No\r\nContent-Length: 100\r\n\r\ncut", false)]
    [InlineData("HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\nnonsense", false)]
    public async Task A_check_needs_no_more_of_a_refusal_than_its_head(string answer, bool holds)
    {
        await using var stage = await Stage.SetAsync();
        await using var server = new RawServer(answer, holds);
        using var key = SecretValue.FromString(Key);
        var verdict = await stage.Factory.CheckAsync("openai", new AdapterOptions { BaseUrl = server.Address, Key = key }, Stage.Cancel);
        Assert.Equal((KeyOutcome.Refused, (int?)401), (verdict.Outcome, verdict.Status));
    }

    [Theory]
    [InlineData("openai", "304 Not Modified\r\nConnection: close\r\n", 304)]
    [InlineData("anthropic", "304 Not Modified\r\nConnection: close\r\n", 304)]
    [InlineData("ollama", "304 Not Modified\r\nConnection: close\r\n", 304)]
    [InlineData("openai", "101 Switching Protocols\r\nUpgrade: other\r\nConnection: Upgrade\r\n", 101)]
    public async Task A_status_that_answers_no_request_is_an_error_that_says_so_at_once(string provider, string head, int status)
    {
        await using var stage = await Stage.SetAsync();
        await using var server = new RawServer($"HTTP/1.1 {head}\r\n", holds: true);
        using var key = SecretValue.FromString(Key);
        var options = new AdapterOptions { BaseUrl = server.Address, Key = key, Model = "a-model" };
        using var client = stage.Factory.Create(provider, options);
        var error = await Assert.ThrowsAnyAsync<Exception>(() => client.GetResponseAsync("one", cancellationToken: Stage.Cancel).WaitAsync(TimeSpan.FromSeconds(30), Stage.Cancel));
        Assert.Contains($"answered {status}, which answers no request", error.ToString(), StringComparison.Ordinal);
        var verdict = await stage.Factory.CheckAsync(provider, options, Stage.Cancel);
        Assert.Equal(new KeyVerdict(KeyOutcome.Unreachable, status, $"the server answered {status}"), verdict);
    }

    [Fact]
    public async Task The_password_of_a_proxy_is_in_no_error()
    {
        const string password = "the-proxy-password";
        await using var stage = await Stage.SetAsync();
        await using var proxy = new RawServer("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
        using var key = SecretValue.FromString(Key);
        var before = HttpClient.DefaultProxy;
        try
        {
            HttpClient.DefaultProxy = new WebProxy(new UriBuilder(proxy.Address) { UserName = "bob", Password = password }.Uri);
            using var factory = new AdapterFactory(stage.Secrets);
            var options = new AdapterOptions { BaseUrl = new Uri("https://nobody.invalid/v1"), Key = key };
            var verdict = await factory.CheckAsync("openai", options, Stage.Cancel);
            Assert.Equal(KeyOutcome.Unreachable, verdict.Outcome);
            Assert.Contains("proxy refused", verdict.Reason, StringComparison.Ordinal);
            using var client = factory.Create("openai", options);
            var error = await Assert.ThrowsAnyAsync<Exception>(() => client.GetResponseAsync("one", cancellationToken: Stage.Cancel));
            Assert.DoesNotContain(password, error.ToString() + verdict.Reason, StringComparison.Ordinal);
        }
        finally
        {
            HttpClient.DefaultProxy = before;
        }
    }

    [Fact]
    public async Task A_key_in_the_place_of_a_name_is_not_repeated()
    {
        await using var stage = await Stage.SetAsync();
        var errors = new Exception[]
        {
            Assert.Throws<SecretsException>(() => stage.Factory.Create(Key)),
            Assert.Throws<SecretsException>(() => stage.Factory.Create("critic", new AdapterOptions { Provider = Key })),
            Assert.Throws<SecretsException>(() => stage.Factory.Create(Key, new AdapterOptions { Provider = "openai", BaseUrl = new Uri("ftp://host/") })),
            await Assert.ThrowsAsync<MissingKeyException>(
                async () => await stage.Factory.CreateAsync("openai", new AdapterOptions { Secret = Key }, Stage.Cancel)),
        };
        Assert.All(errors, static error => AssertNoPart(error.ToString()));
    }

    private static void AssertNoPart(string text)
    {
        for (var start = 0; start + 8 <= Key.Length; start++)
        {
            Assert.DoesNotContain(Key.Substring(start, 8), text, StringComparison.OrdinalIgnoreCase);
        }
    }
}
