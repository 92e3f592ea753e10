using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Tracing;
using Mallku.FireCircle.TestServer;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Logging;

namespace Mallku.FireCircle.Tests;

/// <summary>A key goes to its server and nowhere else: no other address, no text.</summary>
public sealed class LeakTests
{
    public static TheoryData<string> Providers => ChatTests.Providers;

    public static TheoryData<string, int> Redirects =>
        new(from provider in new[] { "openai", "anthropic", "goog", "ollama" } from status in new[] { 301, 302, 303, 307, 308 } select (provider, status));

    [Theory]
    [MemberData(nameof(Redirects))]
    public async Task A_redirect_is_an_error_and_its_target_hears_nothing(string provider, int status)
    {
        await using var stage = await Stage.SetAsync();
        await using var target = await ProviderServer.StartAsync(cancellationToken: Stage.Cancel);
        target.AcceptsAnyKey = true;
        stage.Server.RedirectTarget = target.Address;
        var key = await stage.StoreAsync($"{provider}_api_key");
        using var factory = new AdapterFactory(stage.Secrets, await OwnServers.LoadAsync(stage));
        using var client = factory.Create(
            provider, new AdapterOptions { BaseUrl = new Uri(stage.Server.Address, $"/{status}{stage.Server.BaseUrl(provider).AbsolutePath}"), Model = "a-model" });

        var error = await Assert.ThrowsAnyAsync<Exception>(() => client.GetResponseAsync("one", cancellationToken: Stage.Cancel));
        Assert.Contains("redirects", error.ToString(), StringComparison.Ordinal);
        Assert.EndsWith(key, Assert.Single(stage.Server.Seen).Key, StringComparison.Ordinal);
        Assert.Empty(target.Seen);
    }

    [Fact]
    public async Task A_server_of_ones_own_gets_the_key_in_the_header_that_its_entry_names()
    {
        await using var stage = await Stage.SetAsync();
        var key = await stage.StoreAsync("goog_api_key");
        using var factory = new AdapterFactory(stage.Secrets, await OwnServers.LoadAsync(stage));
        using var client = await factory.CreateAsync("goog", cancellationToken: Stage.Cancel);
        Assert.Equal("goog heard: one", (await client.GetResponseAsync("one", cancellationToken: Stage.Cancel)).Text);
        Assert.Equal(key, Assert.Single(stage.Server.Seen).Key);
        Assert.Empty(stage.Server.Faults);
    }

    [Theory]
    [InlineData("http://api.openai.com/v1")]
    [InlineData("http://192.168.1.1/v1")]
    [InlineData("ftp://localhost/v1")]
    [InlineData("https://user:pass@host/v1")]
    [InlineData("https://host/v1?key=1")]
    public async Task An_address_to_which_no_key_may_go_is_refused(string address)
    {
        await using var stage = await Stage.SetAsync();
        await stage.StoreAsync("openai_api_key");
        var error = Assert.Throws<SecretsException>(() => stage.Factory.Create("openai", new AdapterOptions { BaseUrl = new Uri(address) }));
        Assert.Contains("base URL", error.Problem, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Providers))]
    public async Task What_a_client_takes_from_the_environment_reaches_no_request(string provider)
    {
        await using var stage = await Stage.SetAsync();
        var key = await stage.StoreAsync($"{provider}_api_key");
        string[] variables = ["ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL", "OPENAI_BASE_URL", "OPENAI_ORG_ID"];
        try
        {
            foreach (var variable in variables)
            {
                Environment.SetEnvironmentVariable(variable, variable.EndsWith("URL", StringComparison.Ordinal) ? "http://127.0.0.1:1/" : "another-credential");
            }

            using var client = await stage.CreateAsync(provider);
            await client.GetResponseAsync("one", cancellationToken: Stage.Cancel);
            Assert.Equal(key, Assert.Single(stage.Server.Seen).Key);
            Assert.Empty(stage.Server.Faults);
        }
        finally
        {
            Array.ForEach(variables, variable => Environment.SetEnvironmentVariable(variable, null));
        }
    }

    [Theory]
    [MemberData(nameof(Providers))]
    public async Task No_error_log_trace_or_event_holds_a_part_of_the_key(string provider)
    {
        await using var stage = await Stage.SetAsync();
        var key = await stage.StoreAsync($"{provider}_api_key");
        var told = new ConcurrentQueue<string>();
        using var events = new TellingListener(told);
        using var activities = new ActivityListener
        {
            ShouldListenTo = static _ => true,
            Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = activity => told.Enqueue(string.Join('\n', activity.TagObjects.Select(tag => $"{tag.Key}={tag.Value}").Prepend(activity.DisplayName)
                .Concat(activity.Events.SelectMany(@event => @event.Tags.Select(tag => $"{tag.Key}={tag.Value}"))))),
        };
        ActivitySource.AddActivityListener(activities);
        using var logs = LoggerFactory.Create(builder => builder.SetMinimumLevel(LogLevel.Trace).AddProvider(new TellingProvider(told)));
        using var client = (await stage.CreateAsync(provider)).AsBuilder()
            .UseLogging(logs)
            .UseOpenTelemetry(logs, configure: telemetry => telemetry.EnableSensitiveData = true)
            .Build();

        await client.GetResponseAsync("one", cancellationToken: Stage.Cancel);
        stage.Server.Refuse(key);
        stage.Server.RepeatsKeys = true;
        stage.Server.RefusalStatus = 401;
        var refused = await Assert.ThrowsAnyAsync<Exception>(() => client.GetResponseAsync("two", cancellationToken: Stage.Cancel));
        told.Enqueue(refused.ToString());
        var streamed = await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            await foreach (var update in client.GetStreamingResponseAsync("three", cancellationToken: Stage.Cancel))
            {
                told.Enqueue(update.Text);
            }
        });
        told.Enqueue(streamed.ToString());

        // who sees nothing proves nothing
        Assert.Contains(told, text => text.Contains("one", StringComparison.Ordinal));
        Assert.Equal(key, stage.Server.Seen.Last().Key);
        for (var start = 0; start + 8 <= key.Length; start++)
        {
            var part = key.Substring(start, 8);
            Assert.DoesNotContain(told, text => text.Contains(part, StringComparison.Ordinal));
        }
    }

    [Theory]
    [InlineData("Incorrect key: sk-abcdefghijklmnop!", "Incorrect key: ***!")]
    [InlineData("sk-abcde...ijklmnop and klmnop", "***...*** and klmnop")]
    [InlineData("nothing of it", "nothing of it")]
    [InlineData("sk-abcdefghijklmnopsk-abcdefghijklmnop", "******")]
    [InlineData("", "")]
    public void What_an_error_repeats_of_a_key_is_masked(string body, string masked)
    {
        using var key = SecretValue.FromString("sk-abcdefghijklmnop");
        Assert.Equal(masked, System.Text.Encoding.UTF8.GetString(ErrorAnswer.Mask(System.Text.Encoding.UTF8.GetBytes(body), key)));
    }

    [Fact]
    public async Task A_key_that_would_break_its_header_is_an_error_without_it()
    {
        await using var stage = await Stage.SetAsync();
        using var broken = SecretValue.FromString("broken-key\r\nx-other: 1");
        using var client = await stage.Factory.CreateAsync("openai", new AdapterOptions { BaseUrl = stage.Server.BaseUrl("openai"), Key = broken }, Stage.Cancel);
        var error = await Assert.ThrowsAnyAsync<Exception>(() => client.GetResponseAsync("one", cancellationToken: Stage.Cancel));
        Assert.Contains("no key has", error.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("broken-key", error.ToString(), StringComparison.Ordinal);
        Assert.Empty(stage.Server.Seen);
    }

    private sealed class TellingProvider(ConcurrentQueue<string> told) : ILoggerProvider, ILogger
    {
        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            told.Enqueue($"{formatter(state, exception)} {exception}");

        public void Dispose()
        {
        }
    }

    private sealed class TellingListener(ConcurrentQueue<string> told) : EventListener
    {
        protected override void OnEventSourceCreated(EventSource eventSource)
        {
            // what begins with Private is the runtime's own debugging, which prints whole requests
            if (!eventSource.Name.StartsWith("Private", StringComparison.Ordinal) && !eventSource.Name.StartsWith("Microsoft-Windows", StringComparison.Ordinal))
            {
                EnableEvents(eventSource, EventLevel.Verbose, EventKeywords.All);
            }
        }

        // called by the constructor of the base class already
        protected override void OnEventWritten(EventWrittenEventArgs eventData) =>
            told?.Enqueue(string.Join(' ', eventData.Payload?.Select(value => value?.ToString()) ?? []));
    }
}
