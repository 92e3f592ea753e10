using System.Buffers.Text;
using System.Text;
using Mallku.Secrets.Crypto;

namespace Mallku.Secrets.Storage;

/// <summary>
/// Writes the vault's JSON into a growing buffer that stays in place and is wiped. The platform's writer escapes in
/// rented arrays that it leaves as they are, and can't write a name that is no text.
/// </summary>
internal sealed class PlaintextWriter(int capacity) : IDisposable
{
    private byte[] _bytes = ScratchMemory.Rent(capacity);
    private int _length;

    internal ReadOnlySpan<byte> Written => _bytes.AsSpan(0, _length);

    /// <summary>The same, until it is written on or disposed of.</summary>
    internal ReadOnlyMemory<byte> WrittenMemory => _bytes.AsMemory(0, _length);

    internal void Raw(ReadOnlySpan<byte> json)
    {
        json.CopyTo(Reserve(json.Length));
        _length += json.Length;
    }

    /// <summary>A comma, unless this is the first thing in its object or array.</summary>
    internal void Separate()
    {
        if (_length > 0 && _bytes[_length - 1] is not ((byte)'{' or (byte)'['))
        {
            Raw(","u8);
        }
    }

    internal void Name(ReadOnlySpan<byte> plainName)
    {
        Separate();
        Raw("\""u8);
        Raw(plainName);
        Raw("\":"u8);
    }

    internal void Name(string name)
    {
        Separate();
        Text(name);
        Raw(":"u8);
    }

    internal void Text(string text)
    {
        var utf8 = Encoding.UTF8.GetBytes(text);
        var length = JsonToken.EncodedLength(utf8);
        JsonToken.Encode(utf8, Reserve(length)[..length]);
        _length += length;
    }

    internal void Number(long number)
    {
        Utf8Formatter.TryFormat(number, Reserve(20), out var written);
        _length += written;
    }

    public void Dispose()
    {
        ScratchMemory.Return(_bytes, _length);
        (_bytes, _length) = ([], 0);
    }

    private Span<byte> Reserve(int count)
    {
        var needed = _length + count;
        if (needed > _bytes.Length)
        {
            var larger = ScratchMemory.Rent((int)Math.Min(Math.Max(needed, 2L * _bytes.Length), Array.MaxLength));
            Written.CopyTo(larger);
            ScratchMemory.Return(_bytes, _length);
            _bytes = larger;
        }

        return _bytes.AsSpan(_length);
    }
}
