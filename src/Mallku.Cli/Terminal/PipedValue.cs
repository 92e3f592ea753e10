using Mallku.Cli.Native;

namespace Mallku.Cli.Terminal;

/// <summary>A value that standard input brings.</summary>
internal static class PipedValue
{
    /// <summary>
    /// All of standard input, without the one newline that <c>echo</c> and editors put at the end; reads no further
    /// than what shows that it is longer than <paramref name="limit"/>.
    /// </summary>
    /// <returns>The bytes, pinned; the caller wipes them.</returns>
    internal static byte[] Read(int limit)
    {
        const int newline = 2;
        var bytes = WipedInput.ReadToEnd(static buffer => Descriptor.Read(Descriptor.Input, buffer.Span), limit + newline);
        var length = WithoutNewline(bytes);
        return length == bytes.Length ? bytes : WipedInput.Move(bytes, length, length);
    }

    private static int WithoutNewline(ReadOnlySpan<byte> bytes)
    {
        if (bytes.EndsWith("\r\n"u8))
        {
            return bytes.Length - 2;
        }

        return bytes.EndsWith("\n"u8) ? bytes.Length - 1 : bytes.Length;
    }
}
