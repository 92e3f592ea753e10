using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Mallku.FireCircle.Tests;

/// <summary>Answers every connection's request with a text, whatever that is of HTTP, and may then hold the connection.</summary>
internal sealed class RawServer : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _ending = new();
    private readonly Task _answering;

    public RawServer(string answer, bool holds = false)
        : this(_ => answer, holds)
    {
    }

    /// <summary>One whose answers depend on how many there were before.</summary>
    public RawServer(Func<int, string> answer, bool holds = false)
    {
        _listener.Start();
        _answering = AnswerAllAsync(answer, holds);
    }

    public Uri Address => new($"http://{_listener.LocalEndpoint}/");

    public async ValueTask DisposeAsync()
    {
        await _ending.CancelAsync();
        await _answering;
        _listener.Dispose();
        _ending.Dispose();
    }

    private async Task AnswerAllAsync(Func<int, string> answer, bool holds)
    {
        var connections = new List<Task>();
        try
        {
            while (true)
            {
                var client = await _listener.AcceptTcpClientAsync(_ending.Token);
                connections.Add(AnswerAsync(client, Encoding.UTF8.GetBytes(answer(connections.Count)), holds));
            }
        }
        catch (OperationCanceledException)
        {
            await Task.WhenAll(connections);
        }
    }

    private async Task AnswerAsync(TcpClient client, byte[] answer, bool holds)
    {
        using var _ = client;
        try
        {
            await using var stream = client.GetStream();
            using var reader = new StreamReader(stream, Encoding.Latin1, leaveOpen: true);
            while (await reader.ReadLineAsync(_ending.Token) is { Length: > 0 })
            {
            }

            await stream.WriteAsync(answer, _ending.Token);
            if (!holds)
            {
                client.Client.Shutdown(SocketShutdown.Send);
            }

            // whoever closes a connection with something unread takes back what was sent
            await reader.ReadToEndAsync(_ending.Token);
        }
        catch (Exception e) when (e is OperationCanceledException or IOException)
        {
            // the client left, or the test is over
        }
    }
}
