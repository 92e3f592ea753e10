using System.Buffers;
using System.Buffers.Text;

namespace Mallku.Secrets.Crypto;

/// <summary>
/// Url-safe base64 with padding, RFC 4648 section 5, in its one canonical form: the platform's decoder also takes white
/// space, <c>%</c> and missing padding, and its encoder writes none.
/// </summary>
internal static class PaddedBase64Url
{
    internal static long GetEncodedLength(long byteCount) => (byteCount + 2) / 3 * 4;

    /// <summary>Encodes into a buffer that is long enough.</summary>
    internal static void Encode(ReadOnlySpan<byte> bytes, Span<byte> text)
    {
        Base64Url.EncodeToUtf8(bytes, text, out _, out var written);
        var length = (int)GetEncodedLength(bytes.Length);
        text[written..length].Fill((byte)'=');
    }

    /// <summary>Decodes canonical text; the buffer has three bytes for every four characters.</summary>
    internal static bool TryDecode(ReadOnlySpan<byte> text, Span<byte> bytes, out int length)
    {
        length = 0;
        if (text.Length % 4 != 0 || text.IsEmpty)
        {
            return false;
        }

        var padding = text[^1] != (byte)'=' ? 0 : text[^2] != (byte)'=' ? 1 : 2;
        var digits = text[..^padding];

        // what the decoder passes over, white space and padding of its own, brings no byte, so that some are missing then
        return Base64Url.DecodeFromUtf8(digits, bytes, out _, out length) == OperationStatus.Done
            && length == (int)((long)digits.Length * 3 / 4)
            && (padding == 0 || IsCanonicalEnd(text[^4..], bytes[(length - 3 + padding)..length]));
    }

    // the bits of the last character that stand for no byte must be zero
    private static bool IsCanonicalEnd(ReadOnlySpan<byte> lastGroup, ReadOnlySpan<byte> lastBytes)
    {
        Span<byte> canonical = stackalloc byte[4];
        Encode(lastBytes, canonical);
        return canonical.SequenceEqual(lastGroup);
    }
}
