using System.Buffers;
using System.Text;

namespace Mallku.Secrets.Stores.Etcd;

/// <summary>Writes a message in the wire format of protocol buffers: fields of numbers, and of bytes with their length.</summary>
internal sealed class ProtobufWriter
{
    private const int Number = 0, LengthDelimited = 2;
    private readonly ArrayBufferWriter<byte> _buffer = new();

    internal ReadOnlyMemory<byte> Written => _buffer.WrittenMemory;

    internal ProtobufWriter Add(int field, long number)
    {
        Varint(((ulong)field << 3) | Number);
        Varint(unchecked((ulong)number));
        return this;
    }

    internal ProtobufWriter Add(int field, bool flag) => flag ? Add(field, 1) : this;

    internal ProtobufWriter Add(int field, string text) => Add(field, Encoding.UTF8.GetBytes(text));

    internal ProtobufWriter Add(int field, ProtobufWriter message) => Add(field, message.Written);

    internal ProtobufWriter Add(int field, ReadOnlyMemory<byte> bytes)
    {
        Varint(((ulong)field << 3) | LengthDelimited);
        Varint((ulong)bytes.Length);
        _buffer.Write(bytes.Span);
        return this;
    }

    private void Varint(ulong value)
    {
        const int longest = 10;
        var target = _buffer.GetSpan(longest);
        var length = 0;
        for (; value >= 0x80; value >>= 7)
        {
            target[length++] = (byte)((value & 0x7f) | 0x80);
        }

        target[length++] = (byte)value;
        _buffer.Advance(length);
    }
}

/// <summary>Reads a message field by field. The fields of a kind that is not asked for are passed over.</summary>
internal struct ProtobufReader(ReadOnlyMemory<byte> rest)
{
    private ReadOnlyMemory<byte> _rest = rest;

    internal int Field { get; private set; }

    /// <summary>The field's number, where it is one.</summary>
    internal long Number { get; private set; }

    /// <summary>The field's bytes, where it has such: a text, a message.</summary>
    internal ReadOnlyMemory<byte> Bytes { get; private set; }

    internal readonly string Text => Encoding.UTF8.GetString(Bytes.Span);

    /// <exception cref="GrpcException">The message is cut off, or none.</exception>
    internal bool Next()
    {
        if (_rest.IsEmpty)
        {
            return false;
        }

        var tag = Varint();
        (Field, Number, Bytes) = ((int)(tag >> 3 & int.MaxValue), 0, default);
        switch (tag & 7)
        {
            case 0:
                Number = unchecked((long)Varint());
                break;
            case 1:
                Take(sizeof(ulong));
                break;
            case 2:
                Bytes = Take(Varint());
                break;
            case 5:
                Take(sizeof(uint));
                break;
            default:
                throw Malformed();
        }

        return true;
    }

    private ReadOnlyMemory<byte> Take(ulong length)
    {
        if (length > (ulong)_rest.Length)
        {
            throw Malformed();
        }

        var taken = _rest[..(int)length];
        _rest = _rest[(int)length..];
        return taken;
    }

    private ulong Varint()
    {
        const int lastShift = 63;
        ulong value = 0;
        for (var shift = 0; shift <= lastShift; shift += 7)
        {
            var next = Take(1).Span[0];
            value |= (ulong)(next & 0x7f) << shift;
            if (next < 0x80)
            {
                return value;
            }
        }

        throw Malformed();
    }

    private static GrpcException Malformed() => new(GrpcStatus.Internal, "an answer that can't be read");
}
