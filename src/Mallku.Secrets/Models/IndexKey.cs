using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Mallku.Secrets.Models;

/// <summary>
/// What is derived from a deployment's index key, by RFC 2104 HMAC-SHA256 under it: the fields' UUIDs, the hashes in indexes,
/// and by how much times are shifted. It stays when data keys rotate. Safe for concurrent use.
/// </summary>
internal sealed class IndexKey
{
    internal const int Length = 32;
    private const int KeptBytes = 16;
    private static readonly long LargestOffset = TimeSpan.FromDays(3650).Ticks;
    private readonly byte[] _key = SecretValue.Allocate(Length);

    /// <summary>From <see cref="Length"/> bytes, which are copied.</summary>
    internal IndexKey(ReadOnlySpan<byte> key)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(key.Length, Length, nameof(key));
        key.CopyTo(_key);
        var number = BinaryPrimitives.ReadUInt128BigEndian(Derive(LengthPrefixed.Of("mallku/v1/time-offset")));
        TimeOffset = (long)(number % (UInt128)((2 * LargestOffset) + 1)) - LargestOffset;
    }

    ~IndexKey() => CryptographicOperations.ZeroMemory(_key);

    /// <summary>What is added to a time that is hidden, in ticks of 100 ns: up to ten years forward or back.</summary>
    internal long TimeOffset { get; }

    /// <summary>A UUID of version 8 (RFC 9562).</summary>
    internal Guid FieldId(string model, string field)
    {
        var id = Derive(LengthPrefixed.Of("mallku/v1/field-uuid", model, field));
        id[6] = (byte)((id[6] & 0x0F) | 0x80);
        id[8] = (byte)((id[8] & 0x3F) | 0x80);
        return new Guid(id, bigEndian: true);
    }

    /// <summary>A keyed hash, 32 hexadecimal digits.</summary>
    internal string Hash(params ReadOnlySpan<string> parts) => Convert.ToHexStringLower(Derive(LengthPrefixed.Of(parts)));

    private byte[] Derive(LengthPrefixed data)
    {
        var mac = HMACSHA256.HashData(_key, data.Bytes);
        GC.KeepAlive(this);
        return mac[..KeptBytes];
    }
}
