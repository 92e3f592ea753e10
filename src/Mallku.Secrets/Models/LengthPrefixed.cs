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

    /// <exception cref="ArgumentException">It has half of a surrogate pair.</exception>
    internal LengthPrefixed Add(string part)
    {
        var length = Utf8.GetByteCount(part);
        AddLength(length);
        _bytes.Advance(Utf8.GetBytes(part, _bytes.GetSpan(length)));
        return this;
    }

    internal LengthPrefixed Add(ReadOnlySpan<byte> part)
    {
        AddLength(part.Length);
        _bytes.Write(part);
        return this;
    }

    private void AddLength(int length)
    {
        BinaryPrimitives.WriteInt32BigEndian(_bytes.GetSpan(sizeof(int)), length);
        _bytes.Advance(sizeof(int));
    }
}
