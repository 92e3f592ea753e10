using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace Mallku.FireCircle.TestServer;

/// <summary>A key that the server's management interface knows. Id and value are made up.</summary>
public sealed record ManagedKey(string Provider, string Id, string Name, string Value, bool IsServiceAccount)
{
    /// <summary>What it may do, at xAI.</summary>
    public IReadOnlyList<string> Rights { get; init; } = ["api-key:endpoint:*", "api-key:model:*"];
}

/// <summary>
/// The calls of OpenAI's, Anthropic's and xAI's interfaces for managing keys that rotations use, with their own keys for
/// administration. A key that is made is taken by the server at once, and one that is deleted or deactivated refused at
/// once. Lists come in pages of two, so that whoever reads them must follow.
/// </summary>
internal sealed class KeyManagement(ProviderServer server)
{
    private const int PageSize = 2;
    private const string OpenAIPath = "/openai/v1/organization/projects/proj_test/", AnthropicPath = "/anthropic/v1/organizations/api_keys";
    private const string XaiPath = "/xai/auth/teams/team-test/api-keys", XaiKeyPath = "/xai/auth/api-keys/";
    private readonly ConcurrentDictionary<string, ManagedKey> _keys = new(StringComparer.Ordinal);
    private int _made;

    internal IEnumerable<ManagedKey> Keys => _keys.Values;

    internal ConcurrentDictionary<string, byte> Administrators { get; } = new(StringComparer.Ordinal);

    /// <summary>Where xAI tells a key of itself; asked with that key, and not with one for administration.</summary>
    internal static bool IsOwn(string path) => path == "/xai/v1/api-key";

    /// <summary>Whether a key is one of the one project that there is.</summary>
    internal bool IsIn(string project, string value) => project == "proj_test" && _keys.Values.Any(key => key.Provider == "openai" && key.Value == value);

    internal static bool Handles(string path) =>
        path.StartsWith("/openai/v1/organization/", StringComparison.Ordinal) || path.StartsWith("/anthropic/v1/organizations/", StringComparison.Ordinal)
        || path.StartsWith("/xai/auth/", StringComparison.Ordinal);

    internal ManagedKey Add(string provider, string name, string value, bool isServiceAccount, IReadOnlyList<string>? rights = null)
    {
        var id = string.Create(CultureInfo.InvariantCulture, $"key_{Interlocked.Increment(ref _made):0000}");
        var key = new ManagedKey(provider, id, name, value, isServiceAccount);
        key = rights is null ? key : key with { Rights = rights };
        _keys[id] = key;
        server.Accept(value);
        return key;
    }

    internal Task AnswerAsync(HttpContext context, string path, byte[] body)
    {
        var request = (context.Request.Method, path) switch
        {
            ("POST", OpenAIPath + "service_accounts") => CreateAsync(context, body),
            ("GET", OpenAIPath + "service_accounts") => ListAsync(context, "openai", "after", key => key.IsServiceAccount, DescribeAccount),
            ("GET", OpenAIPath + "api_keys") => ListAsync(context, "openai", "after", static _ => true, DescribeKey),
            ("DELETE", var one) when one.StartsWith(OpenAIPath, StringComparison.Ordinal) => DeleteAsync(context, one[(one.LastIndexOf('/') + 1)..]),
            ("GET", AnthropicPath) => ListAsync(context, "anthropic", "after_id", static _ => true, DescribeHint),
            ("POST", var one) when one.StartsWith(AnthropicPath + "/", StringComparison.Ordinal) => DeactivateAsync(context, one[(AnthropicPath.Length + 1)..], body),
            ("POST", XaiPath) => CreateForTeamAsync(context, body),
            ("GET", XaiPath) => ListForTeamAsync(context),
            ("DELETE", var one) when one.StartsWith(XaiKeyPath, StringComparison.Ordinal) => DeleteAsync(context, one[XaiKeyPath.Length..]),
            _ => null,
        };
        if (request is null)
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
        }

        return request ?? Task.CompletedTask;
    }

    private async Task CreateAsync(HttpContext context, byte[] body)
    {
        using var request = JsonDocument.Parse(body);
        var made = Add("openai", request.RootElement.GetProperty("name").GetString()!, $"sk-svcacct-{Guid.NewGuid():N}", isServiceAccount: true);
        if (server.LosesNextKey)
        {
            server.LosesNextKey = false;
            context.Abort();
            return;
        }

        await WriteAsync(context, $$$"""{"object":"organization.project.service_account","id":"{{{made.Id}}}","name":{{{Quote(made.Name)}}},"role":"member","created_at":1,"api_key":{"object":"organization.project.service_account.api_key","value":"{{{made.Value}}}","name":"Secret Key","created_at":1,"id":"k{{{made.Id}}}"}}""");
    }

    /// <summary>What a key is told of itself; one that was not made here may do everything.</summary>
    internal Task TellAsync(HttpContext context, string value)
    {
        var key = _keys.Values.FirstOrDefault(key => key.Value == value) ?? new ManagedKey("xai", "unlisted", "elsewhere", value, IsServiceAccount: false);
        return WriteAsync(context, $$"""{"redacted_api_key":"{{Redact(key)}}","user_id":"user_1","name":{{Quote(key.Name)}},"team_id":"team-test","acls":{{Quote(key.Rights)}},"api_key_id":"{{key.Id}}","team_blocked":false,"api_key_blocked":false,"api_key_disabled":false}""");
    }

    private async Task CreateForTeamAsync(HttpContext context, byte[] body)
    {
        using var request = JsonDocument.Parse(body);
        var name = request.RootElement.GetProperty("name").GetString()!;
        var rights = request.RootElement.GetProperty("acls").EnumerateArray().Select(right => right.GetString()!).ToList();
        var made = Add("xai", name, $"xai-{Guid.NewGuid():N}", isServiceAccount: false, rights);
        if (server.LosesNextKey)
        {
            server.LosesNextKey = false;
            context.Abort();
            return;
        }

        await WriteAsync(context, Describe(made, isNew: true));
    }

    // a page's token is no id of a key, and the last page has none
    private Task ListForTeamAsync(HttpContext context)
    {
        var page = int.TryParse(context.Request.Query["paginationToken"], CultureInfo.InvariantCulture, out var asked) ? asked : 0;
        var all = _keys.Values.Where(key => key.Provider == "xai").OrderBy(key => key.Id, StringComparer.Ordinal).ToList();
        var next = (page + 1) * PageSize < all.Count ? string.Create(CultureInfo.InvariantCulture, $""","paginationToken":"{page + 1}" """) : "";
        return WriteAsync(context, $$"""{"apiKeys":[{{string.Join(',', all.Skip(page * PageSize).Take(PageSize).Select(static key => Describe(key, isNew: false)))}}]{{next}}}""");
    }

    private Task ListAsync(HttpContext context, string provider, string cursor, Func<ManagedKey, bool> isListed, Func<ManagedKey, string> describe)
    {
        var after = context.Request.Query[cursor].ToString();
        var rest = _keys.Values.Where(key => key.Provider == provider && isListed(key))
            .OrderBy(key => key.Id, StringComparer.Ordinal).SkipWhile(key => string.CompareOrdinal(key.Id, after) <= 0).ToList();
        var page = rest.Take(PageSize).ToList();
        return WriteAsync(
            context,
            $$"""{"object":"list","data":[{{string.Join(',', page.Select(describe))}}],"has_more":{{(rest.Count > page.Count ? "true" : "false")}},"last_id":{{(page.Count > 0 ? Quote(page[^1].Id) : "null")}}}""");
    }

    private Task DeleteAsync(HttpContext context, string id)
    {
        if (!_keys.TryRemove(id, out var key))
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return Task.CompletedTask;
        }

        server.Refuse(key.Value);
        return WriteAsync(context, $$"""{"id":"{{id}}","deleted":true}""");
    }

    private async Task DeactivateAsync(HttpContext context, string id, byte[] body)
    {
        using var request = JsonDocument.Parse(body);
        if (request.RootElement.GetProperty("status").GetString() != "inactive")
        {
            context.Response.StatusCode = StatusCodes.Status400BadRequest;
            return;
        }

        await DeleteAsync(context, id);
    }

    private static string DescribeAccount(ManagedKey key) =>
        $$"""{"object":"organization.project.service_account","id":"{{key.Id}}","name":{{Quote(key.Name)}},"role":"member","created_at":1}""";

    private static string DescribeKey(ManagedKey key) => key.IsServiceAccount
        ? $$$"""{"object":"organization.project.api_key","id":"k{{{key.Id}}}","name":"Secret Key","redacted_value":"{{{Hint(key)}}}","owner":{"type":"service_account","service_account":{"id":"{{{key.Id}}}"} } }"""
        : $$$"""{"object":"organization.project.api_key","id":"{{{key.Id}}}","name":{{{Quote(key.Name)}}},"redacted_value":"{{{Hint(key)}}}","owner":{"type":"user","user":{"id":"user_1"} } }""";

    private static string DescribeHint(ManagedKey key) =>
        $$"""{"type":"api_key","id":"{{key.Id}}","name":{{Quote(key.Name)}},"partial_key_hint":"{{Hint(key)}}","status":"active"}""";

    private static string Describe(ManagedKey key, bool isNew) =>
        $$"""{"redactedApiKey":"{{Redact(key)}}",{{(isNew ? $"\"apiKey\":\"{key.Value}\"," : "")}}"userId":"user_1","name":{{Quote(key.Name)}},"teamId":"team-test","apiKeyId":"{{key.Id}}","disabled":false,"aclStrings":{{Quote(key.Rights)}}}""";

    private static string Redact(ManagedKey key) => $"xai-...{key.Value[^4..]}";

    private static string Quote(IReadOnlyList<string> texts) => $"[{string.Join(',', texts.Select(Quote))}]";

    private static string Hint(ManagedKey key) => $"{key.Value[..10]}...{key.Value[^4..]}";

    private static string Quote(string text) => JsonSerializer.Serialize(text);

    private static async Task WriteAsync(HttpContext context, string json)
    {
        context.Response.ContentType = "application/json";
        await context.Response.WriteAsync(json, context.RequestAborted);
    }
}
