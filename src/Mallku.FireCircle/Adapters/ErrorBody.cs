using System.Security.Cryptography;

namespace Mallku.FireCircle.Adapters;

/// <summary>
/// Masks what a provider's error repeats of the key: clients put an error's body into exceptions, and those into logs.
/// </summary>
internal static class ErrorBody
{
    // errors are small; what comes behind it is cut
    private const int MaxLength = 64 << 10;

    // a shorter part of a key is little more than its public prefix
    private const int ShortestTelling = 8;

    /// <summary>Reads the body of an error and puts a masked one in its place.</summary>
    internal static async ValueTask MaskAsync(HttpResponseMessage response, SecretValue key, CancellationToken cancellationToken)
    {
        using var original = response.Content;
        var masked = new ByteArrayContent(Mask(await ReadAsync(original, cancellationToken).ConfigureAwait(false), key));
        foreach (var (name, values) in original.Headers)
        {
            if (!string.Equals(name, "Content-Length", StringComparison.OrdinalIgnoreCase))
            {
                masked.Headers.TryAddWithoutValidation(name, values);
            }
        }

        response.Content = masked;
    }

    /// <summary>The text with <c>***</c> for each part of the key that has eight bytes or more.</summary>
    internal static byte[] Mask(ReadOnlySpan<byte> text, SecretValue key)
    {
        var secret = key.RevealUtf8();
        try
        {
            var masked = new MemoryStream(text.Length);
            while (!text.IsEmpty)
            {
                var common = FindCommon(text, secret);
                masked.Write(common > 0 ? "***"u8 : text[..1]);
                text = text[Math.Max(common, 1)..];
            }

            return masked.ToArray();
        }
        finally
        {
            CryptographicOperations.ZeroMemory(secret);
        }
    }

    // the length of the longest part of the key with which the text begins; 0 where that tells nothing
    private static int FindCommon(ReadOnlySpan<byte> text, ReadOnlySpan<byte> secret)
    {
        var shortest = Math.Min(ShortestTelling, secret.Length);
        if (shortest == 0 || text.Length < shortest)
        {
            return 0;
        }

        var longest = 0;
        for (var next = secret.IndexOf(text[..shortest]); next >= 0; next = secret.IndexOf(text[..shortest]))
        {
            longest = Math.Max(longest, text.CommonPrefixLength(secret[next..]));
            secret = secret[(next + 1)..];
        }

        return longest;
    }

    private static async ValueTask<byte[]> ReadAsync(HttpContent content, CancellationToken cancellationToken)
    {
        var stream = await content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        var buffer = new byte[MaxLength];
        var length = await stream.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellationToken).ConfigureAwait(false);
        return buffer[..length];
    }
}
