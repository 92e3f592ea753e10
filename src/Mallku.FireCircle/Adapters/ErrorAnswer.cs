using System.Security.Cryptography;
using System.Text;

namespace Mallku.FireCircle.Adapters;

/// <summary>
/// Masks what a provider's error repeats of the key: clients put an error's body and its first line into exceptions, and
/// those into logs.
/// </summary>
internal static class ErrorAnswer
{
    // errors are small; what comes behind it is cut
    private const int MaxLength = 64 << 10;

    // a shorter part of a key is little more than its public prefix
    private const int ShortestTelling = 8;

    /// <summary>For a request that looks at the status alone: whatever the error's body is, nobody waits for it.</summary>
    internal static readonly HttpRequestOptionsKey<bool> NeedsNoBody = new("Mallku.NeedsNoBody");

    /// <summary>Reads the body of an error and puts a masked one in its place, and masks its head.</summary>
    internal static async ValueTask MaskAsync(HttpResponseMessage response, SecretValue key, CancellationToken cancellationToken)
    {
        // the phrase is the server's to choose, and tells nothing that the status doesn't
        response.ReasonPhrase = null;
        using var original = response.Content;
        var needsNoBody = response.RequestMessage is { } request && request.Options.TryGetValue(NeedsNoBody, out var isSo) && isSo;
        var body = needsNoBody ? [] : await ReadAsync(original, cancellationToken).ConfigureAwait(false);
        response.Content = new ByteArrayContent(Mask(body, key));
        foreach (var (name, values) in original.Headers.NonValidated)
        {
            if (!string.Equals(name, "Content-Length", StringComparison.OrdinalIgnoreCase))
            {
                response.Content.Headers.TryAddWithoutValidation(name, values.Select(value => Mask(value, key)));
            }
        }

        foreach (var (name, values) in response.Headers.NonValidated.ToList())
        {
            response.Headers.Remove(name);
            response.Headers.TryAddWithoutValidation(name, values.Select(value => Mask(value, key)));
        }
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

    private static string Mask(string text, SecretValue key) => Encoding.UTF8.GetString(Mask(Encoding.UTF8.GetBytes(text), key));

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

    // the status is what matters: of a body that is cut short, what came of it is enough
    private static async ValueTask<byte[]> ReadAsync(HttpContent content, CancellationToken cancellationToken)
    {
        var stream = await content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        var buffer = new byte[MaxLength];
        var length = 0;
        try
        {
            while (length < buffer.Length && await stream.ReadAsync(buffer.AsMemory(length), cancellationToken).ConfigureAwait(false) is > 0 and var count)
            {
                length += count;
            }
        }
        catch (IOException)
        {
        }

        return buffer[..length];
    }
}
