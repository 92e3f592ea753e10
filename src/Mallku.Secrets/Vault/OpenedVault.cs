using Mallku.Secrets.Files;
using Mallku.Secrets.Keys;

namespace Mallku.Secrets.Vault;

/// <summary>What a vault's folder held at one moment. Never changed once readers have it.</summary>
internal sealed class OpenedVault
{
    private Dictionary<string, List<string>>? _looseNames;

    internal required VaultDocument Document
    {
        get;
        init => (field, Generation) = (value, value.Generation);
    }

    /// <summary>The document's generation as it was opened, which a writer raises.</summary>
    internal long Generation { get; private init; }

    /// <summary>Null where the folder has no key yet.</summary>
    internal required DataKey? Key { get; init; }

    /// <summary>The file of the key that an interrupted rotation did not put in place, where the vault is under that.</summary>
    internal string? NextKeyPath { get; init; }

    internal IReadOnlyList<SecretFile> SecretFiles { get; init; } = [];

    internal required VaultWatch Watch { get; init; }

    /// <summary>The names by what loose matching compares; made when it is first asked for.</summary>
    internal Dictionary<string, List<string>> LooseNames => LazyInitializer.EnsureInitialized(ref _looseNames, () => VaultMatch.Index(Document, SecretFiles))!;

    /// <summary>The same with the <c>.secret</c> files that were added to it.</summary>
    internal OpenedVault With(IReadOnlyList<SecretFile> files) => new()
    {
        Document = Document,
        Key = Key,
        NextKeyPath = NextKeyPath,
        Watch = Watch,
        SecretFiles = files,
    };

    /// <summary>The names of the <c>.secret</c> files that a write takes in.</summary>
    internal IReadOnlyList<string> Absorbed => [.. SecretFiles.Where(file => file.Error is null).Select(file => Path.GetFileName(file.Path))];

    /// <summary>Removes the <c>.secret</c> files that the vault now holds, unless somebody changed one meanwhile.</summary>
    /// <exception cref="SecretsException">One could not be removed; the change is in the vault.</exception>
    internal void RemoveAbsorbed()
    {
        foreach (var file in SecretFiles)
        {
            if (file.Error is null)
            {
                file.RemoveAbsorbed();
            }
        }
    }

    internal VaultOpenException? FindFileError(string name)
    {
        foreach (var file in SecretFiles)
        {
            if (file.Error is not null && file.Name == name)
            {
                return file.Error;
            }
        }

        return null;
    }
}

/// <summary>Tells whether a vault's folder is another one than it was.</summary>
internal sealed class VaultWatch
{
    // a change within the file system's own tick of time may leave the same facts
    private const int TickMilliseconds = 100;
    private readonly List<(byte[] NativePath, string Path, bool Exists, FileFacts Facts)> _seen = [];
    private int _recheck;

    /// <summary>Notes what the path is now; call it before reading, so that a change in between is seen later.</summary>
    internal FileFacts? Note(string path, DateTimeOffset now)
    {
        var native = Posix.ToNative(path);
        var exists = Posix.TryStat(native, path, out var facts);
        _seen.Add((native, path, exists, facts));
        if (exists && (now - DateTimeOffset.FromUnixTimeSeconds(facts.ChangedSeconds)).TotalMilliseconds - (facts.ChangedNanoseconds / 1e6) < TickMilliseconds)
        {
            _recheck = 1;
        }

        return exists ? facts : null;
    }

    /// <summary>Looks again. Allocates nothing while nothing changed.</summary>
    internal bool HasChanged()
    {
        foreach (var (nativePath, path, existed, before) in _seen)
        {
            try
            {
                if (Posix.TryStat(nativePath, path, out var now) != existed || now != before)
                {
                    return true;
                }
            }
            catch (PosixException)
            {
                // the next reading says why
                return true;
            }
        }

        return Interlocked.Exchange(ref _recheck, 0) == 1;
    }
}
