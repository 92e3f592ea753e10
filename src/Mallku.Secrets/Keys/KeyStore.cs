using System.Security.Cryptography;
using System.Text;
using Mallku.Secrets.Files;

namespace Mallku.Secrets.Keys;

/// <summary>
/// Where the data key of a vault lies: given by the caller, or in a file beside which a rotation keeps the next key and
/// the former ones.
/// </summary>
/// <remarks>
/// A rotation writes the next key, re-encrypts the vault, adds the key to the former ones, and renames the next key to the
/// key. So the vault opens with one of them after a kill at any instruction. Several vaults may share a key file that lies
/// apart: each has a next key of its own, and finds the key that it is still under among the former ones.
/// </remarks>
internal sealed class KeyStore
{
    private const int MostFormerKeys = 1000;
    private readonly SecretValue? _given;
    private readonly TimeProvider _clock;
    private readonly string _folder;

    /// <param name="folder">The vault's folder.</param>
    /// <param name="file">The key's file where it is not in the folder.</param>
    /// <param name="given">The key itself, or null.</param>
    /// <param name="clock">The clock of tokens.</param>
    internal KeyStore(string folder, string? file, SecretValue? given, TimeProvider clock)
    {
        Path = file ?? System.IO.Path.Combine(folder, ".encryption.key");
        _given = given;
        _clock = clock;
        IsShared = file is not null && !IsBeside(folder);
        _folder = folder;
        NextPath = IsShared ? $"{Path}.{Fingerprint(folder)}.next" : Path + ".next";
    }

    internal string Path { get; }

    internal string NextPath { get; }

    internal string FormerPath => Path + FileReplacement.FormerSuffix;

    /// <summary>Whether the key came from the caller, such as by MALLKU_ENCRYPTION_KEY, and so can't be replaced here.</summary>
    internal bool IsGiven => _given is not null;

    /// <summary>Whether other vaults may use the file too, because it lies apart.</summary>
    internal bool IsShared { get; }

    /// <summary>Whether the file lies in that folder.</summary>
    internal bool IsBeside(string folder)
    {
        var own = System.IO.Path.GetDirectoryName(Path)!;
        // one folder may have several paths
        return own == folder || (Posix.TryStat(own, out var facts) && Posix.TryStat(folder, out var other) && facts == other);
    }

    /// <summary>The key, or null when there is no file.</summary>
    /// <exception cref="VaultOpenException">The file holds no key, or others can read it.</exception>
    internal DataKey? ReadCurrent()
    {
        if (_given is null)
        {
            return ReadOwn();
        }

        var key = DataKey.Parse(_given.Bytes, "MALLKU_ENCRYPTION_KEY", _clock);
        GC.KeepAlive(_given);
        return key;
    }

    // That vault takes its key to be its own: it would rotate it without asking, and call what is under a former one stale.
    private DataKey? ReadOwn()
    {
        return IsShared && HasVault(System.IO.Path.GetDirectoryName(Path)!)
            ? throw new VaultOpenException(
                $"the key '{Path}' lies in the folder of another vault than '{_folder}'",
                "move the key, and what lies beside it under its name, to a folder of its own, and name that place by MALLKU_KEY_FILE for both")
            : Read(Path).FirstOrDefault();
    }

    // or had one: it may be put back
    private static bool HasVault(string folder)
    {
        var vault = System.IO.Path.Combine(folder, "mallku-secrets.json.encrypted");
        return File.Exists(vault) || File.Exists(vault + FileReplacement.FormerSuffix)
            // elsewhere these may be anybody's
            || (System.IO.Path.GetFileName(folder) == ".secrets" && Directory.Exists(folder)
                && (File.Exists(System.IO.Path.Combine(folder, ".lock")) || Directory.EnumerateFiles(folder, "*.secret").Any()));
    }

    /// <summary>
    /// The keys that interrupted rotations were about to put in place, with their files: this vault's, and of a shared key
    /// file those of other vaults, or of this one under another path.
    /// </summary>
    internal IEnumerable<(string Path, DataKey Key)> ReadNext()
    {
        foreach (var path in FindNextFiles())
        {
            if (Read(path).FirstOrDefault() is { } key)
            {
                yield return (path, key);
            }
        }
    }

    /// <summary>The keys from before the last rotations, the newest first.</summary>
    /// <exception cref="VaultOpenException">What keeps them is damaged, or others can read it.</exception>
    internal IReadOnlyList<DataKey> ReadFormer()
    {
        var keys = ReadWholeFormer(out var damage);
        return damage is null ? keys : throw damage;
    }

    /// <summary>Those that can be read, and why others can't: for who looks at what may be under a former key, and needs none.</summary>
    /// <exception cref="VaultOpenException">Others can read the file.</exception>
    internal IReadOnlyList<DataKey> ReadWholeFormer(out VaultOpenException? damage)
    {
        damage = null;
        var bytes = _given is null ? PrivateFile.Read(FormerPath, out _) : null;
        try
        {
            return bytes is null ? [] : ParseLines(bytes, out damage);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(bytes);
        }
    }

    /// <summary>The right to write key files, where other vaults may use them too; else their folder's lock is enough.</summary>
    internal async ValueTask<FolderLock?> LockAsync(TimeSpan patience, CancellationToken cancellationToken) =>
        IsShared && !IsGiven ? await FolderLock.AcquireAsync(Path + ".lock", patience, TimeProvider.System, cancellationToken).ConfigureAwait(false) : null;

    /// <summary>Makes the first key.</summary>
    internal void Create()
    {
        var key = DataKey.Generate(_clock);
        FileReplacement.Overwrite(Path, key.Text.Bytes);
        GC.KeepAlive(key);
    }

    /// <summary>The first step of a rotation: a new key, durable, not yet in use.</summary>
    internal DataKey PrepareNext()
    {
        if (new FileInfo(Path).LinkTarget is { } target)
        {
            throw new SecretsException(
                $"'{Path}' is a symbolic link to '{target}', and a rotation would replace the link; nothing was changed",
                "name the file that it points to by MALLKU_KEY_FILE, and rotate then");
        }

        var key = DataKey.Generate(_clock);
        FileReplacement.Remove(NextPath);
        FileReplacement.Overwrite(NextPath, key.Text.Bytes);
        GC.KeepAlive(key);
        return key;
    }

    /// <summary>The last steps, when the vault is encrypted under the next key.</summary>
    internal void PromoteNext() => Promote(NextPath);

    private void Promote(string nextPath)
    {
        AddFormer(Read(Path));
        FileReplacement.Rename(nextPath, Path);
    }

    // in front of those that are there
    private void AddFormer(DataKey[] newest)
    {
        var formerKeys = ReadFormer();
        var content = SecretValue.Allocate((newest.Length + MostFormerKeys) * (Crypto.Fernet.KeyLength + 1));
        var length = 0;
        foreach (var key in (DataKey[])[.. newest, .. formerKeys.Take(MostFormerKeys)])
        {
            // a promotion that was cut off may have added it already
            if (content.AsSpan(0, length).IndexOf(key.Text.Bytes) < 0)
            {
                if (length > 0)
                {
                    content[length++] = (byte)'\n';
                }

                length += key.Text.CopyUtf8To(content.AsSpan(length));
            }
        }

        FileReplacement.Overwrite(FormerPath, content.AsSpan(0, length));
        CryptographicOperations.ZeroMemory(content);
    }

    /// <summary>Whether a rotation or a write of a key was cut off.</summary>
    internal bool HasLeftovers =>
        !IsGiven && (IsRotating || Array.Exists([Path, NextPath, FormerPath], static path => File.Exists(path + FileReplacement.TemporarySuffix)));

    /// <summary>Whether a rotation was begun and not finished.</summary>
    internal bool IsRotating => !IsGiven && File.Exists(NextPath);

    /// <summary>Whether former keys are kept.</summary>
    internal bool HasFormer => !IsGiven && File.Exists(FormerPath);

    /// <summary>Finishes a rotation that was cut off when the vault was under the next key already, and else takes it back.</summary>
    /// <param name="nextPath">The file of the next key that the vault is under, or null.</param>
    internal void Settle(string? nextPath)
    {
        FileReplacement.RemoveTemporary(NextPath);
        FileReplacement.RemoveTemporary(FormerPath);
        FileReplacement.RemoveTemporary(Path);
        if (nextPath is not null)
        {
            Promote(nextPath);
        }
        else
        {
            if (IsShared && Read(NextPath) is { Length: > 0 } unused)
            {
                // a folder that was moved away and made anew has the same path: what is under this key may lie elsewhere
                AddFormer(unused);
            }

            FileReplacement.Remove(NextPath);
        }
    }

    private IEnumerable<string> FindNextFiles()
    {
        if (IsGiven)
        {
            return [];
        }

        var folder = System.IO.Path.GetDirectoryName(Path)!;
        // and the name that a key has which was moved there from a vault's folder
        return IsShared && Directory.Exists(folder) ? Directory.EnumerateFiles(folder, System.IO.Path.GetFileName(Path) + ".*.next").Append(Path + ".next") : [NextPath];
    }

    private DataKey[] Read(string path)
    {
        var bytes = PrivateFile.Read(path, out _);
        if (bytes is null)
        {
            return [];
        }

        try
        {
            return [DataKey.Parse(bytes, $"'{path}'", _clock)];
        }
        finally
        {
            CryptographicOperations.ZeroMemory(bytes);
        }
    }

    private List<DataKey> ParseLines(ReadOnlySpan<byte> text, out VaultOpenException? damage)
    {
        damage = null;
        var keys = new List<DataKey>();
        foreach (var line in text.Split((byte)'\n'))
        {
            if (text[line].Trim(" \t\r"u8).IsEmpty)
            {
                continue;
            }

            try
            {
                keys.Add(DataKey.Parse(text[line], $"'{FormerPath}'", _clock));
            }
            catch (VaultOpenException e)
            {
                damage = new VaultOpenException(
                    e.Problem + ", in a line of the former keys",
                    $"put a backup in its place, or move it away: only what is still under a former key{(IsShared ? ", be it of another vault with this key file," : "")} needs it",
                    e);
            }
        }

        return keys;
    }

    private static string Fingerprint(string folder) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(folder)).AsSpan(0, 4));
}
