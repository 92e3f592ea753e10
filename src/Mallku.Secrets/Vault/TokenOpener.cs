using System.Security.Cryptography;
using Mallku.Secrets.Crypto;
using Mallku.Secrets.Files;
using Mallku.Secrets.Keys;

namespace Mallku.Secrets.Vault;

/// <summary>Opens the folder's tokens with the keys that are there.</summary>
internal sealed class TokenOpener(KeyStore keys)
{
    /// <summary>Opens another file as a vault, with whichever of the keys fits; null where none does or there is none.</summary>
    internal VaultDocument? TryOpenWithAnyKey(string path) =>
        PrivateFile.Read(path, out _) is { } token ? TryOpen(token, All(), path) : null;

    /// <summary>Decrypts a token with whichever of the keys fits; null where none does.</summary>
    internal Memory<byte>? DecryptWithAnyKey(ReadOnlySpan<byte> token)
    {
        foreach (var key in All())
        {
            if (TryDecrypt(token, key, out var value, out _))
            {
                return value;
            }
        }

        return null;
    }

    /// <summary>The current key, those of rotations that were cut off, and the former ones.</summary>
    internal List<DataKey> All() => With(keys.ReadFormer());

    /// <summary>The same without former keys that are damaged: for who compares states, and can do without.</summary>
    internal List<DataKey> AllWhole() => With(keys.ReadWholeFormer(out _));

    private List<DataKey> With(IReadOnlyList<DataKey> former)
    {
        var all = new List<DataKey>();
        all.AddRange(keys.ReadCurrent() is { } current ? [current] : []);
        all.AddRange(keys.ReadNext().Select(next => next.Key));
        all.AddRange(former);
        return all;
    }

    /// <summary>Opens a token as a vault; null where none of these keys fits.</summary>
    /// <exception cref="VaultOpenException">It opens, and is no vault.</exception>
    internal static VaultDocument? TryOpen(ReadOnlySpan<byte> token, IReadOnlyList<DataKey> keys, string path)
    {
        foreach (var key in keys)
        {
            if (TryDecrypt(token, key, out var plaintext, out var written))
            {
                return VaultReader.Read(plaintext, written, key, path);
            }
        }

        return null;
    }

    /// <summary>Decrypts a token into an array that stays in place and is the caller's to wipe.</summary>
    internal static bool TryDecrypt(ReadOnlySpan<byte> token, DataKey key, out Memory<byte> plaintext, out DateTimeOffset written)
    {
        plaintext = default;
        var trimmed = token.Trim(" \t\r\n"u8);
        if (!Fernet.TryGetTimestamp(trimmed, out written))
        {
            return false;
        }

        var buffer = SecretValue.Allocate(Fernet.GetMaxPlaintextLength(trimmed.Length));
        if (!key.Fernet.TryDecrypt(trimmed, buffer, out var length))
        {
            CryptographicOperations.ZeroMemory(buffer);
            return false;
        }

        plaintext = buffer.AsMemory(0, length);
        return true;
    }
}
