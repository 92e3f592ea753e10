using System.Security.Cryptography;

namespace Mallku.FireCircle.Adapters;

/// <summary>
/// An answer in parts as it comes, with <c>*</c> in place of the bytes of the key that it was asked with: a provider may tell
/// of an error within a stream that began well. Not safe for concurrent use.
/// </summary>
/// <remarks>
/// Nothing waits for more than what the server has sent, except an end that is the beginning of the key, until it is known
/// whether it goes on as the key does. No key has a line break, so that whole lines never wait. The length stays as it is.
/// </remarks>
/// <param name="inner">What the server sends; disposed of with this.</param>
/// <param name="key">The key; stays the caller's, and must outlive this.</param>
/// <param name="length">How long the answer is, where that is known.</param>
internal sealed class MaskingStream(Stream inner, SecretValue key, long? length = null) : Stream
{
    // a shorter one may be a word that a server of one's own takes, which answers hold for other reasons
    private const int ShortestKey = 16;

    private const string Document = "application/json";
    private const int LongestChunk = 4 << 10, LongestOnStack = 256;
    private readonly byte[] _buffer = new byte[Math.Clamp(length ?? LongestChunk, 1, LongestChunk) + key.Length];
    private int _next, _ready, _filled;
    private bool _hasEnded;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>
    /// Whether an answer of success may tell of an error later on. A whole document is what it says that it is, and stays as it is.
    /// </summary>
    internal static bool IsFor(HttpContent answer, SecretValue key) =>
        key.Length >= ShortestKey
        && !(answer.Headers.NonValidated.TryGetValues("Content-Type", out var type)
            && type.ToString() is var text
            && text.StartsWith(Document, StringComparison.OrdinalIgnoreCase)
            && (text.Length == Document.Length || text[Document.Length] is ';' or ' '));

    /// <summary>Puts a masked body in place of an answer's; headers stay.</summary>
    internal static async ValueTask MaskAsync(HttpResponseMessage response, SecretValue key, CancellationToken cancellationToken)
    {
        var original = response.Content;
        var stream = await original.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        var masked = new StreamContent(new MaskingStream(stream, key, original.Headers.ContentLength));
        foreach (var (name, values) in original.Headers.NonValidated)
        {
            masked.Headers.TryAddWithoutValidation(name, values);
        }

        response.Content = masked;
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (_next == _ready && !_hasEnded)
        {
            Sift(await inner.ReadAsync(MakeRoom(), cancellationToken).ConfigureAwait(false));
        }

        return Take(buffer.Span);
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(Span<byte> buffer)
    {
        while (_next == _ready && !_hasEnded)
        {
            Sift(inner.Read(MakeRoom().Span));
        }

        return Take(buffer);
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    // what the base class would rent a large buffer for
    public override async Task CopyToAsync(Stream destination, int bufferSize, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(destination);
        do
        {
            if (_next == _ready && !_hasEnded)
            {
                Sift(await inner.ReadAsync(MakeRoom(), cancellationToken).ConfigureAwait(false));
            }

            await destination.WriteAsync(_buffer.AsMemory(_next, _ready - _next), cancellationToken).ConfigureAwait(false);
            _next = _ready;
        }
        while (!_hasEnded);
    }

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            inner.Dispose();
            CryptographicOperations.ZeroMemory(_buffer);
            (_next, _ready, _filled, _hasEnded) = (0, 0, 0, true);
        }

        base.Dispose(disposing);
    }

    // what is held back goes to the beginning; it is shorter than the key
    private Memory<byte> MakeRoom()
    {
        _buffer.AsSpan(_ready, _filled - _ready).CopyTo(_buffer);
        (_next, _ready, _filled) = (0, 0, _filled - _ready);
        return _buffer.AsMemory(_filled);
    }

    private void Sift(int count)
    {
        _hasEnded = count == 0;
        _filled += count;

        // no copy for each answer that lasts as long as it does
        Span<byte> secret = key.Length <= LongestOnStack ? stackalloc byte[LongestOnStack] : SecretValue.Allocate(key.Length);
        secret = secret[..key.CopyUtf8To(secret)];
        Mask(secret);
        CryptographicOperations.ZeroMemory(secret);
    }

    private void Mask(ReadOnlySpan<byte> secret)
    {
        for (var rest = _buffer.AsSpan(0, _filled); rest.IndexOf(secret) is >= 0 and var at; rest = rest[(at + secret.Length)..])
        {
            rest.Slice(at, secret.Length).Fill((byte)'*');
        }

        var held = _hasEnded ? 0 : Math.Min(secret.Length - 1, _filled);
        while (held > 0 && !secret.StartsWith(_buffer.AsSpan(_filled - held, held)))
        {
            held--;
        }

        _ready = _filled - held;
    }

    private int Take(Span<byte> buffer)
    {
        var count = Math.Min(buffer.Length, _ready - _next);
        _buffer.AsSpan(_next, count).CopyTo(buffer);
        _next += count;
        return count;
    }
}
