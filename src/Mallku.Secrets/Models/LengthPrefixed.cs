using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Mallku.Secrets.Models;

/// <summary>Parts, each behind its length in 4 bytes, big-endian: no other list of parts gives the same bytes.</summary>
internal sealed class LengthPrefixed
{
    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);
    private readonly ArrayBufferWriter<byte> _bytes = new();

    internal ReadOnlySpan<byte> Bytes => _bytes.WrittenSpan;

    /// <exception cref="ArgumentException">A text has half of a surrogate pair.</exception>
    internal static LengthPrefixed Of(params ReadOnlySpan<string> parts)
    {
        var result = new LengthPrefixed();
        foreach (var part in parts)
        {
            result.Add(part);
        }

        return result;
    }

    internal LengthPrefixed Add(string part) => Add(Utf8.GetBytes(part));

    internal LengthPrefixed Add(ReadOnlySpan<byte> part)
    {
        BinaryPrimitives.WriteInt32BigEndian(_bytes.GetSpan(sizeof(int)), part.Length);
        _bytes.Advance(sizeof(int));
        _bytes.Write(part);
        return this;
    }
}
