using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace Mallku.ArangoDb.TestServer;

/// <summary>Who may ask: one user, by his password or by a token that he got for it and that lasts an hour.</summary>
internal sealed class Users(ArangoServerOptions options)
{
    private static readonly TimeSpan Lifetime = TimeSpan.FromHours(1);

    private readonly ConcurrentDictionary<string, DateTimeOffset> _live = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<string> _given = new();

    internal IReadOnlyCollection<string> Tokens => _given;

    internal string LogIn(JsonObject body)
    {
        if (StrictRequest.Text(body, "username") != options.User || StrictRequest.Text(body, "password") != options.Password)
        {
            throw new ArangoException(401, 401, "Wrong credentials");
        }

        var now = options.Clock.GetUtcNow();
        var claims = new JsonObject
        {
            ["preferred_username"] = options.User,
            ["iss"] = "arangodb",
            ["iat"] = now.ToUnixTimeSeconds(),
            ["exp"] = (now + Lifetime).ToUnixTimeSeconds(),
        };
        var token = $"{Part("""{"alg":"HS256","typ":"JWT"}""")}.{Part(claims.ToJsonString())}.{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32))}";
        _live[token] = now + Lifetime;
        _given.Enqueue(token);
        return token;
    }

    internal void Forget() => _live.Clear();

    internal void Require(HttpRequest request)
    {
        var header = request.Headers.Authorization.ToString();
        var basic = "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes($"{options.User}:{options.Password}"));
        var isToken = header.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase)
            && _live.TryGetValue(header["Bearer ".Length..], out var end) && end > options.Clock.GetUtcNow();
        if (header != basic && !isToken)
        {
            throw new ArangoException(401, 11, "not authorized to execute this request");
        }
    }

    private static string Part(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text)).TrimEnd('=').Replace('+', '-').Replace('/', '_');
}
