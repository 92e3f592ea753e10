using System.Security.Cryptography;
using Mallku.Secrets.Crypto;
using Mallku.Secrets.Files;
using Mallku.Secrets.Keys;

namespace Mallku.Secrets.Vault;

/// <summary>Opens what a vault's folder holds. Reads only, and takes no lock: a replace is atomic.</summary>
internal sealed class VaultFolder(VaultSettings settings)
{
    internal const string SecretFileSuffix = ".secret";

    // a Python writer truncates before it writes, and a rotation changes two files one after the other
    private static readonly TimeSpan SecondLook = TimeSpan.FromMilliseconds(250);
    private readonly KeyStore _keys = settings.Keys;

    /// <summary>Opens the folder as it is now; a folder that nobody named and that is not there is an empty vault.</summary>
    /// <exception cref="VaultOpenException">It can't be opened; the message says why and what to do.</exception>
    internal async ValueTask<OpenedVault> OpenAsync(CancellationToken cancellationToken)
    {
        var start = TimeProvider.System.GetTimestamp();
        while (true)
        {
            var (opened, failure) = TryOpen();
            if (opened is not null && failure is null)
            {
                return opened;
            }

            if (TimeProvider.System.GetElapsedTime(start) > SecondLook)
            {
                return opened ?? throw failure!;
            }

            await Task.Delay(10, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Refuses what is no folder, or one that others could read or change.</summary>
    /// <exception cref="VaultOpenException">It is.</exception>
    internal static void RequireFolder(in FileFacts facts, string path)
    {
        if (!facts.IsFolder)
        {
            throw new VaultOpenException($"'{path}' is no folder", "name another by MALLKU_SECRETS_DIR or --dir");
        }

        PrivateFile.Require(facts, path);
    }

    /// <summary>Opens another file as a vault, with whichever of the keys fits; null where none does or there is none.</summary>
    internal (VaultDocument Document, DataKey Key)? TryOpenWithAnyKey(string path)
    {
        if (PrivateFile.Read(path, out _) is not { } token)
        {
            return null;
        }

        foreach (var key in new[] { _keys.ReadCurrent(), _keys.ReadNext(), _keys.ReadFormer() })
        {
            if (key is not null && TryDecrypt(token, key, out var plaintext, out var written))
            {
                return (VaultReader.Read(plaintext, written, key, path), key);
            }
        }

        return null;
    }

    // what opens with a failure beside it is worth a second look, and is used as it is after that
    private (OpenedVault? Opened, VaultOpenException? Failure) TryOpen()
    {
        var watch = new VaultWatch();
        var now = TimeProvider.System.GetUtcNow();
        if (watch.Note(settings.Directory, now) is not { } folder)
        {
            return settings.IsDirectoryNamed
                ? throw new VaultOpenException($"there is no folder '{settings.Directory}'", "make a vault there: mallku init")
                : (Empty(watch, key: null), null);
        }

        RequireFolder(folder, settings.Directory);

        watch.Note(settings.VaultFile, now);
        var token = PrivateFile.Read(settings.VaultFile, out _);
        var key = _keys.ReadCurrent();
        OpenedVault opened;
        if (token is null)
        {
            if (Posix.TryStat(settings.FormerVaultFile, out _))
            {
                return (null, new VaultOpenException(
                    $"'{settings.VaultFile}' is gone, and its former state is there",
                    $"put it back: cp -p {PrivateFile.ShellQuote(settings.FormerVaultFile)} {PrivateFile.ShellQuote(settings.VaultFile)}"));
            }

            opened = Empty(watch, key);
        }
        else if (key is null)
        {
            return (null, new VaultOpenException(
                $"the key '{_keys.Path}' is gone, and the vault is there",
                "put the key file back, or name it by MALLKU_KEY_FILE, or give the key by MALLKU_ENCRYPTION_KEY"));
        }
        else if (TryDecrypt(token, key, out var plaintext, out var written))
        {
            opened = new OpenedVault { Document = VaultReader.Read(plaintext, written, key, settings.VaultFile), Key = key, Watch = watch };
        }
        else if (_keys.ReadNext() is { } next && TryDecrypt(token, next, out plaintext, out written))
        {
            opened = new OpenedVault
            {
                Document = VaultReader.Read(plaintext, written, next, settings.VaultFile),
                Key = next,
                IsUnderNextKey = true,
                Watch = watch,
            };
        }
        else
        {
            return (null, ExplainFailure(token));
        }

        RequireHistory(opened);
        return AddSecretFiles(opened, now);
    }

    // Python starts afresh when it can't decrypt; what it then writes opens, and everything else would seem to be gone
    private void RequireHistory(OpenedVault opened)
    {
        if (!opened.Document.HasHistory && TryOpenWithAnyKey(settings.FormerVaultFile) is { Document.HasHistory: true })
        {
            throw StartedAfresh($"another program has started '{settings.VaultFile}' afresh");
        }
    }

    private VaultOpenException ExplainFailure(ReadOnlySpan<byte> token)
    {
        if (token.Trim(" \t\r\n"u8).IsEmpty)
        {
            return new VaultOpenException(
                $"the vault '{settings.VaultFile}' is empty", $"put the former file, '{settings.FormerVaultFile}', or a backup in its place");
        }

        if (_keys.ReadFormer() is { } former && TryDecrypt(token, former, out _, out _))
        {
            return StartedAfresh($"another program has written '{settings.VaultFile}' with the key from before the last rotation");
        }

        return new VaultOpenException(
            $"the vault '{settings.VaultFile}' does not open: the key from {DescribeKey()} is another one, or the file is damaged",
            $"check the key; if it is right, put the former file, '{settings.FormerVaultFile}', or a backup in its place");
    }

    private static VaultOpenException StartedAfresh(string what) => new(
        what, "end that program, then merge what it wrote with the former file: mallku key recover");

    private string DescribeKey() => _keys.IsGiven ? "MALLKU_ENCRYPTION_KEY" : $"'{_keys.Path}'";

    private (OpenedVault Opened, VaultOpenException? Failure) AddSecretFiles(OpenedVault opened, DateTimeOffset now)
    {
        List<SecretFile>? files = null;
        VaultOpenException? failure = null;
        foreach (var path in Directory.EnumerateFiles(settings.Directory, "*" + SecretFileSuffix))
        {
            var name = Path.GetFileName(path)[..^SecretFileSuffix.Length];
            if (name.Length > 0 && opened.Watch.Note(path, now) is { } facts)
            {
                var error = AddSecretFile(opened, name, path, out var isTakenIn);
                failure ??= error;
                (files ??= []).Add(new SecretFile(name, path, facts, isTakenIn, error));
            }
        }

        return files is null
            ? (opened, null)
            : (new OpenedVault
            {
                Document = opened.Document,
                Key = opened.Key,
                IsUnderNextKey = opened.IsUnderNextKey,
                Watch = opened.Watch,
                SecretFiles = files,
            }, failure);
    }

    private VaultOpenException? AddSecretFile(OpenedVault opened, string name, string path, out bool isTakenIn)
    {
        isTakenIn = false;
        try
        {
            var token = PrivateFile.Read(path, out _) ?? [];
            if (opened.Key is not { } key || !TryDecrypt(token, key, out var value, out var written))
            {
                isTakenIn = IsTakenIn(opened, name, token);
                return isTakenIn
                    ? null
                    : new VaultOpenException(
                        $"'{path}' does not open: it was written with another key, or is damaged", "put the right file there, or move it away");
            }

            var trimmed = opened.Document.Own(ToToken(value.Span));
            if (!VaultReader.IsOneValue(trimmed))
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
    // has as the current one can be believed whatever key it is under; any other is not.
    private bool IsTakenIn(OpenedVault opened, string name, ReadOnlySpan<byte> token)
    {
        if (opened.Document.Find(name)?.Current?.Value is not { } current)
        {
            return false;
        }

        foreach (var key in new[] { _keys.ReadCurrent(), _keys.ReadFormer() })
        {
            if (key is not null && TryDecrypt(token, key, out var value, out _))
            {
                return JsonToken.AreSame(current, opened.Document.Own(ToToken(value.Span)));
            }
        }

        return false;
    }

    private static byte[] ToToken(Span<byte> plaintext)
    {
        ReadOnlySpan<byte> trimmed = plaintext.Trim(" \t\r\n"u8);
        var token = SecretValue.Allocate(trimmed.Length);
        trimmed.CopyTo(token);
        CryptographicOperations.ZeroMemory(plaintext);
        return token;
    }

    private static OpenedVault Empty(VaultWatch watch, DataKey? key) => new() { Document = new VaultDocument(default), Key = key, Watch = watch };

    private static bool TryDecrypt(ReadOnlySpan<byte> token, DataKey key, out Memory<byte> plaintext, out DateTimeOffset written)
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
