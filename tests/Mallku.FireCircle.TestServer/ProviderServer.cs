using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Extensions;
using Microsoft.Extensions.Logging;

namespace Mallku.FireCircle.TestServer;

/// <summary>
/// Speaks each provider's protocol on 127.0.0.1, under a path of its own (<c>/openai/…</c>, <c>/anthropic/…</c>), and is
/// strict about how the key arrives: in one header, of the right kind, and nowhere else. Safe for concurrent use.
/// </summary>
public sealed class ProviderServer : IAsyncDisposable
{
    private readonly ConcurrentDictionary<string, byte> _accepted = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<SeenRequest> _seen = new();
    private readonly WebApplication _application;

    private readonly KeyManagement _management;

    private ProviderServer(WebApplication application)
    {
        _application = application;
        _management = new KeyManagement(this);
    }

    /// <summary>Where it listens.</summary>
    public Uri Address => new(_application.Urls.Single());

    /// <summary>What came in, in the order of its arrival.</summary>
    public IReadOnlyCollection<SeenRequest> Seen => _seen;

    /// <summary>What came in and was against the rules.</summary>
    public IEnumerable<string> Faults => _seen.Where(request => request.Fault is not null).Select(request => $"{request.Path}: {request.Fault}");

    /// <summary>Whether any key is taken.</summary>
    public bool AcceptsAnyKey { get; set; }

    /// <summary>Whether <see cref="Seen"/> stays empty, for a measurement.</summary>
    public bool KeepsNothing { get; set; }

    /// <summary>Whether an error repeats the key that it refuses.</summary>
    public bool RepeatsKeys { get; set; }

    /// <summary>The status of refusals, where it is not the provider's own.</summary>
    public int? RefusalStatus { get; set; }

    /// <summary>The status that it answers in place of its own to a path, such as a fault of its own; null for its own.</summary>
    public Func<string, int?> AnswersInstead { get; set; } = static _ => null;

    /// <summary>Whether OpenAI's server takes a key for whatever project a request names.</summary>
    public bool IgnoresProjects { get; set; }

    /// <summary>Where everything under <c>/STATUS/</c>, such as <c>/307/openai/v1</c>, redirects to.</summary>
    public Uri? RedirectTarget { get; set; }

    /// <summary>The live keys that the management interface knows.</summary>
    public IEnumerable<ManagedKey> Keys => _management.Keys;

    /// <summary>Whether the connection breaks once, after a key was made and before its value is answered.</summary>
    public bool LosesNextKey { get; set; }

    /// <summary>How long it waits before it answers a request whose key it has taken.</summary>
    public TimeSpan Latency { get; set; }

    /// <summary>What a stream waits for after its first part; nothing by default.</summary>
    public Task StreamGate { get; set; } = Task.CompletedTask;

    /// <summary>Starts one.</summary>
    /// <param name="port">0 for any that is free.</param>
    /// <param name="cancellationToken">Ends the start.</param>
    public static async Task<ProviderServer> StartAsync(int port = 0, CancellationToken cancellationToken = default)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(options => options.Listen(IPAddress.Loopback, port));
        var application = builder.Build();
        var server = new ProviderServer(application);
        application.Run(server.AnswerAsync);
        await application.StartAsync(cancellationToken);
        return server;
    }

    /// <summary>The base URL that an adapter of a provider takes.</summary>
    public Uri BaseUrl(string provider) => new(Address, Protocols.Find(provider).BasePath);

    public void Accept(string key) => _accepted[key] = 0;

    /// <summary>Takes a key for administration: for the management interface, and for nothing else.</summary>
    public void AcceptAdministrator(string key) => _management.Administrators[key] = 0;

    /// <summary>Makes a key known that a person has made on the provider's page.</summary>
    public ManagedKey AddKey(string provider, string name, string value, params string[]? rights) =>
        _management.Add(provider, name, value, isServiceAccount: false, rights is { Length: > 0 } ? rights : null);

    /// <summary>Adds a service account with its key, as it appears when a request for one is served late.</summary>
    public ManagedKey AddServiceAccount(string provider, string name, string value) => _management.Add(provider, name, value, isServiceAccount: true, rights: null);

    public void Refuse(string key) => _accepted.TryRemove(key, out _);

    public ValueTask DisposeAsync() => _application.DisposeAsync();

    private async Task AnswerAsync(HttpContext context)
    {
        var arrived = Stopwatch.GetTimestamp();
        var path = context.Request.Path.Value ?? "/";
        var first = path.Split('/', 3)[1];
        if (int.TryParse(first, out var redirect) && RedirectTarget is { } target)
        {
            _seen.Enqueue(new SeenRequest(path, Arrival.FindAny(context.Request), Fault: null, redirect, [], arrived));
            context.Response.StatusCode = redirect;
            context.Response.Headers.Location = new Uri(target, path[(first.Length + 1)..]).AbsoluteUri;
            return;
        }

        var body = await ReadAsync(context);
        var protocol = Protocols.Find(first);
        var arrival = Arrival.Of(context.Request, body, protocol);
        var isManagement = KeyManagement.Handles(path);
        var status = arrival switch
        {
            { Fault: not null } => StatusCodes.Status400BadRequest,
            { Key: { } key } when isManagement => _management.Administrators.ContainsKey(key) ? StatusCodes.Status200OK : StatusCodes.Status401Unauthorized,
            { Key: null } when protocol.NeedsNoKey => StatusCodes.Status200OK,
            { Key: { } key } when context.Request.Headers["OpenAI-Project"] is [{ } project] && !IgnoresProjects && !_management.IsIn(project, key) => StatusCodes.Status401Unauthorized,
            { Key: { } key } when AcceptsAnyKey || _accepted.ContainsKey(key) => StatusCodes.Status200OK,
            _ => RefusalStatus ?? protocol.RefusalStatus,
        };

        status = AnswersInstead(path) ?? status;

        // before the answer, so that whoever has that finds it here
        if (!KeepsNothing)
        {
            _seen.Enqueue(new SeenRequest(path, arrival.Key, arrival.Fault, status, body, arrived));
        }

        if (status == StatusCodes.Status200OK && isManagement)
        {
            await _management.AnswerAsync(context, path, body);
            return;
        }

        if (status == StatusCodes.Status200OK)
        {
            if (Latency > TimeSpan.Zero)
            {
                await Task.Delay(Latency, context.RequestAborted);
            }

            if (KeyManagement.IsOwn(path))
            {
                await _management.TellAsync(context, arrival.Key!);
                return;
            }

            await protocol.AnswerAsync(context, path[protocol.BasePath.Length..], body, StreamGate);
            return;
        }

        context.Response.StatusCode = status;
        context.Response.ContentType = "application/json";
        await context.Response.WriteAsync(protocol.Refusal(arrival.Fault ?? (RepeatsKeys ? $"Incorrect API key provided: {arrival.Key}" : "Incorrect API key provided")));
    }

    private static async Task<byte[]> ReadAsync(HttpContext context)
    {
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body, context.RequestAborted);
        return body.ToArray();
    }
}

/// <summary>A request as it arrived.</summary>
/// <param name="Path">What it asked for.</param>
/// <param name="Key">The key that came with it.</param>
/// <param name="Fault">What was wrong with how that came, or null.</param>
/// <param name="Status">What it was answered.</param>
/// <param name="Body">What it sent.</param>
/// <param name="Arrived">When, as <see cref="Stopwatch.GetTimestamp"/> tells it, before its key was looked at.</param>
public sealed record SeenRequest(string Path, string? Key, string? Fault, int Status, byte[] Body, long Arrived);

/// <summary>How a key arrived.</summary>
internal sealed record Arrival(string? Key, string? Fault)
{
    private static readonly string[] Carriers = ["Authorization", "x-api-key", "x-goog-api-key", "api-key", "Proxy-Authorization", "Cookie"];

    internal static Arrival Of(HttpRequest request, byte[] body, Protocol protocol)
    {
        var carried = Carriers.Where(request.Headers.ContainsKey).ToList();
        if (carried.Count == 0)
        {
            return new(Key: null, Fault: null);
        }

        var values = request.Headers[carried[0]];
        if (carried.Count > 1 || values.Count > 1 || !carried[0].Equals(protocol.KeyHeader, StringComparison.OrdinalIgnoreCase))
        {
            return new(FindAny(request), $"the key came in {string.Join(" and ", carried)} ({values.Count})");
        }

        var value = values.ToString();
        if (protocol.KeyHeader == "Authorization" && !value.StartsWith("Bearer ", StringComparison.Ordinal))
        {
            return new(value, "the key came without Bearer");
        }

        var key = protocol.KeyHeader == "Authorization" ? value["Bearer ".Length..] : value;
        var elsewhere = request.GetEncodedPathAndQuery().Contains(key, StringComparison.Ordinal)
            || request.Query.ContainsKey("key")
            || request.Headers.Any(header => header.Key != protocol.KeyHeader && header.Value.ToString().Contains(key, StringComparison.Ordinal))
            || System.Text.Encoding.UTF8.GetString(body).Contains(key, StringComparison.Ordinal);
        return new(key, elsewhere ? "the key came in another place too" : null);
    }

    internal static string? FindAny(HttpRequest request) =>
        Carriers.Where(request.Headers.ContainsKey).Select(header => request.Headers[header].ToString()).FirstOrDefault();
}
