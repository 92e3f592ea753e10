using System.Security.Cryptography;
using System.Text.Json;
using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Vault;

/// <summary>JSON as Python's <c>json</c> writes it: RFC 8259, and NaN, Infinity and -Infinity as numbers.</summary>
internal static class PythonJson
{
    /// <summary>Whether the text is one JSON value, with NaN and infinities as Python writes them.</summary>
    internal static bool IsOneValue(ReadOnlySpan<byte> text)
    {
        if (IsOneJsonValue(text))
        {
            return true;
        }

        var masked = MaskNonFiniteNumbers(text);
        var isValue = IsOneJsonValue(masked);
        CryptographicOperations.ZeroMemory(masked);
        return isValue;
    }

    private static bool IsOneJsonValue(ReadOnlySpan<byte> text)
    {
        try
        {
            var json = new Utf8JsonReader(text, new JsonReaderOptions { MaxDepth = SecretFormat.MaxDepth });
            json.Read();
            json.Skip();
            return !json.Read();
        }
        catch (JsonException)
        {
            return false;
        }
    }

    /// <summary>Numbers of the same length in the place of what Python calls NaN, Infinity and -Infinity.</summary>
    internal static byte[] MaskNonFiniteNumbers(ReadOnlySpan<byte> plaintext)
    {
        var masked = SecretValue.Allocate(plaintext.Length);
        plaintext.CopyTo(masked);
        var inString = false;
        for (var i = 0; i < masked.Length; i++)
        {
            var rest = masked.AsSpan(i);
            if (inString && rest[0] == (byte)'\\')
            {
                i++;
            }
            else if (rest[0] == (byte)'"')
            {
                inString = !inString;
            }
            else if (!inString && rest.StartsWith("NaN"u8) && !TouchesNumber(plaintext, i, "NaN".Length, allowsSign: false))
            {
                "0e0"u8.CopyTo(rest);
            }
            else if (!inString && rest.StartsWith("Infinity"u8) && !TouchesNumber(plaintext, i, "Infinity".Length, allowsSign: true))
            {
                "1e999999"u8.CopyTo(rest);
            }
        }

        return masked;
    }

    // the mask would grow together with a number beside it into one
    private static bool TouchesNumber(ReadOnlySpan<byte> text, int start, int length, bool allowsSign)
    {
        var before = start == 0 ? (byte)' ' : text[start - 1];
        var after = start + length == text.Length ? (byte)' ' : text[start + length];
        return char.IsAsciiDigit((char)before) || before == '.' || (before == '-' && !allowsSign) || char.IsAsciiDigit((char)after);
    }
}
