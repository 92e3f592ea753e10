using System.Security.Cryptography;
using System.Text.Json;

namespace Mallku.Secrets.Models;

/// <summary>A record's JSON in the clear, in memory that stays in place and is wiped.</summary>
internal sealed class PlainObject(int capacity) : IDisposable
{
    private readonly byte[] _bytes = SecretValue.Allocate(capacity);
    private int _length;

    internal void Add(JsonEncodedText name, ReadOnlySpan<byte> json)
    {
        Append(_length == 0 ? "{\""u8 : ",\""u8);
        Append(name.EncodedUtf8Bytes);
        Append("\":"u8);
        Append(json);
    }

    /// <summary>The same, and wipes what was added.</summary>
    internal void AddSecret(JsonEncodedText name, byte[] json)
    {
        Add(name, json);
        CryptographicOperations.ZeroMemory(json);
    }

    internal ReadOnlySpan<byte> Finish()
    {
        Append(_length == 0 ? "{}"u8 : "}"u8);
        return _bytes.AsSpan(0, _length);
    }

    public void Dispose() => CryptographicOperations.ZeroMemory(_bytes);

    private void Append(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(_bytes.AsSpan(_length));
        _length += bytes.Length;
    }
}
