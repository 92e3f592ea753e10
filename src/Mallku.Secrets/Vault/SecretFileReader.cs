using System.Security.Cryptography;
using Mallku.Secrets.Crypto;
using Mallku.Secrets.Files;
using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Vault;

/// <summary>Reads the <c>NAME.secret</c> files of a folder into what its vault holds.</summary>
internal sealed class SecretFileReader(string directory, TokenOpener tokens)
{
    internal const string Suffix = ".secret";

    internal bool HasAny() => Directory.EnumerateFiles(directory, "*" + Suffix).Any();

    /// <summary>
    /// Adds the files' values to the document, whose current ones they become. A file that does not open is told beside
    /// what opens: it is worth a second look.
    /// </summary>
    internal (OpenedVault Opened, VaultOpenException? Failure) AddTo(OpenedVault opened, DateTimeOffset now)
    {
        List<SecretFile>? files = null;
        VaultOpenException? failure = null;
        foreach (var path in Directory.EnumerateFiles(directory, "*" + Suffix))
        {
            var name = Path.GetFileName(path)[..^Suffix.Length];
            if (name.Length > 0 && opened.Watch.Note(path, now) is { } facts)
            {
                var error = Add(opened, name, path, out var isTakenIn);
                failure ??= error;
                (files ??= []).Add(new SecretFile(name, path, facts, isTakenIn, error));
            }
        }

        return files is null ? (opened, null) : (opened.With(files), failure);
    }

    /// <summary>Brings files that a former key alone opens under the current one, and returns their names.</summary>
    /// <exception cref="SecretsException">One could not be written.</exception>
    internal IReadOnlyList<string> TakeOver(OpenedVault opened)
    {
        var names = new List<string>();
        foreach (var file in opened.SecretFiles)
        {
            if (file.Error is not null && PrivateFile.Read(file.Path, out _) is { } token && tokens.DecryptWithAnyKey(token) is { } value)
            {
                FileReplacement.Overwrite(file.Path, opened.Key!.Fernet.Encrypt(value.Span));
                CryptographicOperations.ZeroMemory(value.Span);
                names.Add(file.Name);
            }
        }

        return names;
    }

    private VaultOpenException? Add(OpenedVault opened, string name, string path, out bool isTakenIn)
    {
        isTakenIn = false;
        try
        {
            var token = PrivateFile.Read(path, out _) ?? [];
            if (name == VaultFormat.ReservedMember)
            {
                return new VaultOpenException($"'{path}' has a name that no secret can have", "give the file the name of the secret, or move it away");
            }

            if (opened.Key is not { } key || !TokenOpener.TryDecrypt(token, key, out var value, out var written))
            {
                isTakenIn = IsTakenIn(opened, name, token, out var isUnderFormerKey);
                return isTakenIn
                    ? null
                    : isUnderFormerKey
                        ? new VaultOpenException($"'{path}' was written with the key from before a rotation", "end the program that writes it, then take it over: mallku key recover")
                        : new VaultOpenException(
                            $"'{path}' does not open: it was written with another key, or is damaged", "put the right file there, or move it away");
            }

            var trimmed = opened.Document.Own(ToToken(value.Span));
            if (!PythonJson.IsOneValue(trimmed))
            {
                return new VaultOpenException($"'{path}' opens and holds no JSON value", "put the right file there, or move it away");
            }

            var record = opened.Document.GetOrAdd(name);
            if (record.Current?.Value is not { } current || !JsonToken.AreSame(current, trimmed))
            {
                VaultReader.AddExternal(record, trimmed, written, key);
            }

            return null;
        }
        catch (VaultOpenException e)
        {
            return e;
        }
    }

    // A rotation that was cut off before it removed the file left it under the key from before. A value that the vault
    // has as the current one can be believed whatever key it is under, and so can one of the time at which a version was
    // taken over from it; any other is not.
    private bool IsTakenIn(OpenedVault opened, string name, ReadOnlySpan<byte> token, out bool isUnderFormerKey)
    {
        isUnderFormerKey = false;
        if (tokens.DecryptWithAnyKey(token) is not { } value || !Fernet.TryGetTimestamp(token.Trim(" \t\r\n"u8), out var written))
        {
            return false;
        }

        isUnderFormerKey = true;
        var taken = opened.Document.Own(ToToken(value.Span));
        return opened.Document.Secrets.TryGetValue(name, out var record) && record.Versions.Exists(version =>
            (version.State == SecretVersionState.Current || version.Created == written) && version.Value is { } known && JsonToken.AreSame(known, taken));
    }

    private static byte[] ToToken(Span<byte> plaintext)
    {
        ReadOnlySpan<byte> trimmed = plaintext.Trim(" \t\r\n"u8);
        var token = SecretValue.Allocate(trimmed.Length);
        trimmed.CopyTo(token);
        CryptographicOperations.ZeroMemory(plaintext);
        return token;
    }
}
