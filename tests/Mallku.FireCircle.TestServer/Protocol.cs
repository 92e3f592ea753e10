using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace Mallku.FireCircle.TestServer;

/// <summary>How one provider answers.</summary>
internal abstract record Protocol(string Name, string BasePath, string KeyHeader)
{
    internal bool NeedsNoKey { get; init; }

    internal int RefusalStatus { get; init; } = StatusCodes.Status401Unauthorized;

    /// <summary>The body of an error.</summary>
    internal abstract string Refusal(string message);

    /// <summary>Answers a request whose key was taken.</summary>
    /// <param name="context">The request.</param>
    /// <param name="path">What it asks for, below the base path.</param>
    /// <param name="body">What it sent.</param>
    /// <param name="gate">What a stream waits for after its first part.</param>
    internal abstract Task AnswerAsync(HttpContext context, string path, byte[] body, Task gate);

    /// <summary>What is said in a chat, in parts.</summary>
    internal string[] Reply(string prompt) => [$"{Name} ", "heard: ", prompt];

    protected static string Quote(string text) => JsonSerializer.Serialize(text);

    protected static async Task WriteAsync(HttpContext context, string json)
    {
        context.Response.ContentType = "application/json";
        await context.Response.WriteAsync(json, context.RequestAborted);
    }

    /// <summary>Sends each part at once, and waits at the gate after the first.</summary>
    protected static async Task StreamAsync(HttpContext context, string contentType, IEnumerable<string> parts, Task gate)
    {
        context.Response.ContentType = contentType;
        var isFirst = true;
        foreach (var part in parts)
        {
            await context.Response.WriteAsync(part, context.RequestAborted);
            await context.Response.Body.FlushAsync(context.RequestAborted);
            if (isFirst)
            {
                await gate.WaitAsync(context.RequestAborted);
                isFirst = false;
            }
        }
    }

    protected static Task NotFoundAsync(HttpContext context)
    {
        context.Response.StatusCode = StatusCodes.Status404NotFound;
        return Task.CompletedTask;
    }
}

/// <summary>A chat request, as far as it is understood.</summary>
internal sealed record ChatRequest(string Model, bool IsStream, string Prompt)
{
    internal static ChatRequest Parse(byte[] body, bool streamsByDefault = false)
    {
        using var json = JsonDocument.Parse(body);
        var root = json.RootElement;
        var content = root.GetProperty("messages").EnumerateArray().Last().GetProperty("content");
        return new ChatRequest(
            root.GetProperty("model").GetString()!,
            root.TryGetProperty("stream", out var stream) ? stream.GetBoolean() : streamsByDefault,
            content.ValueKind == JsonValueKind.String
                ? content.GetString()!
                : string.Concat(content.EnumerateArray().Select(part => part.GetProperty("text").GetString())));
    }
}

/// <summary>Every provider that the server plays, by the first part of its path.</summary>
internal static class Protocols
{
    private static readonly Protocol[] All =
    [
        new OpenAIProtocol("openai", "/openai/v1", "Authorization"),
        new AnthropicProtocol("anthropic", "/anthropic", "x-api-key"),
        new OpenAIProtocol("google", "/google/v1beta/openai", "Authorization") { RefusalStatus = StatusCodes.Status400BadRequest },
        new OpenAIProtocol("mistral", "/mistral/v1", "Authorization"),
        new OpenAIProtocol("xai", "/xai/v1", "Authorization") { RefusalStatus = StatusCodes.Status400BadRequest },
        new OpenAIProtocol("deepseek", "/deepseek/v1", "Authorization"),
        new OpenAIProtocol("moonshot", "/moonshot/v1", "Authorization"),
        new OpenAIProtocol("local", "/local/v1", "Authorization") { NeedsNoKey = true },
        new OllamaProtocol("ollama", "/ollama", "Authorization") { NeedsNoKey = true },

        // a server of somebody's own, which takes the key as Google's own interface does
        new OpenAIProtocol("goog", "/goog/v1", "x-goog-api-key"),
    ];

    internal static IEnumerable<string> Names => All.Select(protocol => protocol.Name);

    internal static Protocol Find(string name) =>
        Array.Find(All, protocol => protocol.Name == name) ?? throw new ArgumentException($"The server plays no '{name}'.", nameof(name));
}
