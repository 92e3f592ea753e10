using System.Security.Cryptography;

namespace Mallku.Cli.Terminal;

/// <summary>Reads all of something into memory that stays in place, and wipes what it grows out of.</summary>
internal static class WipedInput
{
    private const int FirstGuess = 4096;

    /// <summary>Reads what <paramref name="read"/> brings until it brings nothing, and no further than to one byte above the limit.</summary>
    /// <returns>The bytes, pinned; the caller wipes them. They are more than the limit where there was more.</returns>
    internal static byte[] ReadToEnd(Func<Memory<byte>, int> read, int limit)
    {
        var most = limit + 1;
        var buffer = SecretValue.Allocate(Math.Min(FirstGuess, most));
        var length = 0;
        while (read(buffer.AsMemory(length)) is var count and > 0)
        {
            length += count;
            if (length == most)
            {
                break;
            }

            if (length == buffer.Length)
            {
                buffer = Move(buffer, length, (int)Math.Min(2L * length, most));
            }
        }

        return Move(buffer, length, length);
    }

    /// <summary>The first bytes in an array of their own; the former one is wiped.</summary>
    internal static byte[] Move(byte[] from, int length, int capacity)
    {
        var to = SecretValue.Allocate(capacity);
        from.AsSpan(0, length).CopyTo(to);
        CryptographicOperations.ZeroMemory(from);
        return to;
    }
}
