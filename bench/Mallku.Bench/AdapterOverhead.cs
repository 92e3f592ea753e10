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

/// <summary>What injection adds to a request: an adapter against the same client with a fixed key, in turn, in one run.</summary>
internal static class AdapterOverhead
{
    private const string Secret = "provider_0_api_key";
    private const int Callers = 16, Rounds = 20;

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

        await AskAsync(fixedKey, requests / 10);
        await AskAsync(injected, requests / 10);
        await CompareLatencyAsync(fixedKey, injected, requests);
        await CompareThroughputAsync(fixedKey, injected, requests / Rounds);
        await secrets.FlushAsync();
    }

    private static async Task CompareLatencyAsync(IChatClient fixedKey, IChatClient injected, int requests)
    {
        var (one, other) = (new List<double>(requests), new List<double>(requests));
        for (var i = 0; i < requests; i++)
        {
            // who comes second finds warmer caches
            var isFirst = i % 2 == 0;
            (isFirst ? one : other).Add(await TimeAsync(isFirst ? fixedKey : injected));
            (isFirst ? other : one).Add(await TimeAsync(isFirst ? injected : fixedKey));
        }

        Console.WriteLine($"median of {requests} requests, one after another: fixed key {Median(one):F1} us, injected {Median(other):F1} us, difference {Median(other) - Median(one):F1} us    (goal: at most 20)");
    }

    private static async Task CompareThroughputAsync(IChatClient fixedKey, IChatClient injected, int requests)
    {
        var ratios = new List<double>(Rounds);
        for (var round = 0; round < Rounds; round++)
        {
            var isFirst = round % 2 == 0;
            var first = await TimeAllAsync(isFirst ? fixedKey : injected, requests);
            var second = await TimeAllAsync(isFirst ? injected : fixedKey, requests);
            ratios.Add(isFirst ? second / first : first / second);
        }

        Console.WriteLine($"{Callers} callers, {Rounds} rounds of {requests} requests each: injected / fixed key {Median(ratios):F3} of the time    (goal: at most 1.02)");
    }

    private static async Task<double> TimeAsync(IChatClient client)
    {
        var start = Stopwatch.GetTimestamp();
        await client.GetResponseAsync("hello");
        return Stopwatch.GetElapsedTime(start).TotalMicroseconds;
    }

    private static async Task<double> TimeAllAsync(IChatClient client, int requests)
    {
        var start = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, Callers).Select(_ => Task.Run(() => AskAsync(client, requests / Callers))));
        return Stopwatch.GetElapsedTime(start).TotalMicroseconds;
    }

    private static async Task AskAsync(IChatClient client, int requests)
    {
        for (var i = 0; i < requests; i++)
        {
            await client.GetResponseAsync("hello");
        }
    }

    private static double Median(List<double> figures) => figures.Order().ElementAt(figures.Count / 2);
}
