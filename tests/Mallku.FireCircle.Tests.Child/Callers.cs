using Microsoft.Extensions.AI;

namespace Mallku.FireCircle.Tests;

/// <summary>
/// Callers that ask through adapters, each one request after another, until they are told to stop; every second one
/// streams. A request names its process, its caller and its number, and the answer must be the one to it.
/// </summary>
public sealed class Callers : IAsyncDisposable
{
    /// <summary>The providers whose clients they use, each with callers of both kinds.</summary>
    public static readonly IReadOnlyList<string> Providers = ["openai", "anthropic", "google", "ollama"];

    private readonly int[] _answered;
    private readonly Task[] _tasks;
    private volatile bool _isOver;

    private Callers(IReadOnlyList<IChatClient> clients, string name, int count, CancellationToken cancellationToken)
    {
        _answered = new int[count];
        _tasks = [.. Enumerable.Range(0, count).Select(caller => Task.Run(() => CallAsync(clients, name, caller, cancellationToken), cancellationToken))];
    }

    /// <summary>How many requests were answered.</summary>
    public int Answered => _answered.Sum();

    public static async Task<Callers> StartAsync(AdapterFactory factory, string name, int count, CancellationToken cancellationToken)
    {
        var clients = new List<IChatClient>();
        foreach (var provider in Providers)
        {
            clients.Add(await factory.CreateAsync(provider, cancellationToken: cancellationToken));
        }

        return new Callers(clients, name, count, cancellationToken);
    }

    /// <summary>
    /// Returns when so many requests were answered in all, and each caller has two more answers than before: what was under
    /// way is over then, and a request that began later is too. Throws what a caller's request has ended with.
    /// </summary>
    public async Task GoOnAsync(int total, CancellationToken cancellationToken)
    {
        int[] before = [.. _answered];
        while (Answered < total || _answered.Where((answered, caller) => answered < before[caller] + 2).Any())
        {
            if (Array.Find(_tasks, static task => task.IsCompleted) is { } ended)
            {
                await ended;
                throw new InvalidOperationException("a caller has ended early");
            }

            await Task.Delay(1, cancellationToken);
        }
    }

    /// <summary>Lets them end what they are at.</summary>
    public Task EndAsync()
    {
        _isOver = true;
        return Task.WhenAll(_tasks);
    }

    /// <summary>The same, whatever a caller's request has ended with.</summary>
    public async ValueTask DisposeAsync() => await EndAsync().ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    private async Task CallAsync(IReadOnlyList<IChatClient> clients, string name, int caller, CancellationToken cancellationToken)
    {
        var provider = caller / 2 % clients.Count;
        for (var number = 1; !_isOver; number++)
        {
            var prompt = $"#{name}/{caller}/{number}#";
            var text = caller % 2 == 0
                ? (await clients[provider].GetResponseAsync(prompt, cancellationToken: cancellationToken)).Text
                : await StreamAsync(clients[provider], prompt, cancellationToken);
            if (text != $"{Providers[provider]} heard: {prompt}")
            {
                throw new InvalidOperationException($"the answer to {prompt} was: {text}");
            }

            Volatile.Write(ref _answered[caller], number);
        }
    }

    private static async Task<string> StreamAsync(IChatClient client, string prompt, CancellationToken cancellationToken)
    {
        var text = "";
        await foreach (var update in client.GetStreamingResponseAsync(prompt, cancellationToken: cancellationToken))
        {
            text += update.Text;
        }

        return text;
    }
}
