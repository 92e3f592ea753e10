using Microsoft.Extensions.AI;

namespace Mallku.FireCircle.Tests;

/// <summary>Each provider by its real client: what is said, how it streams, and how the key arrives.</summary>
public sealed class ChatTests
{
    public static TheoryData<string> Providers => [.. ProviderCatalogue.BuiltIn.All.Select(provider => provider.Id)];

    [Theory]
    [MemberData(nameof(Providers))]
    public async Task A_chat_is_answered_and_the_key_comes_once_where_it_belongs(string provider)
    {
        await using var stage = await Stage.SetAsync();
        var key = await stage.StoreAsync($"{provider}_api_key");
        using var client = await stage.CreateAsync(provider);
        var response = await client.GetResponseAsync("good morning", cancellationToken: Stage.Cancel);

        Assert.Equal($"{provider} heard: good morning", response.Text);
        Assert.Equal(key, Assert.Single(stage.Server.Seen).Key);
        Assert.Empty(stage.Server.Faults);
    }

    [Theory]
    [MemberData(nameof(Providers))]
    public async Task A_stream_passes_through_while_its_server_still_writes(string provider)
    {
        await using var stage = await Stage.SetAsync();
        await stage.StoreAsync($"{provider}_api_key");
        using var client = await stage.CreateAsync(provider);
        var gate = new TaskCompletionSource();
        stage.Server.StreamGate = gate.Task;

        var text = "";
        await foreach (var update in client.GetStreamingResponseAsync("good morning", cancellationToken: Stage.Cancel))
        {
            text += update.Text;
            if (text.Length > 0)
            {
                // whoever buffers never gets here: the server waits for it
                gate.TrySetResult();
            }
        }

        Assert.Equal($"{provider} heard: good morning", text);
        Assert.Empty(stage.Server.Faults);
    }
}
