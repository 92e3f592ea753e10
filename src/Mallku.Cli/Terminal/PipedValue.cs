using System.Security.Cryptography;
using Mallku.Cli.Native;

namespace Mallku.Cli.Terminal;

/// <summary>A value that standard input brings.</summary>
internal static class PipedValue
{
    private const int FirstGuess = 4096;

    /// <summary>
    /// All of standard input, without the one newline that <c>echo</c> and editors put at the end; reads no further
    /// than what shows that it is longer than <paramref name="limit"/>.
    /// </summary>
    /// <returns>The bytes, pinned; the caller wipes them.</returns>
    internal static byte[] Read(int limit)
    {
        const int newline = 2, oneTooMany = 1;
        var most = limit + newline + oneTooMany;
        var buffer = SecretValue.Allocate(FirstGuess);
        var length = 0;
        while (Descriptor.Read(Descriptor.Input, buffer.AsSpan(length)) is var count and > 0)
        {
            length += count;
            if (length == buffer.Length)
            {
                if (length == most)
                {
                    break;
                }

                buffer = Move(buffer, length, Math.Min(2 * length, most));
            }
        }

        return Move(buffer, WithoutNewline(buffer.AsSpan(0, length)), null);
    }

    private static int WithoutNewline(ReadOnlySpan<byte> bytes)
    {
        if (bytes.EndsWith("\r\n"u8))
        {
            return bytes.Length - 2;
        }

        return bytes.EndsWith("\n"u8) ? bytes.Length - 1 : bytes.Length;
    }

    private static byte[] Move(byte[] from, int length, int? capacity)
    {
        var to = SecretValue.Allocate(capacity ?? length);
        from.AsSpan(0, length).CopyTo(to);
        CryptographicOperations.ZeroMemory(from);
        return to;
    }
}
