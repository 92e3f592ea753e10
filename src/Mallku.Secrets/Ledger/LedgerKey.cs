using System.Globalization;
using System.Security.Cryptography;
using Mallku.Secrets.Crypto;
using NSec.Cryptography;

namespace Mallku.Secrets.Ledger;

/// <summary>The key that signs a ledger's checkpoints, Ed25519. Its seed lies in the encrypted vault. Safe for concurrent use.</summary>
internal sealed class LedgerKey : IDisposable
{
    internal const int SeedTextLength = 44;
    private const int SeedLength = 32;
    private const string OriginPrefix = "mallku-ledger/";
    private readonly Key _key;

    private LedgerKey(string origin, Key key)
    {
        Origin = origin;
        _key = key;
        Verifier = new NoteVerifier(origin, key.PublicKey);
    }

    /// <summary>The ledger's name, which nothing else has.</summary>
    internal string Origin { get; }

    internal NoteVerifier Verifier { get; }

    /// <summary>A key and a name for a new ledger.</summary>
    internal static LedgerKey Generate()
    {
        SignedNote.RequireLibrary();
        var id = string.Create(CultureInfo.InvariantCulture, $"{OriginPrefix}{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16))}");
        return new LedgerKey(id, Key.Create(SignatureAlgorithm.Ed25519, new KeyCreationParameters { ExportPolicy = KeyExportPolicies.AllowPlaintextExport }));
    }

    /// <summary>The key from its seed as <see cref="ExportSeed"/> writes it; null where it is none.</summary>
    internal static LedgerKey? TryImport(string origin, ReadOnlySpan<byte> seedText)
    {
        SignedNote.RequireLibrary();
        // a decoder needs room for the whole last group
        Span<byte> seed = stackalloc byte[SeedLength + 1];
        try
        {
            return seedText.Length == SeedTextLength
                && PaddedBase64Url.TryDecode(seedText, seed, out var length)
                && SignedNote.IsKeyName(origin)
                && Key.TryImport(SignatureAlgorithm.Ed25519, seed[..length], KeyBlobFormat.RawPrivateKey, out var key, new KeyCreationParameters { ExportPolicy = KeyExportPolicies.AllowPlaintextExport })
                ? new LedgerKey(origin, key!)
                : null;
        }
        finally
        {
            CryptographicOperations.ZeroMemory(seed);
        }
    }

    /// <summary>The seed in url-safe base64 with padding, in an array that stays in place and is the caller's to wipe.</summary>
    internal byte[] ExportSeed()
    {
        var seed = _key.Export(KeyBlobFormat.RawPrivateKey);
        var text = SecretValue.Allocate(SeedTextLength);
        PaddedBase64Url.Encode(seed, text);
        CryptographicOperations.ZeroMemory(seed);
        return text;
    }

    internal string Sign(Checkpoint checkpoint) => SignedNote.Sign(checkpoint.ToText(), Verifier, _key);

    public void Dispose() => _key.Dispose();
}
