namespace Mallku.FireCircle.Adapters;

/// <summary>The connections that all clients of a factory share. Safe for concurrent use.</summary>
internal sealed class Connections : IDisposable
{
    /// <summary>How long an answer may take to begin. A local model is loaded before it answers.</summary>
    internal static readonly TimeSpan LongPatience = TimeSpan.FromMinutes(10), ShortPatience = TimeSpan.FromSeconds(10);

    // so that a process that runs for weeks follows the names of servers
    private static readonly TimeSpan Lifetime = TimeSpan.FromMinutes(5);

    private readonly SocketsHttpHandler _remote = Make(usesProxy: true);

    // a proxy that the environment names would get the key of a plain http:// request in the clear
    private readonly SocketsHttpHandler _local = Make(usesProxy: false);

    /// <summary>A client that injects an adapter's key; its disposal leaves the connections.</summary>
    internal HttpClient Open(Adapter adapter, TimeSpan patience)
    {
        var connections = adapter.Server.Scheme == Uri.UriSchemeHttps ? _remote : _local;
        var injecting = new KeyInjectionHandler(adapter.Key, adapter.Provider, adapter.Server, connections);
        return new HttpClient(injecting, disposeHandler: false) { BaseAddress = adapter.Server, Timeout = patience };
    }

    public void Dispose()
    {
        _remote.Dispose();
        _local.Dispose();
    }

    private static SocketsHttpHandler Make(bool usesProxy) => new()
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        UseProxy = usesProxy,
        PooledConnectionLifetime = Lifetime,
        EnableMultipleHttp2Connections = true,
    };
}
