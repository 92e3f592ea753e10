using System.ClientModel;
using System.ClientModel.Primitives;
using System.Diagnostics;
using System.Runtime;
using Mallku.FireCircle.Adapters;
using Mallku.FireCircle.TestServer;
using Mallku.Secrets;
using Microsoft.Extensions.AI;
using OpenAI;
using OpenAI.Chat;

namespace Mallku.Bench;

/// <summary>
/// What injection adds to a request: an adapter against the same client with a fixed key, in turn, in one run. Only what was
/// measured side by side is compared, and the median of many such comparisons told with its interval of confidence, so that
/// what else the machine does makes it wider and not another. The processor's time is told beside the clock's: where requests
/// go as fast as the processor lets them, it is what their number in a second depends on, and what else runs does not count.
/// </summary>
internal static class AdapterOverhead
{
    private const string Secret = "provider_0_api_key";
    private const int Callers = 16, RoundLength = 10 * Callers;
    private static readonly TimeSpan QuietTime = TimeSpan.FromSeconds(3);

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

        await WarmUpAsync(fixedKey, injected);
        await CompareLatencyAsync(fixedKey, injected, requests);
        await CompareThroughputAsync(fixedKey, injected, Math.Max(requests / (2 * RoundLength), 1));
        await secrets.FlushAsync();
    }

    // The runtime compiles anew, in the background, what is used often: the platform's own code comes compiled, so that an early
    // measurement compares that with what is not yet.
    private static async Task WarmUpAsync(IChatClient fixedKey, IChatClient injected)
    {
        var compiled = -1L;
        for (var quiet = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(quiet) < QuietTime;)
        {
            await TimeRoundAsync(fixedKey);
            await TimeRoundAsync(injected);
            if (JitInfo.GetCompiledMethodCount() is var now && now != compiled)
            {
                (compiled, quiet) = (now, Stopwatch.GetTimestamp());
            }
        }
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
        var (byClock, byProcessor) = (new List<double>(comparisons), new List<double>(comparisons));
        for (var i = 0; i < comparisons; i++)
        {
            // one, other, other, one: what becomes faster or slower meanwhile does so for both
            var (outer, inner) = i % 2 == 0 ? (fixedKey, injected) : (injected, fixedKey);
            var outerTime = await TimeRoundAsync(outer);
            var innerTime = await TimeRoundAsync(inner) + await TimeRoundAsync(inner);
            outerTime += await TimeRoundAsync(outer);
            var ratio = i % 2 == 0 ? innerTime / outerTime : outerTime / innerTime;
            byClock.Add(ratio.Clock);
            byProcessor.Add(ratio.Processor);
        }

        Console.WriteLine($"{Callers} callers, {comparisons} comparisons of two rounds with two, of {RoundLength} requests each: injected / fixed key {Estimate.Of(byClock):F3} of the time, {Estimate.Of(byProcessor):F3} of the processor's    (goal: at most 1.020)");
    }

    private static async Task<double> TimeAsync(IChatClient client)
    {
        var start = Stopwatch.GetTimestamp();
        await client.GetResponseAsync("hello");
        return Stopwatch.GetElapsedTime(start).TotalMicroseconds;
    }

    private static async Task<Spent> TimeRoundAsync(IChatClient client)
    {
        var (start, used) = (Stopwatch.GetTimestamp(), Environment.CpuUsage.TotalTime);
        await Task.WhenAll(Enumerable.Range(0, Callers).Select(_ => Task.Run(() => AskAsync(client, RoundLength / Callers))));
        return new Spent(Stopwatch.GetElapsedTime(start).TotalMicroseconds, (Environment.CpuUsage.TotalTime - used).TotalMicroseconds);
    }

    private static async Task AskAsync(IChatClient client, int requests)
    {
        for (var i = 0; i < requests; i++)
        {
            await client.GetResponseAsync("hello");
        }
    }

    private sealed record Spent(double Clock, double Processor)
    {
        public static Spent operator +(Spent one, Spent other) => new(one.Clock + other.Clock, one.Processor + other.Processor);

        public static Spent operator /(Spent one, Spent other) => new(one.Clock / other.Clock, one.Processor / other.Processor);
    }

    /// <summary>A median, and between what it lies with 95 % of confidence: the distance in ranks is that of a fair coin.</summary>
    private sealed record Estimate(double Median, double Lowest, double Highest) : IFormattable
    {
        internal static Estimate Of(List<double> figures)
        {
            const double ranksOfConfidence = 0.98;
            var sorted = figures.Order().ToList();
            var distance = (int)Math.Ceiling(ranksOfConfidence * Math.Sqrt(sorted.Count));
            var middle = sorted.Count / 2;
            return new Estimate(sorted[middle], sorted[Math.Max(middle - distance, 0)], sorted[Math.Min(middle + distance, sorted.Count - 1)]);
        }

        public string ToString(string? format, IFormatProvider? formatProvider) =>
            $"{Median.ToString(format, formatProvider)} [{Lowest.ToString(format, formatProvider)}, {Highest.ToString(format, formatProvider)}]";
    }
}
