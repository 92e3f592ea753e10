using System.Buffers.Binary;
using System.Net;
using System.Net.Http.Headers;

namespace Mallku.Secrets.Stores.Etcd;

/// <summary>
/// One call over gRPC: an HTTP/2 request with one message, whose answer is messages as they come, and a status at the end.
/// </summary>
internal sealed class GrpcCall : IDisposable
{
    private const int HeadLength = 5, LongestMessage = 32 << 20;
    private readonly HttpResponseMessage _response;
    private readonly Stream _body;

    private GrpcCall(HttpResponseMessage response, Stream body) => (_response, _body) = (response, body);

    /// <summary>Sends the request, and waits until the answer begins.</summary>
    /// <exception cref="GrpcException">It could not be sent, or was refused, or lost.</exception>
    internal static async Task<GrpcCall> SendAsync(
        HttpMessageInvoker http, Uri endpoint, string method, ReadOnlyMemory<byte> message, string? token, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(endpoint, method))
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new ByteArrayContent(Framed(message)) { Headers = { ContentType = new MediaTypeHeaderValue("application/grpc") } },
        };
        request.Headers.TE.Add(new TransferCodingWithQualityHeaderValue("trailers"));

        // a member that has lost the others says so at once, instead of letting the caller wait
        request.Headers.Add("hasleader", "true");
        if (token is not null)
        {
            request.Headers.TryAddWithoutValidation("token", token);
        }

        try
        {
            var response = await http.SendAsync(request, cancellationToken).ConfigureAwait(false);
            var call = new GrpcCall(response, await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false));
            if (response.StatusCode != HttpStatusCode.OK)
            {
                call.Dispose();
                throw new GrpcException(GrpcStatus.Unavailable, $"HTTP status {(int)response.StatusCode}");
            }

            return call;
        }
        catch (Exception fault) when (fault is HttpRequestException or IOException)
        {
            throw GrpcException.Of(fault);
        }
        catch (OperationCanceledException fault) when (!cancellationToken.IsCancellationRequested)
        {
            throw new GrpcException(GrpcStatus.Unavailable, "no connection comes about", fault) { IsNotDone = true };
        }
    }

    /// <summary>The next message, or null when all went well and there is no more.</summary>
    /// <exception cref="GrpcException">The call failed.</exception>
    internal async Task<ReadOnlyMemory<byte>?> NextAsync(CancellationToken cancellationToken)
    {
        try
        {
            var head = new byte[HeadLength];
            var read = await _body.ReadAtLeastAsync(head, HeadLength, throwOnEndOfStream: false, cancellationToken).ConfigureAwait(false);
            if (read == 0)
            {
                RequireSuccess();
                return null;
            }

            var length = BinaryPrimitives.ReadUInt32BigEndian(head.AsSpan(1));
            if (read < HeadLength || head[0] != 0)
            {
                throw new GrpcException(GrpcStatus.Internal, "an answer that is cut off");
            }

            if (length > LongestMessage)
            {
                throw new GrpcException(GrpcStatus.Internal, "an answer that is too long") { IsTooLong = true };
            }

            var message = new byte[length];
            await _body.ReadExactlyAsync(message, cancellationToken).ConfigureAwait(false);
            return message;
        }
        catch (Exception fault) when (fault is HttpRequestException or IOException)
        {
            throw GrpcException.Of(fault);
        }
    }

    public void Dispose() => _response.Dispose();

    private static byte[] Framed(ReadOnlyMemory<byte> message)
    {
        var framed = new byte[HeadLength + message.Length];
        BinaryPrimitives.WriteInt32BigEndian(framed.AsSpan(1), message.Length);
        message.Span.CopyTo(framed.AsSpan(HeadLength));
        return framed;
    }

    private void RequireSuccess()
    {
        // where nothing but a status is answered, it is in the head
        var from = _response.TrailingHeaders.Contains("grpc-status") ? _response.TrailingHeaders : _response.Headers;
        if (!from.TryGetValues("grpc-status", out var values) || !Enum.TryParse<GrpcStatus>(values.First(), out var status))
        {
            throw new GrpcException(GrpcStatus.Unavailable, "an answer without a status");
        }

        if (status != GrpcStatus.Ok)
        {
            throw new GrpcException(status, from.TryGetValues("grpc-message", out var text) ? Uri.UnescapeDataString(text.First()) : $"status {status}");
        }
    }
}

/// <summary>How a call ended.</summary>
internal enum GrpcStatus
{
    Ok, Cancelled, Unknown, InvalidArgument, DeadlineExceeded, NotFound, AlreadyExists, PermissionDenied, ResourceExhausted,
    FailedPrecondition, Aborted, OutOfRange, Unimplemented, Internal, Unavailable, DataLoss, Unauthenticated,
}

/// <summary>A call failed: what a server answered, or what happened on the way. It does not leave this folder.</summary>
internal sealed class GrpcException(GrpcStatus status, string message, Exception? innerException = null) : Exception(message, innerException)
{
    internal GrpcStatus Status { get; } = status;

    /// <summary>Whether it is certain that the call was not carried out.</summary>
    internal bool IsNotDone { get; init; }

    /// <summary>Whether the answer was left unread, as it is longer than can be meant.</summary>
    internal bool IsTooLong { get; init; }

    internal static GrpcException Of(Exception fault) => fault switch
    {
        HttpRequestException { HttpRequestError: HttpRequestError.NameResolutionError } => NotSent("the name is not known", fault),
        HttpRequestException { HttpRequestError: HttpRequestError.SecureConnectionError } => NotSent($"no TLS connection: {fault.GetBaseException().Message}", fault),
        HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError } => NotSent(fault.GetBaseException().Message, fault),
        _ => new(GrpcStatus.Unavailable, "the connection was lost", fault),
    };

    private static GrpcException NotSent(string message, Exception fault) => new(GrpcStatus.Unavailable, message, fault) { IsNotDone = true };
}
