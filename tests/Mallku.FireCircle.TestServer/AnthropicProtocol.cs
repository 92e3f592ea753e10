using Microsoft.AspNetCore.Http;

namespace Mallku.FireCircle.TestServer;

/// <summary>Messages, whole and as server-sent events, and the list of models. Demands a version, as Anthropic does.</summary>
internal sealed record AnthropicProtocol(string Name, string BasePath, string KeyHeader) : Protocol(Name, BasePath, KeyHeader)
{
    internal override string Refusal(string message) =>
        $$$"""{"type":"error","error":{"type":"authentication_error","message":{{{Quote(message)}}}},"request_id":"r1"}""";

    internal override Task AnswerAsync(HttpContext context, string path, byte[] body, Task gate)
    {
        if (!context.Request.Headers.ContainsKey("anthropic-version"))
        {
            context.Response.StatusCode = StatusCodes.Status400BadRequest;
            return WriteAsync(context, """{"type":"error","error":{"type":"invalid_request_error","message":"anthropic-version: header is required"}}""");
        }

        if (path == "/v1/models")
        {
            return WriteAsync(context, """{"data":[{"type":"model","id":"a-model","display_name":"A model","created_at":"2025-01-01T00:00:00Z"}],"has_more":false,"first_id":"a-model","last_id":"a-model"}""");
        }

        if (path != "/v1/messages")
        {
            return NotFoundAsync(context);
        }

        var request = ChatRequest.Parse(body);
        return request.IsStream
            ? StreamAsync(context, "text/event-stream", Events(request), gate)
            : WriteAsync(
                context,
                $$$"""{"id":"m1","type":"message","role":"assistant","model":{{{Quote(request.Model)}}},"content":[{"type":"text","text":{{{Quote(string.Concat(Reply(request.Prompt)))}}}}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":3}}""");
    }

    private IEnumerable<string> Events(ChatRequest request)
    {
        yield return Event("message_start", $$$$"""{"type":"message_start","message":{"id":"m1","type":"message","role":"assistant","model":{{{{Quote(request.Model)}}}},"content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":0}}}""")
            + Event("content_block_start", """{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}""")
            + Event("content_block_delta", Delta(Reply(request.Prompt)[0]));
        foreach (var part in Reply(request.Prompt)[1..])
        {
            yield return Event("content_block_delta", Delta(part));
        }

        yield return Event("content_block_stop", """{"type":"content_block_stop","index":0}""");
        yield return Event("message_delta", """{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":3}}""");
        yield return Event("message_stop", """{"type":"message_stop"}""");
    }

    private static string Delta(string text) =>
        $$$"""{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":{{{Quote(text)}}}}}""";

    private static string Event(string name, string data) => $"event: {name}\ndata: {data}\n\n";
}
