using System.Security.Cryptography;
using System.Text;
using Mallku.Secrets.Crypto;

namespace Mallku.Secrets.Keys;

/// <summary>The key that a vault's values are encrypted under: a Fernet key, and what is derived from it.</summary>
internal sealed class DataKey
{
    private const int Length = 32;
    private static readonly byte[] ExternalVersionLabel = Encoding.ASCII.GetBytes("mallku/v1/external-version-id");
    private static readonly byte[] LedgerMarkLabel = Encoding.ASCII.GetBytes("mallku/v1/ledger-mark");
    private readonly SecretValue _text;

    private DataKey(SecretValue text, TimeProvider clock)
    {
        _text = text;
        Fernet = new Fernet(clock, text);
    }

    internal Fernet Fernet { get; }

    /// <summary>The 44 characters, as the key file holds them.</summary>
    internal SecretValue Text => _text;

    internal static DataKey Generate(TimeProvider clock) => new(Fernet.GenerateKey(), clock);

    /// <summary>Reads a key as a file or a variable holds it: 44 characters, with white space around them.</summary>
    /// <exception cref="VaultOpenException">It is no Fernet key.</exception>
    internal static DataKey Parse(ReadOnlySpan<byte> text, string origin, TimeProvider clock)
    {
        var trimmed = text.Trim(" \t\r\n"u8);
        if (trimmed.StartsWith("{"u8))
        {
            throw new VaultOpenException($"the key in {origin} is sealed, and this version opens plain keys only", "use a newer mallku");
        }

        return Fernet.IsKey(trimmed)
            ? new DataKey(SecretValue.FromUtf8(trimmed), clock)
            : throw new VaultOpenException(
                $"{origin} holds no key ({Fernet.KeyLength} characters of url-safe base64)", "put the right key there");
    }

    /// <summary>
    /// The id of a version that another program wrote: RFC 2104 HMAC-SHA256 under a key derived by RFC 5869 HKDF from
    /// the data key, so that every reader finds the same id and nobody without the key can guess the value by it.
    /// </summary>
    internal string DeriveExternalVersionId(string name, int number, ReadOnlySpan<byte> value)
    {
        Span<byte> numberBytes = stackalloc byte[sizeof(int)];
        System.Buffers.Binary.BinaryPrimitives.WriteInt32BigEndian(numberBytes, number);
        using var mac = BeginMac(ExternalVersionLabel);
        mac.AppendData(Encoding.UTF8.GetBytes(name));
        mac.AppendData([0]);
        mac.AppendData(numberBytes);
        mac.AppendData(value);
        return Convert.ToHexStringLower(mac.GetHashAndReset().AsSpan(0, 16));
    }

    /// <summary>
    /// What marks a ledger as begun for the vault in a folder, by the same functions: only who has the vault's key can make
    /// it or recognize it.
    /// </summary>
    /// <param name="id">What the ledger is told from others by.</param>
    /// <param name="folder">The vault's folder.</param>
    internal string DeriveLedgerMark(string id, string folder)
    {
        using var mac = BeginMac(LedgerMarkLabel);
        mac.AppendData(Encoding.UTF8.GetBytes(id));
        mac.AppendData([0]);
        mac.AppendData(Encoding.UTF8.GetBytes(folder));
        return Convert.ToHexStringLower(mac.GetHashAndReset().AsSpan(0, 8));
    }

    private IncrementalHash BeginMac(byte[] label)
    {
        Span<byte> dataKey = stackalloc byte[Length + 1], macKey = stackalloc byte[Length];
        PaddedBase64Url.TryDecode(_text.Bytes, dataKey, out _);
        GC.KeepAlive(_text);
        HKDF.DeriveKey(HashAlgorithmName.SHA256, dataKey[..Length], macKey, salt: default, label);
        var mac = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, macKey);
        CryptographicOperations.ZeroMemory(dataKey);
        CryptographicOperations.ZeroMemory(macKey);
        return mac;
    }
}
