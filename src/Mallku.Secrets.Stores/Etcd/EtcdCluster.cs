using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Stores.Etcd;

/// <summary>
/// The members of a cluster as one: asks the one that answered last, and the others in turn where that can be done twice or
/// was certainly not done. Every call ends in the time that the URL sets.
/// </summary>
internal sealed class EtcdCluster : IDisposable
{
    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(2), ElectionPause = TimeSpan.FromMilliseconds(250);

    // members answer pings at most every 5 s, and hang up on whoever sends more; what is silent for longer is lost
    private static readonly TimeSpan PingDelay = TimeSpan.FromSeconds(6), PingTimeout = TimeSpan.FromSeconds(4);
    private const int ElectionPauses = 12;

    private readonly EtcdUrl _url;
    private readonly HttpMessageInvoker _http;
    private readonly SemaphoreSlim _login = new(1);
    private readonly byte[] _password;
    private int _current;
    private volatile string? _token;

    internal EtcdCluster(EtcdUrl url)
    {
        _url = url;
        _password = url.Password?.RevealUtf8() ?? [];
        _current = RandomNumberGenerator.GetInt32(url.Endpoints.Count);
        _http = new HttpMessageInvoker(new SocketsHttpHandler
        {
            ConnectTimeout = ConnectTimeout,
            KeepAlivePingDelay = PingDelay,
            KeepAlivePingTimeout = PingTimeout,
            KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests,
            SslOptions = EtcdTls.Load(url),
            ActivityHeadersPropagator = null,
            AllowAutoRedirect = false,
            UseCookies = false,
            UseProxy = false,
        });
    }

    /// <summary>Asks for something that may be asked for again.</summary>
    internal Task<T> ReadAsync<T>(string method, ProtobufWriter request, Func<ReadOnlyMemory<byte>, T> read, CancellationToken cancellationToken) =>
        OnAnyAsync((endpoint, token, end) => CallAsync(endpoint, method, request, read, token, end), isWrite: false, cancellationToken);

    /// <summary>Asks for a change, of one member only as soon as it may have been made.</summary>
    internal Task<T> WriteAsync<T>(string method, ProtobufWriter request, Func<ReadOnlyMemory<byte>, T> read, CancellationToken cancellationToken) =>
        OnAnyAsync((endpoint, token, end) => CallAsync(endpoint, method, request, read, token, end), isWrite: true, cancellationToken);

    /// <summary>The messages of a watch, the first of which says that it is set up.</summary>
    internal async IAsyncEnumerable<EtcdChanges> WatchAsync(ProtobufWriter request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var (call, changes) = await OnAnyAsync((endpoint, token, end) => BeginWatchAsync(endpoint, request, token, end), isWrite: false, cancellationToken).ConfigureAwait(false);
        using (call)
        {
            while (true)
            {
                var lastHeard = Stopwatch.GetTimestamp();
                yield return changes;
                try
                {
                    changes = EtcdProtocol.ReadWatch(
                        await call.NextAsync(cancellationToken).ConfigureAwait(false) ?? throw new GrpcException(GrpcStatus.Unavailable, "it ended the watch"));
                    if (changes is { IsEnded: true, IsCompacted: false })
                    {
                        throw new GrpcException(GrpcStatus.Unavailable, $"it ended the watch: {changes.Reason}");
                    }
                }
                catch (GrpcException fault)
                {
                    throw HeardLast(EtcdFault.Of(fault, _url, isWrite: false), lastHeard);
                }
            }
        }
    }

    // at the earliest before the ping that was not answered
    private static SecretsException HeardLast(SecretsException fault, long changes)
    {
        if (fault is StoreUnreachableException unreachable)
        {
            unreachable.LastHeard = Math.Max(changes, Stopwatch.GetTimestamp() - (long)((PingDelay + PingTimeout).TotalSeconds * Stopwatch.Frequency));
        }

        return fault;
    }

    public void Dispose()
    {
        _http.Dispose();
        _login.Dispose();
        CryptographicOperations.ZeroMemory(_password);
    }

    private async Task<T> OnAnyAsync<T>(Func<Uri, string?, CancellationToken, Task<T>> call, bool isWrite, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        end.CancelAfter(_url.Timeout);
        for (var pauses = 0; ; pauses++)
        {
            GrpcException? reason = null;
            var first = Volatile.Read(ref _current);
            for (var i = 0; i < _url.Endpoints.Count; i++)
            {
                var current = (first + i) % _url.Endpoints.Count;
                try
                {
                    return await OnOneAsync(_url.Endpoints[current], call, isWrite, end.Token, cancellationToken).ConfigureAwait(false);
                }
                catch (OperationCanceledException fault) when (isWrite)
                {
                    throw EtcdFault.Of(new GrpcException(GrpcStatus.Cancelled, "the wait for the answer was ended", fault), _url, isWrite);
                }
                catch (GrpcException fault)
                {
                    // that there is no leader says more than that a member is down
                    reason = reason is not null && EtcdFault.HasNoLeader(reason) ? reason : fault;
                    if (EtcdFault.IsUnreachable(fault))
                    {
                        Interlocked.CompareExchange(ref _current, (current + 1) % _url.Endpoints.Count, current);
                    }

                    if (end.IsCancellationRequested || !EtcdFault.IsUnreachable(fault) || (isWrite && !EtcdFault.IsNotDone(fault)))
                    {
                        throw EtcdFault.Of(fault, _url, isWrite);
                    }
                }
            }

            // the others choose a new leader in a second or two; whoever comes in between waits for it
            if (!EtcdFault.HasNoLeader(reason!) || pauses == ElectionPauses)
            {
                throw EtcdFault.Of(reason!, _url, isWrite);
            }

            try
            {
                await Task.Delay(ElectionPause, end.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                throw EtcdFault.Of(reason!, _url, isWrite);
            }
        }
    }

    private async Task<T> OnOneAsync<T>(
        Uri endpoint, Func<Uri, string?, CancellationToken, Task<T>> call, bool isWrite, CancellationToken end, CancellationToken cancellationToken)
    {
        // so that one that hangs leaves time to ask the others
        using var turn = CancellationTokenSource.CreateLinkedTokenSource(end);
        var share = isWrite ? _url.Timeout : _url.Timeout / _url.Endpoints.Count;
        turn.CancelAfter(share);
        try
        {
            var token = await TokenAsync(endpoint, stale: null, turn.Token).ConfigureAwait(false);
            try
            {
                return await call(endpoint, token, turn.Token).ConfigureAwait(false);
            }
            catch (GrpcException fault) when (token is not null && EtcdFault.IsStaleToken(fault))
            {
                return await call(endpoint, await TokenAsync(endpoint, token, turn.Token).ConfigureAwait(false), turn.Token).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException fault) when (!cancellationToken.IsCancellationRequested)
        {
            throw new GrpcException(GrpcStatus.DeadlineExceeded, $"no answer within {share.TotalSeconds:0.#} s", fault);
        }
    }

    private async Task<T> CallAsync<T>(
        Uri endpoint, string method, ProtobufWriter request, Func<ReadOnlyMemory<byte>, T> read, string? token, CancellationToken cancellationToken)
    {
        using var call = await GrpcCall.SendAsync(_http, endpoint, method, request.Written, token, cancellationToken).ConfigureAwait(false);
        var answer = await call.NextAsync(cancellationToken).ConfigureAwait(false);

        // its status comes after the answer
        return answer is { } message && await call.NextAsync(cancellationToken).ConfigureAwait(false) is null
            ? read(message)
            : throw new GrpcException(GrpcStatus.Internal, "not one answer");
    }

    private async Task<(GrpcCall Call, EtcdChanges First)> BeginWatchAsync(Uri endpoint, ProtobufWriter request, string? token, CancellationToken cancellationToken)
    {
        var call = await GrpcCall.SendAsync(_http, endpoint, EtcdProtocol.Watch, request.Written, token, cancellationToken).ConfigureAwait(false);
        var isBegun = false;
        try
        {
            var first = await call.NextAsync(cancellationToken).ConfigureAwait(false) ?? throw new GrpcException(GrpcStatus.Unavailable, "it ended the watch");
            var changes = EtcdProtocol.ReadWatch(first);
            isBegun = changes is { IsCreated: true, IsEnded: false };

            // also of a token that it does not know any more a member says here that it does not permit it
            return isBegun ? (call, changes) : throw new GrpcException(GrpcStatus.Unauthenticated, changes.Reason);
        }
        finally
        {
            if (!isBegun)
            {
                call.Dispose();
            }
        }
    }

    private async Task<string?> TokenAsync(Uri endpoint, string? stale, CancellationToken cancellationToken)
    {
        if (_url.User is null || _url.Password is null)
        {
            return null;
        }

        if (_token is { } known && known != stale)
        {
            return known;
        }

        await _login.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (_token is null || _token == stale)
            {
                _token = null;
                var login = EtcdProtocol.AuthenticateOf(_url.User, _password);
                _token = await CallAsync(endpoint, EtcdProtocol.Authenticate, login, EtcdProtocol.ReadToken, token: null, cancellationToken).ConfigureAwait(false);
            }

            return _token;
        }
        finally
        {
            _login.Release();
        }
    }
}
