using System.ClientModel;
using System.ClientModel.Primitives;
using System.Diagnostics;
using Mallku.FireCircle.Adapters;
using Mallku.FireCircle.TestServer;
using Mallku.Secrets;
using Microsoft.Extensions.AI;
using OpenAI;
using OpenAI.Chat;

namespace Mallku.Bench;

/// <summary>
/// What injection adds to a request: an adapter against the same client with a fixed key. The processor's time is told beside
/// the clock's: where requests go as fast as the processor lets them, it is what their number in a second depends on.
/// </summary>
internal static class AdapterOverhead
{
    private const string Secret = "provider_0_api_key";
    private const int Callers = 16, RoundLength = 10 * Callers;

    internal static async Task MeasureAsync(int requests)
    {
        using var vault = new TemporaryVault(secrets: 5);
        var secrets = SecretsManager.Open(vault.Options);
        var key = (await secrets.GetRequiredAsync(Secret)).RevealString();
        await using var server = await ProviderServer.StartAsync();
        server.Accept(key);
        server.KeepsNothing = true;
        using var factory = new AdapterFactory(secrets);
        using var injected = await factory.CreateAsync("openai", new AdapterOptions { BaseUrl = server.BaseUrl("openai"), Secret = Secret });
        using var http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false, UseProxy = false });
        using var fixedKey = new ChatClient(
            "gpt-4.1-mini",
            new ApiKeyCredential(key),
            new OpenAIClientOptions
            {
                Endpoint = server.BaseUrl("openai"),
                Transport = new HttpClientPipelineTransport(http),
                RetryPolicy = new ClientRetryPolicy(maxRetries: 0),
            }).AsIChatClient();

        await Comparison.WarmUpAsync(() => TimeRoundAsync(fixedKey), () => TimeRoundAsync(injected));
        await CompareLatencyAsync(fixedKey, injected, requests);
        await CompareThroughputAsync(fixedKey, injected, Math.Max(requests / (2 * RoundLength), 1));
        await secrets.FlushAsync();
    }

    private static async Task CompareLatencyAsync(IChatClient fixedKey, IChatClient injected, int requests)
    {
        var (alone, added) = (new List<double>(requests), new List<double>(requests));
        for (var i = 0; i < requests; i++)
        {
            // who comes second finds warmer caches
            var isFirst = i % 2 == 0;
            var first = await TimeAsync(isFirst ? fixedKey : injected);
            var second = await TimeAsync(isFirst ? injected : fixedKey);
            alone.Add(isFirst ? first : second);
            added.Add(isFirst ? second - first : first - second);
        }

        Console.WriteLine($"{requests} pairs of requests, one after another: fixed key {Estimate.Of(alone):F1} us, injected adds {Estimate.Of(added):F1} us    (goal: at most 20)");
    }

    private static async Task CompareThroughputAsync(IChatClient fixedKey, IChatClient injected, int comparisons)
    {
        var compared = await Comparison.OfAsync(comparisons, () => TimeRoundAsync(fixedKey), () => TimeRoundAsync(injected));
        Console.WriteLine($"{Callers} callers, {comparisons} comparisons of two rounds with two, of {RoundLength} requests each: injected / fixed key {compared.ByClock:F3} of the time, {compared.ByProcessor:F3} of the processor's    (goal: at most 1.020)");
    }

    private static async Task<double> TimeAsync(IChatClient client)
    {
        var start = Stopwatch.GetTimestamp();
        await client.GetResponseAsync("hello");
        return Stopwatch.GetElapsedTime(start).TotalMicroseconds;
    }

    private static Task<Spent> TimeRoundAsync(IChatClient client) =>
        Spent.OnAsync(Callers, RoundLength, async _ => await client.GetResponseAsync("hello"));
}
