using System.Security.Cryptography;
using System.Text;
using Mallku.Secrets.Crypto;
using Mallku.Secrets.Keys;
using NSec.Cryptography;

namespace Mallku.Secrets.Ledger;

/// <summary>
/// The key that signs a ledger's checkpoints, Ed25519. Its seed lies in the encrypted vault. Safe for concurrent use, but
/// for <see cref="Dispose"/>, which wipes it.
/// </summary>
internal sealed class LedgerKey : IDisposable
{
    internal const int SeedTextLength = 44;
    private const int SeedLength = 32;
    private const string OriginPrefix = "mallku-ledger/";

    // The native key is made anew by whoever signs: each one alive costs the process four of the 65,530 mappings that it may
    // have, and a program may make any number of managers.
    private readonly byte[] _seed;
    private NamePseudonyms? _pseudonyms;

    private LedgerKey(string origin, ReadOnlySpan<byte> seed)
    {
        Origin = origin;
        _seed = SecretValue.Allocate(SeedLength);
        seed.CopyTo(_seed);
        using var key = Key.Import(SignatureAlgorithm.Ed25519, _seed, KeyBlobFormat.RawPrivateKey);
        Verifier = new NoteVerifier(origin, key.PublicKey);
    }

    /// <summary>The ledger's name, which nothing else has.</summary>
    internal string Origin { get; }

    internal NoteVerifier Verifier { get; }

    /// <summary>What stands for the secrets' names in this ledger; derived when it is first asked for.</summary>
    internal NamePseudonyms Pseudonyms => LazyInitializer.EnsureInitialized(ref _pseudonyms, DerivePseudonyms)!;

    /// <summary>A key and a name for a new ledger of the vault in a folder, which the name is marked for.</summary>
    internal static LedgerKey Generate(DataKey vaultKey, string folder)
    {
        SignedNote.RequireLibrary();
        Span<byte> seed = stackalloc byte[SeedLength];
        RandomNumberGenerator.Fill(seed);
        var id = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8));
        var key = new LedgerKey(OriginPrefix + id + vaultKey.DeriveLedgerMark(id, folder), seed);
        CryptographicOperations.ZeroMemory(seed);
        return key;
    }

    /// <summary>Whether a ledger of this name was begun for the vault in that folder, under one of these keys.</summary>
    internal static bool IsOf(string origin, IEnumerable<DataKey> vaultKeys, string folder)
    {
        const int idLength = 16;
        return origin.Length == OriginPrefix.Length + (2 * idLength)
            && vaultKeys.Any(key => CryptographicOperations.FixedTimeEquals(
                Encoding.ASCII.GetBytes(origin[(OriginPrefix.Length + idLength)..]),
                Encoding.ASCII.GetBytes(key.DeriveLedgerMark(origin.Substring(OriginPrefix.Length, idLength), folder))));
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
                && length == SeedLength
                && SignedNote.IsKeyName(origin)
                ? new LedgerKey(origin, seed[..length])
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
        var text = SecretValue.Allocate(SeedTextLength);
        PaddedBase64Url.Encode(_seed, text);
        return text;
    }

    /// <param name="checkpoint">What is signed.</param>
    /// <param name="native">From <see cref="ToNative"/>.</param>
    internal string Sign(Checkpoint checkpoint, Key native) => SignedNote.Sign(checkpoint.ToText(), Verifier, native);

    /// <summary>The key by which the platform's library signs, to be disposed by the caller.</summary>
    internal Key ToNative()
    {
        var key = Key.Import(SignatureAlgorithm.Ed25519, _seed, KeyBlobFormat.RawPrivateKey);
        // or the finalizer could wipe what is being imported
        GC.KeepAlive(this);
        return key;
    }

    ~LedgerKey() => CryptographicOperations.ZeroMemory(_seed);

    public void Dispose()
    {
        CryptographicOperations.ZeroMemory(_seed);
        GC.SuppressFinalize(this);
    }

    private NamePseudonyms DerivePseudonyms()
    {
        var pseudonyms = new NamePseudonyms(_seed);
        GC.KeepAlive(this);
        return pseudonyms;
    }
}
