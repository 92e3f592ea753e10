using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using Mallku.Secrets.Crypto;

namespace Mallku.Secrets.Storage;

/// <summary>
/// A shared store's root key: 256 random bits that belong to the store and to no vault, and that its machines are handed
/// once. What seals is derived from it by RFC 5869 HKDF-SHA256, with the store's id as salt and a label for each use
/// (docs/formats/store-v1.md). Safe for concurrent use.
/// </summary>
internal sealed class StoreKey : IDisposable
{
    internal const int DerivedLength = 32;
    internal const string Prefix = "mallku1-";
    private const int IdLength = 16;
    private const int RootLength = 32;

    // mallku1-<id>-<root>, both in lower-case hexadecimal digits
    private static readonly byte[] Mark = Encoding.ASCII.GetBytes(Prefix);
    private static readonly int TextLength = Mark.Length + (2 * IdLength) + 1 + (2 * RootLength);

    private readonly byte[] _id;
    private readonly byte[] _root;

    private StoreKey(byte[] id, byte[] root)
    {
        _id = id;
        _root = root;
        StoreId = Convert.ToHexStringLower(id);
    }

    ~StoreKey() => Wipe();

    /// <summary>The store that it opens: 32 hexadecimal digits.</summary>
    internal string StoreId { get; }

    /// <summary>The key of a new store.</summary>
    internal static StoreKey Generate()
    {
        var root = SecretValue.Allocate(RootLength);
        RandomNumberGenerator.Fill(root);
        return new StoreKey(RandomNumberGenerator.GetBytes(IdLength), root);
    }

    /// <summary>Reads a key as a file or a variable holds it, with white space around it.</summary>
    /// <param name="text">The key.</param>
    /// <param name="origin">Where it is from, for the error.</param>
    /// <exception cref="VaultOpenException">It is none.</exception>
    internal static StoreKey Parse(ReadOnlySpan<byte> text, string origin)
    {
        var trimmed = text.Trim(" \t\r\n"u8);
        Span<byte> id = stackalloc byte[IdLength];
        var root = SecretValue.Allocate(RootLength);
        return trimmed.Length == TextLength
            && trimmed.StartsWith(Mark)
            && trimmed[Mark.Length + (2 * IdLength)] == (byte)'-'
            && TryDecode(trimmed[Mark.Length..], id)
            && TryDecode(trimmed[^(2 * RootLength)..], root)
            ? new StoreKey(id.ToArray(), root)
            : throw new VaultOpenException(
                $"{origin} holds no key of a shared store ({TextLength} characters that begin with '{Prefix}')",
                "put the key there that mallku store init made");
    }

    /// <summary>Whether a text is a key, such as one in the place of a path.</summary>
    internal static bool IsKey(string text) => text.AsSpan().Trim() is { } trimmed && trimmed.Length == TextLength && trimmed.StartsWith(Prefix, StringComparison.Ordinal);

    /// <summary>The key as a file or a variable holds it; to be disposed of by the caller.</summary>
    internal SecretValue ToText()
    {
        var text = SecretValue.Allocate(TextLength);
        Mark.CopyTo(text.AsSpan());
        Convert.TryToHexStringLower(_id, text.AsSpan(Mark.Length), out _);
        text[Mark.Length + (2 * IdLength)] = (byte)'-';
        Convert.TryToHexStringLower(_root, text.AsSpan(TextLength - (2 * RootLength)), out _);
        GC.KeepAlive(this);
        return SecretValue.Adopt(text);
    }

    /// <summary>A key for one use, in memory that does not move; to be wiped by the caller.</summary>
    internal byte[] Derive(ReadOnlySpan<byte> label)
    {
        var derived = SecretValue.Allocate(DerivedLength);
        HKDF.DeriveKey(HashAlgorithmName.SHA256, _root, derived, _id, label);
        GC.KeepAlive(this);
        return derived;
    }

    /// <summary>The key of the vault in which a machine without one of its own keeps its ledger: a Fernet key.</summary>
    internal SecretValue DeriveVaultKey()
    {
        var derived = Derive("mallku/v1/instance-vault"u8);
        var text = SecretValue.Allocate((int)PaddedBase64Url.GetEncodedLength(DerivedLength));
        PaddedBase64Url.Encode(derived, text);
        CryptographicOperations.ZeroMemory(derived);
        return SecretValue.Adopt(text);
    }

    public void Dispose()
    {
        Wipe();
        GC.SuppressFinalize(this);
    }

    private void Wipe() => CryptographicOperations.ZeroMemory(_root);

    private static bool TryDecode(ReadOnlySpan<byte> digits, Span<byte> bytes) =>
        Convert.FromHexString(digits[..(2 * bytes.Length)], bytes, out _, out _) == OperationStatus.Done;
}
