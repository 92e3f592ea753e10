using System.Security.Cryptography;
using System.Text;

namespace Mallku.Secrets.Ledger;

/// <summary>
/// What stands in a ledger in the place of a secret's name, so that only who has the ledger's key can tell which secret it
/// is: RFC 2104 HMAC-SHA256 of the name, cut to 128 bits, under a key derived by RFC 5869 HKDF-SHA256 from the ledger's
/// seed (docs/formats/ledger-v1.md). Safe for concurrent use.
/// </summary>
internal sealed class NamePseudonyms
{
    // no name begins with it
    private const char Mark = '~';
    private const int KeptBytes = 16;
    private static readonly byte[] Label = Encoding.ASCII.GetBytes("mallku/v1/ledger-name-pseudonym");
    private readonly byte[] _key = SecretValue.Allocate(HMACSHA256.HashSizeInBytes);

    private NamePseudonyms()
    {
    }

    internal NamePseudonyms(ReadOnlySpan<byte> seed) => HKDF.DeriveKey(HashAlgorithmName.SHA256, seed, _key, salt: default, Label);

    ~NamePseudonyms() => CryptographicOperations.ZeroMemory(_key);

    /// <summary>Those of another ledger, by what <see cref="ExportKey"/> gave there; null for anything else.</summary>
    internal static NamePseudonyms? TryImportKey(ReadOnlySpan<byte> key)
    {
        var pseudonyms = new NamePseudonyms();
        return key.TryCopyTo(pseudonyms._key) && key.Length == pseudonyms._key.Length ? pseudonyms : null;
    }

    /// <summary>By what somebody else can tell which of the names that he knows a pseudonym is; to be wiped by the caller.</summary>
    internal byte[] ExportKey()
    {
        var key = SecretValue.Allocate(_key.Length);
        _key.CopyTo(key, 0);
        GC.KeepAlive(this);
        return key;
    }

    internal string Of(string name)
    {
        Span<byte> mac = stackalloc byte[HMACSHA256.HashSizeInBytes];
        HMACSHA256.HashData(_key, Encoding.UTF8.GetBytes(name), mac);
        GC.KeepAlive(this);
        return Mark + Convert.ToHexStringLower(mac[..KeptBytes]);
    }

    internal static bool IsPseudonym(string text) =>
        text.Length == 1 + (2 * KeptBytes) && text[0] == Mark && text.Skip(1).All(char.IsAsciiHexDigitLower);

    /// <summary>Whether an event's name is not to be in clear: the vault says so, or it may be a value.</summary>
    internal static bool IsHidden(LedgerEvent happened, bool everyName) =>
        happened.Secret is { } name && (everyName || (happened.Kind is LedgerKind.Missing or LedgerKind.Denied && SecretName.MayBeValue(name)));
}
