using Microsoft.AspNetCore.Http;

namespace Mallku.FireCircle.TestServer;

/// <summary>Ollama's chat, as lines of JSON, and its list of models.</summary>
internal sealed record OllamaProtocol(string Name, string BasePath, string KeyHeader) : Protocol(Name, BasePath, KeyHeader)
{
    internal override string Refusal(string message) => $$"""{"error":{{Quote(message)}}}""";

    internal override Task AnswerAsync(HttpContext context, string path, byte[] body, Task gate)
    {
        if (path == "/api/tags")
        {
            return WriteAsync(context, """{"models":[{"name":"a-model","model":"a-model","size":1,"digest":"d"}]}""");
        }

        if (path != "/api/chat")
        {
            return NotFoundAsync(context);
        }

        var request = ChatRequest.Parse(body, streamsByDefault: true);
        return request.IsStream
            ? StreamAsync(context, "application/x-ndjson", Lines(request), gate)
            : WriteAsync(context, Line(request, string.Concat(Reply(request.Prompt)), isDone: true));
    }

    private IEnumerable<string> Lines(ChatRequest request)
    {
        foreach (var part in Reply(request.Prompt))
        {
            yield return Line(request, part, isDone: false);
        }

        yield return Line(request, "", isDone: true);
    }

    private static string Line(ChatRequest request, string text, bool isDone) =>
        $$$"""{"model":{{{Quote(request.Model)}}},"created_at":"2025-01-01T00:00:00Z","message":{"role":"assistant","content":{{{Quote(text)}}}},"done":{{{(isDone ? """true,"done_reason":"stop","prompt_eval_count":1,"eval_count":3""" : "false")}}}}""" + "\n";
}
