using Microsoft.AspNetCore.Http;

namespace Mallku.FireCircle.TestServer;

/// <summary>Chat completions, whole and as server-sent events, and the list of models.</summary>
internal sealed record OpenAIProtocol(string Name, string BasePath, string KeyHeader) : Protocol(Name, BasePath, KeyHeader)
{
    internal override string Refusal(string message) =>
        $$$"""{"error":{"message":{{{Quote(message)}}},"type":"invalid_request_error","param":null,"code":"invalid_api_key"}}""";

    internal override Task AnswerAsync(HttpContext context, string path, byte[] body, Task gate)
    {
        if (path == "/models")
        {
            return WriteAsync(context, """{"object":"list","data":[{"id":"a-model","object":"model","created":1,"owned_by":"test"}]}""");
        }

        if (path != "/chat/completions")
        {
            return NotFoundAsync(context);
        }

        var request = ChatRequest.Parse(body);
        return request.IsStream
            ? StreamAsync(context, "text/event-stream", Events(request), gate)
            : WriteAsync(
                context,
                $$$"""{"id":"c1","object":"chat.completion","created":1,"model":{{{Quote(request.Model)}}},"choices":[{"index":0,"message":{"role":"assistant","content":{{{Quote(string.Concat(Reply(request.Prompt)))}}}},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":3,"total_tokens":4}}""");
    }

    private IEnumerable<string> Events(ChatRequest request)
    {
        var model = Quote(request.Model);
        foreach (var part in Reply(request.Prompt))
        {
            yield return $$$"""data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":{{{model}}},"choices":[{"index":0,"delta":{"role":"assistant","content":{{{Quote(part)}}}},"finish_reason":null}]}""" + "\n\n";
        }

        yield return $$$"""data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":{{{model}}},"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}""" + "\n\n";
        yield return "data: [DONE]\n\n";
    }
}
