using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace Mallku.ArangoDb.TestServer;

/// <summary>A request of which everything must be known: an unknown header, parameter or member is an error.</summary>
internal sealed class StrictRequest
{
    private static readonly HashSet<string> Headers = new(StringComparer.OrdinalIgnoreCase)
    {
        "Host", "Authorization", "Content-Type", "Content-Length", "Accept", "Accept-Encoding", "Accept-Language", "User-Agent", "Connection", "Sec-Fetch-Mode",
        "x-arango-trx-id", "x-arango-version", "x-arango-driver",
    };

    private readonly HttpRequest _request;
    private readonly byte[] _body;

    private StrictRequest(HttpRequest request, byte[] body)
    {
        _request = request;
        _body = body;
    }

    internal string Method => _request.Method;

    /// <summary>The transaction that it belongs to, or null.</summary>
    internal string? Transaction => _request.Headers.TryGetValue("x-arango-trx-id", out var id) ? id.ToString() : null;

    internal static async Task<StrictRequest> ReadAsync(HttpContext context)
    {
        var request = context.Request;
        if (request.Headers.Keys.FirstOrDefault(static name => !Headers.Contains(name)) is { } unknown)
        {
            throw ArangoException.BadRequest($"emulation: unknown header {unknown}");
        }

        if (request.Method is "POST" or "PUT" && request.ContentLength is null)
        {
            throw new ArangoException(411, 411, "emulation: no content-length");
        }

        using var body = new MemoryStream();
        await request.Body.CopyToAsync(body, context.RequestAborted);
        if (body.Length > 0 && request.ContentType != "application/json")
        {
            throw ArangoException.BadRequest($"emulation: content-type {request.ContentType}");
        }

        return new StrictRequest(request, body.ToArray());
    }

    /// <summary>The parameters of the query, of which none may be unknown.</summary>
    internal IReadOnlyDictionary<string, string> Parameters(params string[] known)
    {
        foreach (var (name, values) in _request.Query)
        {
            if (!known.Contains(name, StringComparer.Ordinal) || values.Count != 1)
            {
                throw ArangoException.BadRequest($"emulation: parameter {name}");
            }
        }

        return _request.Query.ToDictionary(static one => one.Key, static one => one.Value.ToString(), StringComparer.Ordinal);
    }

    internal bool Flag(IReadOnlyDictionary<string, string> parameters, string name, bool otherwise) => parameters.GetValueOrDefault(name) switch
    {
        null => otherwise,
        "true" => true,
        "false" => false,
        _ => throw ArangoException.BadRequest($"emulation: {name} is neither true nor false"),
    };

    internal void RequireNoBody()
    {
        if (_body.Length > 0)
        {
            throw ArangoException.BadRequest("emulation: a body");
        }
    }

    internal void RequireNoTransaction()
    {
        if (Transaction is not null)
        {
            throw ArangoException.BadRequest("emulation: this is no part of a transaction");
        }
    }

    internal JsonArray Array() => Parse() as JsonArray ?? throw ArangoException.BadRequest("emulation: no array");

    /// <summary>The body, an object of which no member may be unknown.</summary>
    internal JsonObject Object(params string[] known) => Known(Parse(), "body", known);

    internal static JsonObject Known(JsonNode? node, string what, params string[] known) => node is JsonObject found
        ? found.Select(static member => member.Key).FirstOrDefault(name => !known.Contains(name, StringComparer.Ordinal)) is { } unknown
            ? throw ArangoException.BadRequest($"emulation: unknown {unknown} in {what}")
            : found
        : throw ArangoException.BadRequest($"emulation: {what} is no object");

    internal static string Text(JsonObject from, string name) => Value<string>(from, name) ?? throw ArangoException.BadRequest($"emulation: {name} is missing");

    internal static T? Value<T>(JsonObject from, string name)
    {
        try
        {
            return from[name] is { } found ? found.GetValue<T>() : default;
        }
        catch (Exception e) when (e is InvalidOperationException or FormatException)
        {
            throw ArangoException.BadRequest($"emulation: {name} is of the wrong type");
        }
    }

    private JsonNode? Parse()
    {
        try
        {
            return JsonNode.Parse(_body, documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false });
        }
        catch (JsonException)
        {
            throw new ArangoException(400, 600, "VPackError error: Expecting digit");
        }
    }
}
