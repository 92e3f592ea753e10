using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Unicode;

namespace Mallku.Secrets.Storage;

/// <summary>
/// A JSON value as it stands in the file, byte by byte, so that what another program wrote, a number of any length or
/// a <c>NaN</c>, is written back as it was.
/// </summary>
internal static class JsonToken
{
    /// <inheritdoc cref="Encode(ReadOnlySpan{byte})"/>
    internal static byte[] Encode(SecretValue value)
    {
        var token = Encode(value.Bytes);
        GC.KeepAlive(value);
        return token;
    }

    /// <summary>The token of a string, as UTF-8 with only those escapes that RFC 8259 demands.</summary>
    internal static byte[] Encode(ReadOnlySpan<byte> text)
    {
        var token = SecretValue.Allocate(EncodedLength(text));
        Encode(text, token);
        return token;
    }

    /// <summary>How long the token of a string is.</summary>
    internal static int EncodedLength(ReadOnlySpan<byte> text)
    {
        var length = 2;
        foreach (var b in text)
        {
            length += b is (byte)'"' or (byte)'\\' ? 2 : b < 0x20 ? 6 : 1;
        }

        return length;
    }

    /// <summary>Writes it into a place of just that length.</summary>
    internal static void Encode(ReadOnlySpan<byte> text, Span<byte> token)
    {
        const string hexadecimal = "0123456789abcdef";
        var at = 0;
        token[at++] = (byte)'"';
        foreach (var b in text)
        {
            if (b < 0x20)
            {
                "\\u00"u8.CopyTo(token[at..]);
                token[at + 4] = (byte)hexadecimal[b >> 4];
                token[at + 5] = (byte)hexadecimal[b & 15];
                at += 6;
            }
            else
            {
                if (b is (byte)'"' or (byte)'\\')
                {
                    token[at++] = (byte)'\\';
                }

                token[at++] = b;
            }
        }

        token[at] = (byte)'"';
    }

    /// <summary>
    /// The text of a string, or the JSON of any other value. False for a string that is no text, such as half of a
    /// surrogate pair.
    /// </summary>
    internal static bool TryDecode(ReadOnlySpan<byte> token, bool borrowed, [NotNullWhen(true)] out SecretValue? value)
    {
        value = null;
        if (!token.StartsWith((byte)'"'))
        {
            if (!Utf8.IsValid(token))
            {
                return false;
            }

            var json = SecretValue.Allocate(token.Length);
            token.CopyTo(json);
            value = SecretValue.Adopt(json, borrowed);
            return true;
        }

        var text = DecodeString(token);
        value = text is null ? null : SecretValue.Adopt(text, borrowed);
        return value is not null;
    }

    /// <summary>Whether both stand for the same value, however they are written.</summary>
    internal static bool AreSame(ReadOnlyMemory<byte> one, ReadOnlyMemory<byte> other)
    {
        if (one.Span.SequenceEqual(other.Span))
        {
            return true;
        }

        if (one.Span.StartsWith((byte)'"') || other.Span.StartsWith((byte)'"'))
        {
            return AreSameText(DecodeString(one.Span), DecodeString(other.Span));
        }

        try
        {
            var options = new JsonDocumentOptions { MaxDepth = SecretFormat.MaxDepth };
            using var oneDocument = JsonDocument.Parse(one, options);
            using var otherDocument = JsonDocument.Parse(other, options);
            return JsonElement.DeepEquals(oneDocument.RootElement, otherDocument.RootElement);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or ArgumentOutOfRangeException)
        {
            // NaN, an exponent of ten digits, and the like: not the same bytes, so not known to be the same value
            return false;
        }
    }

    private static bool AreSameText(byte[]? one, byte[]? other)
    {
        var same = one is not null && other is not null && CryptographicOperations.FixedTimeEquals(one, other);
        CryptographicOperations.ZeroMemory(one);
        CryptographicOperations.ZeroMemory(other);
        return same;
    }

    private static byte[]? DecodeString(ReadOnlySpan<byte> token)
    {
        var buffer = SecretValue.Allocate(token.Length);
        try
        {
            var reader = new Utf8JsonReader(token);
            if (!reader.Read() || reader.TokenType != JsonTokenType.String)
            {
                return null;
            }

            var length = reader.CopyString(buffer);
            var text = SecretValue.Allocate(length);
            buffer.AsSpan(0, length).CopyTo(text);
            return text;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return null;
        }
        finally
        {
            CryptographicOperations.ZeroMemory(buffer);
        }
    }
}
