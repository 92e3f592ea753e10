using System.Net;
using System.Net.Sockets;

namespace Mallku.Secrets.Stores.Tests;

/// <summary>Which way bytes go on a <see cref="Line"/>.</summary>
internal enum Way
{
    ToServer,
    ToClient,
}

/// <summary>A line to a server on this machine, that can be cut, held and slowed. What is held is not lost.</summary>
internal sealed class Line : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly Lock _gate = new();
    private readonly List<Socket> _open = [];
    private readonly CancellationTokenSource _end = new();
    private readonly int _server;
    private readonly Task _accepting;
    private TaskCompletionSource _passable = Passable();
    private (Way Way, TaskCompletionSource Done)? _cutAtNext;
    private readonly List<MemoryStream> _heard = [];
    private volatile bool _refuses;

    internal Line(int server)
    {
        _server = server;
        _listener.Start();
        _accepting = AcceptAsync();
    }

    internal int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>Whether what goes over it is kept.</summary>
    internal bool Listens { get; init; }

    /// <summary>What went over it, each way of each connection by itself.</summary>
    internal IReadOnlyList<byte[]> Heard
    {
        get
        {
            lock (_gate)
            {
                return [.. _heard.Select(static bytes => bytes.ToArray())];
            }
        }
    }

    /// <summary>How long each piece takes, each way.</summary>
    internal TimeSpan Delay { get; set; }

    /// <summary>Cuts every connection.</summary>
    internal void Cut()
    {
        lock (_gate)
        {
            _open.ForEach(Reset);
            _open.Clear();
        }
    }

    /// <summary>Cuts every connection, and each new one too, until it is mended.</summary>
    internal void Break()
    {
        _refuses = true;
        Cut();
    }

    internal void Mend() => _refuses = false;

    /// <summary>Nothing gets through any more, and nobody is told.</summary>
    internal void Hold() => _passable = new(TaskCreationOptions.RunContinuationsAsynchronously);

    internal void Release() => _passable.TrySetResult();

    /// <summary>Cuts every connection in the place of passing on the next bytes that go that way; done when that has happened.</summary>
    internal Task CutAtNext(Way way)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            _cutAtNext = (way, done);
        }

        return done.Task;
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        _listener.Stop();
        Break();
        await _accepting;
        _end.Dispose();
    }

    private static TaskCompletionSource Passable()
    {
        var passable = new TaskCompletionSource();
        passable.SetResult();
        return passable;
    }

    // the other side is told that it is over, as by a router that has forgotten the connection
    private static void Reset(Socket socket)
    {
        try
        {
            socket.LingerState = new LingerOption(true, 0);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // it is over already
        }

        socket.Dispose();
    }

    private async Task AcceptAsync()
    {
        var pumps = new List<Task>();
        try
        {
            while (true)
            {
                var client = await _listener.AcceptSocketAsync(_end.Token);
                if (_refuses)
                {
                    Reset(client);
                    continue;
                }

                var server = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                client.NoDelay = true;
                lock (_gate)
                {
                    _open.AddRange([client, server]);
                }

                pumps.Add(ServeAsync(client, server));
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            Cut();
            await Task.WhenAll(pumps);
        }
    }

    private async Task ServeAsync(Socket client, Socket server)
    {
        try
        {
            await server.ConnectAsync(IPAddress.Loopback, _server, _end.Token);
            await Task.WhenAny(PumpAsync(client, server, Way.ToServer), PumpAsync(server, client, Way.ToClient));
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // as a refused connection is told to the client: by an end
        }

        client.Dispose();
        server.Dispose();
        lock (_gate)
        {
            _open.Remove(client);
            _open.Remove(server);
        }
    }

    private async Task PumpAsync(Socket from, Socket to, Way way)
    {
        var buffer = new byte[64 << 10];
        var heard = new MemoryStream();
        lock (_gate)
        {
            _heard.Add(heard);
        }

        try
        {
            while (await from.ReceiveAsync(buffer, _end.Token) is > 0 and var count)
            {
                if (Listens)
                {
                    lock (_gate)
                    {
                        heard.Write(buffer, 0, count);
                    }
                }

                await Task.Delay(Delay, _end.Token);
                await _passable.Task.WaitAsync(_end.Token);
                TaskCompletionSource? done = null;
                lock (_gate)
                {
                    if (_cutAtNext?.Way == way)
                    {
                        done = _cutAtNext.Value.Done;
                        _cutAtNext = null;
                    }
                }

                if (done is not null)
                {
                    Cut();
                    done.SetResult();
                    return;
                }

                for (var sent = 0; sent < count;)
                {
                    sent += await to.SendAsync(buffer.AsMemory(sent, count - sent), _end.Token);
                }
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // cut
        }
    }
}
