using System.Buffers.Binary;
using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using CsCheck;
using Mallku.Secrets.Crypto;

namespace Mallku.Secrets.Tests.Crypto;

/// <summary>Keys, plaintexts and tokens for the tests of <see cref="Fernet"/>.</summary>
internal static class FernetSamples
{
    public const string Key = "bWFsbGt1LXNlY3JldHMtc2lnbi1lbmNyeXB0LWtleTE=";
    public const string OtherKey = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";

    // up to this many bytes of ciphertext are decrypted in place; more are split before the last block
    private const int Threshold = 65536;

    /// <summary>Lengths of plaintexts: every small one, those around the threshold, and any other.</summary>
    public static Gen<int> Lengths { get; } = Gen.Frequency(
        (4, Gen.Int[0, 100]), (2, Gen.Int[400, 520]), (3, Gen.Int[Threshold - 40, Threshold + 40]), (2, Gen.Int[0, 70_000]));

    /// <summary>A length and a seed: it shrinks better than the bytes themselves.</summary>
    public static Gen<byte[]> Plaintexts { get; } = Lengths.Select(Gen.Int, Bytes);

    public static Gen<byte[]> SmallPlaintexts { get; } = Gen.Int[0, 100].Select(Gen.Int, Bytes);

    public static Fernet Open(params string[] keys) => Open(TimeProvider.System, keys);

    public static Fernet Open(TimeProvider clock, params string[] keys)
    {
        SecretValue[] values = [.. keys.Select(SecretValue.FromString)];
        var fernet = new Fernet(clock, values);
        Array.ForEach(values, value => value.Dispose());
        return fernet;
    }

    public static byte[] EncryptAt(this Fernet fernet, ReadOnlySpan<byte> plaintext, long time)
    {
        var token = new byte[Fernet.GetTokenLength(plaintext.Length)];
        fernet.Encrypt(plaintext, token, time, iv: default);
        return token;
    }

    public static byte[] Payload(byte[] token) => Convert.FromBase64String(Encoding.ASCII.GetString(token).Replace('-', '+').Replace('_', '/'));

    public static byte[] Token(byte[] payload) =>
        Encoding.ASCII.GetBytes(Convert.ToBase64String(payload).Replace('+', '-').Replace('/', '_'));

    /// <summary>A token with a right MAC around whatever is in it, made without the code under test.</summary>
    public static byte[] Sign(byte version, ulong time, byte[] ciphertext)
    {
        var payload = new byte[25 + ciphertext.Length + 32];
        payload[0] = version;
        BinaryPrimitives.WriteUInt64BigEndian(payload.AsSpan(1), time);
        ciphertext.CopyTo(payload, 25);
        HMACSHA256.HashData(Base64Url.DecodeFromChars(Key).AsSpan(..16), payload.AsSpan(..^32), payload.AsSpan(^32..));
        return Token(payload);
    }

    /// <summary>Ciphertext under <see cref="Key"/> and an IV of zeros, of whole blocks that say for themselves how they are padded.</summary>
    public static byte[] EncryptBlocks(byte[] blocks)
    {
        using var aes = Aes.Create();
        aes.Key = Base64Url.DecodeFromChars(Key)[16..];
        return aes.EncryptCbc(blocks, new byte[16], PaddingMode.None);
    }

    public static byte[] Bytes(int length, int seed)
    {
        var bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }
}
