using System.Text.Json;
using Mallku.Secrets.Crypto;

namespace Mallku.Secrets.Models;

/// <summary>A record's JSON in the clear, in memory that stays in place and is wiped.</summary>
internal sealed class PlainObject(int capacity) : IDisposable
{
    private byte[] _bytes = ScratchMemory.Rent(capacity);
    private int _length;

    internal void Add(JsonEncodedText name, ReadOnlySpan<byte> json)
    {
        AddName(name);
        Append(json);
    }

    /// <summary>Decrypts a member into its place; false, and nothing is added, where it is not encrypted.</summary>
    internal bool TryAddEncrypted(JsonEncodedText name, DocumentSeal seal, string stored, JsonElement value)
    {
        var start = _length;
        AddName(name);
        if (seal.TryDecrypt(stored, value, _bytes.AsSpan(_length), out var length))
        {
            _length += length;
            return true;
        }

        _length = start;
        return false;
    }

    internal ReadOnlySpan<byte> Finish()
    {
        Append(_length == 0 ? "{}"u8 : "}"u8);
        return _bytes.AsSpan(0, _length);
    }

    public void Dispose()
    {
        // all of it: decrypting may have written beyond the end, where it failed
        ScratchMemory.Return(_bytes, _bytes.Length);
        (_bytes, _length) = ([], 0);
    }

    private void AddName(JsonEncodedText name)
    {
        Append(_length == 0 ? "{\""u8 : ",\""u8);
        Append(name.EncodedUtf8Bytes);
        Append("\":"u8);
    }

    private void Append(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(_bytes.AsSpan(_length));
        _length += bytes.Length;
    }
}
