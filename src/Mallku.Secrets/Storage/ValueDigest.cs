using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;

namespace Mallku.Secrets.Storage;

/// <summary>
/// By which a value is known again that is kept no more: HMAC-SHA256 of its text, under a random key that lies beside it. Two
/// digests of one value have nothing in common. Immutable.
/// </summary>
internal sealed class ValueDigest
{
    private const int KeyLength = 32;

    // the key, then the code
    private readonly byte[] _bytes;

    private ValueDigest(byte[] bytes) => _bytes = bytes;

    /// <summary>As it is written: hexadecimal digits.</summary>
    internal string Text => Convert.ToHexStringLower(_bytes);

    /// <summary>A new digest of a value.</summary>
    /// <param name="token">The value as JSON.</param>
    internal static ValueDigest Of(ReadOnlyMemory<byte> token)
    {
        var bytes = new byte[KeyLength + HMACSHA256.HashSizeInBytes];
        RandomNumberGenerator.Fill(bytes.AsSpan(0, KeyLength));
        Compute(bytes.AsSpan(0, KeyLength), token.Span, bytes.AsSpan(KeyLength));
        return new ValueDigest(bytes);
    }

    internal static bool TryParse(string text, [NotNullWhen(true)] out ValueDigest? digest)
    {
        var isOne = text.Length == 2 * (KeyLength + HMACSHA256.HashSizeInBytes) && text.All(char.IsAsciiHexDigitLower);
        digest = isOne ? new ValueDigest(Convert.FromHexString(text)) : null;
        return isOne;
    }

    /// <summary>Whether that is the value, in a time that depends on its length alone.</summary>
    /// <param name="token">The value as JSON.</param>
    internal bool IsOf(ReadOnlyMemory<byte> token)
    {
        Span<byte> code = stackalloc byte[HMACSHA256.HashSizeInBytes];
        Compute(_bytes.AsSpan(0, KeyLength), token.Span, code);
        return CryptographicOperations.FixedTimeEquals(code, _bytes.AsSpan(KeyLength));
    }

    // what a provider is shown, however the value is written
    private static void Compute(ReadOnlySpan<byte> key, ReadOnlySpan<byte> token, Span<byte> code)
    {
        if (!JsonToken.TryDecode(token, borrowed: false, out var value))
        {
            HMACSHA256.HashData(key, token, code);
            return;
        }

        using (value)
        {
            HMACSHA256.HashData(key, value.Bytes, code);
        }
    }
}
