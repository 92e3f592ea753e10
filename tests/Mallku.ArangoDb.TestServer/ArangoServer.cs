using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;

namespace Mallku.ArangoDb.TestServer;

/// <summary>How a server is started.</summary>
public sealed record ArangoServerOptions
{
    /// <summary>0 for any that is free.</summary>
    public int Port { get; init; }

    public string User { get; init; } = "root";

    public string Password { get; init; } = "";

    public string Database { get; init; } = "_system";

    /// <summary>How its cluster spreads the database, as it tells; null for a server by itself.</summary>
    public string? Sharding { get; init; }

    /// <summary>Null for no TLS.</summary>
    public X509Certificate2? Certificate { get; init; }

    public TimeProvider Clock { get; init; } = TimeProvider.System;
}

/// <summary>What goes wrong with a request.</summary>
public enum Mishap
{
    None,

    /// <summary>The connection breaks before anything is done.</summary>
    LosesRequest,

    /// <summary>The connection breaks after it is done.</summary>
    LosesAnswer,

    /// <summary>The answer is only the half of one, and looks whole.</summary>
    CutsAnswer,

    /// <summary>The connection breaks in the middle of the answer.</summary>
    BreaksAnswer,

    /// <summary>Something else answers, with a page.</summary>
    AnswersPage,

    /// <summary>The server can't serve.</summary>
    IsUnavailable,

    /// <summary>Nothing is answered.</summary>
    Hangs,
}

/// <summary>
/// Emulates ArangoDB's HTTP interface on loopback, as far as Mallku uses it, and refuses all the rest. Written from ArangoDB's
/// documentation. Safe for concurrent use.
/// </summary>
public sealed class ArangoServer : IAsyncDisposable
{
    private readonly WebApplication _application;
    private readonly ArangoServerOptions _options;
    private readonly Endpoints _endpoints;
    private readonly ConcurrentQueue<string> _seen = new();
    private readonly CancellationTokenSource _ended = new();
    private Func<string, Mishap> _mishaps = static _ => Mishap.None;

    private ArangoServer(WebApplication application, ArangoServerOptions options)
    {
        _application = application;
        _options = options;
        Users = new Users(options);
        Store = new Database(options.Clock);
        _endpoints = new Endpoints(options, Users, Store);
    }

    /// <summary>Where it listens.</summary>
    public Uri Address => new(_application.Urls.Single());

    /// <summary>What was asked, as method and path from the database on, without parameters.</summary>
    public IReadOnlyCollection<string> Seen => _seen;

    public int OpenTransactions => Store.OpenTransactions.Count;

    public int OpenCursors => Store.OpenCursors.Count;

    /// <summary>Every token that was given out.</summary>
    public IReadOnlyCollection<string> Tokens => Users.Tokens;

    internal Users Users { get; }

    internal Database Store { get; }

    public static async Task<ArangoServer> StartAsync(ArangoServerOptions options, CancellationToken cancellationToken = default)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Limits.MaxRequestBodySize = 1 << 30;
            kestrel.Listen(IPAddress.Loopback, options.Port, listen =>
            {
                listen.Protocols = Microsoft.AspNetCore.Server.Kestrel.Core.HttpProtocols.Http1;
                if (options.Certificate is { } certificate)
                {
                    listen.UseHttps(certificate);
                }
            });
        });
        var application = builder.Build();
        var server = new ArangoServer(application, options);
        application.Run(server.AnswerAsync);
        await application.StartAsync(cancellationToken);
        return server;
    }

    /// <summary>Says for each request, given as in <see cref="Seen"/>, what goes wrong with it.</summary>
    public void Mishaps(Func<string, Mishap> mishaps) => Volatile.Write(ref _mishaps, mishaps);

    /// <summary>Lets something go wrong once, with the first request that begins so, as in <see cref="Seen"/>.</summary>
    public void MishapOnce(string beginning, Mishap mishap)
    {
        var left = 1;
        Mishaps(request => request.StartsWith(beginning, StringComparison.Ordinal) && Interlocked.Decrement(ref left) == 0 ? mishap : Mishap.None);
    }

    /// <summary>Ends every token before its time.</summary>
    public void ForgetTokens() => Users.Forget();

    /// <summary>All that it holds, as JSON.</summary>
    public string Dump() => string.Join('\n', Store.Collections.SelectMany(static collection =>
        collection.Indexes.Select(index => index.ToJson(collection.Name)).Concat(collection.Documents.Values.Select(static document => document.ToJson())).Prepend(collection.ToJson()))
        .Select(static one => one.ToJsonString()));

    /// <summary>Puts a document there as another program would.</summary>
    public void Put(string collection, string key, JsonObject attributes) =>
        Store.Change(null, collection, key, (_, revision) => new StoredDocument(collection, key, revision(), attributes));

    /// <summary>Holds a document as a transaction of somebody else, which is given up at the end.</summary>
    public IDisposable Hold(string collection, string key)
    {
        var transaction = Store.Begin(new HashSet<string>([collection], StringComparer.Ordinal)).Id;
        Store.Change(transaction, collection, key, (there, revision) => there is null ? new StoredDocument(collection, key, revision(), []) : there with { Revision = revision() });
        return new Held(() => Store.End(transaction, commits: false));
    }

    /// <summary>Breaks every connection and listens no more.</summary>
    public async Task KillAsync()
    {
        await _ended.CancelAsync();
        await _application.StopAsync(new CancellationToken(canceled: true));
    }

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        await _application.DisposeAsync();
        _ended.Dispose();
    }

    private sealed class Held(Action release) : IDisposable
    {
        public void Dispose() => release();
    }

    private async Task AnswerAsync(HttpContext context)
    {
        var path = context.Request.Path.Value ?? "/";
        var within = $"/_db/{_options.Database}/";
        var request = $"{context.Request.Method} {(path.StartsWith(within, StringComparison.Ordinal) ? path[within.Length..] : path)}";
        _seen.Enqueue(request);
        var mishap = Volatile.Read(ref _mishaps)(request);
        switch (mishap)
        {
            case Mishap.LosesRequest:
                context.Abort();
                return;
            case Mishap.Hangs:
                await Task.Delay(Timeout.Infinite, CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, _ended.Token).Token).ContinueWith(static _ => { }, TaskScheduler.Default);
                context.Abort();
                return;
            case Mishap.AnswersPage:
                context.Response.ContentType = "text/html";
                await context.Response.WriteAsync("<html><body>Sign in to this network</body></html>", context.RequestAborted);
                return;
            case Mishap.IsUnavailable:
                await WriteAsync(context, new Reply(503, new ArangoException(503, 1429, "write concern not fulfilled").ToJson()), whole: true);
                return;
        }

        Reply reply;
        try
        {
            reply = await _endpoints.AnswerAsync(context, path);
        }
        catch (ArangoException fault)
        {
            reply = new Reply(fault.Status, fault.ToJson());
        }

        if (mishap == Mishap.LosesAnswer)
        {
            // as of a server that was killed: its system closes the connection in good order
            context.Features.GetRequiredFeature<IConnectionSocketFeature>().Socket.Shutdown(SocketShutdown.Send);
            context.Abort();
            return;
        }

        await WriteAsync(context, reply, whole: mishap != Mishap.CutsAnswer, breaks: mishap == Mishap.BreaksAnswer);
    }

    private static async Task WriteAsync(HttpContext context, Reply reply, bool whole, bool breaks = false)
    {
        var body = System.Text.Encoding.UTF8.GetBytes(reply.Body.ToJsonString());
        context.Response.StatusCode = reply.Status;
        context.Response.ContentType = "application/json; charset=utf-8";
        context.Response.ContentLength = whole ? body.Length : body.Length / 2;
        if (reply.Revision is { } revision)
        {
            context.Response.Headers.ETag = $"\"{revision}\"";
        }

        if (reply.ErrorCodes is { Length: > 0 } codes)
        {
            context.Response.Headers["X-Arango-Error-Codes"] = codes;
        }

        if (breaks)
        {
            await context.Response.Body.WriteAsync(body.AsMemory(0, body.Length / 2), context.RequestAborted);
            await context.Response.Body.FlushAsync(context.RequestAborted);
            context.Abort();
            return;
        }

        await context.Response.Body.WriteAsync(body.AsMemory(0, (int)context.Response.ContentLength), context.RequestAborted);
    }
}

/// <summary>What is answered.</summary>
internal sealed record Reply(int Status, JsonNode Body)
{
    /// <summary>That of the one document it is about.</summary>
    internal string? Revision { get; init; }

    /// <summary>How often each error happened, of several documents.</summary>
    internal string? ErrorCodes { get; init; }
}
