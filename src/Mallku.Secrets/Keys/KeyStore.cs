using Mallku.Secrets.Files;

namespace Mallku.Secrets.Keys;

/// <summary>
/// Where the data key of a vault lies: given by the caller, or in a file beside which a rotation keeps the next and the
/// former key.
/// </summary>
/// <remarks>
/// A rotation writes <c>*.next</c>, re-encrypts the vault, copies the key to <c>*.previous</c>, and renames
/// <c>*.next</c> to the key. So the vault opens with the key or with <c>*.next</c> after a kill at any instruction.
/// </remarks>
internal sealed class KeyStore
{
    private readonly SecretValue? _given;
    private readonly TimeProvider _clock;

    /// <param name="path">The key's file, where no key is given.</param>
    /// <param name="given">The key itself, or null.</param>
    /// <param name="clock">The clock of tokens.</param>
    internal KeyStore(string path, SecretValue? given, TimeProvider clock)
    {
        Path = path;
        _given = given;
        _clock = clock;
    }

    internal string Path { get; }

    internal string NextPath => Path + ".next";

    internal string FormerPath => Path + FileReplacement.FormerSuffix;

    /// <summary>Whether the key came from the caller, such as by MALLKU_ENCRYPTION_KEY, and so can't be replaced here.</summary>
    internal bool IsGiven => _given is not null;

    /// <summary>The key, or null when there is no file.</summary>
    /// <exception cref="VaultOpenException">The file holds no key, or others can read it.</exception>
    internal DataKey? ReadCurrent()
    {
        if (_given is null)
        {
            return Read(Path);
        }

        var key = DataKey.Parse(_given.Bytes, "MALLKU_ENCRYPTION_KEY", _clock);
        GC.KeepAlive(_given);
        return key;
    }

    /// <summary>The key that an interrupted rotation was about to put in place, or null.</summary>
    internal DataKey? ReadNext() => _given is null ? Read(NextPath) : null;

    /// <summary>The key before the last rotation, or null.</summary>
    internal DataKey? ReadFormer() => _given is null ? Read(FormerPath) : null;

    /// <summary>Makes the first key.</summary>
    internal void Create()
    {
        var key = DataKey.Generate(_clock);
        FileReplacement.Create(Path, key.Text.Bytes);

        // or its text might be wiped while it is being written
        GC.KeepAlive(key);
    }

    /// <summary>The first step of a rotation: a new key, durable, not yet in use.</summary>
    internal DataKey PrepareNext()
    {
        var key = DataKey.Generate(_clock);
        FileReplacement.Remove(NextPath);
        FileReplacement.Create(NextPath, key.Text.Bytes);
        GC.KeepAlive(key);
        return key;
    }

    /// <summary>The last step, when the vault is encrypted under the next key.</summary>
    internal void PromoteNext()
    {
        FileReplacement.Copy(Path, FormerPath);
        FileReplacement.Rename(NextPath, Path);
    }

    /// <summary>Takes back the first step, when nothing is encrypted under the next key.</summary>
    internal void DiscardNext() => FileReplacement.Remove(NextPath);

    private DataKey? Read(string path)
    {
        var bytes = PrivateFile.Read(path, out _);
        if (bytes is null)
        {
            return null;
        }

        try
        {
            return DataKey.Parse(bytes, $"'{path}'", _clock);
        }
        finally
        {
            System.Security.Cryptography.CryptographicOperations.ZeroMemory(bytes);
        }
    }
}
