using Mallku.Secrets.Files;
using Mallku.Secrets.Keys;
using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Vault;

/// <summary>Where a vault lies and how it is used: everything decided, nothing read from the environment.</summary>
internal sealed record VaultSettings
{
    internal const string FolderName = ".secrets";

    /// <summary>The folder, as an absolute path.</summary>
    internal required string Directory { get; init; }

    /// <summary>Whether somebody named the folder, so that it must be there.</summary>
    internal required bool IsDirectoryNamed { get; init; }

    /// <summary>Whether it is made where something is to be recorded and it is not there: the home of the ledger of a machine that has no vault of its own.</summary>
    internal bool IsMadeWhenNeeded { get; init; }

    /// <summary>The key's file where it is not in the folder.</summary>
    internal string? KeyFile { get; init; }

    internal SecretValue? Key { get; init; }

    /// <summary>How many versions the next write records and keeps; null for what the vault says.</summary>
    internal int? KeepVersions { get; init; }

    /// <summary>Where the ledger lies.</summary>
    internal required string LedgerDirectory { get; init; }

    /// <summary>Whether accesses and changes are recorded.</summary>
    internal bool UsesLedger { get; init; } = true;

    /// <summary>Whether a shared store is used beside the vault, which has no other ledger.</summary>
    internal bool HasStore { get; init; }

    /// <summary>With what a ledger begins where there is none, in words.</summary>
    internal string LedgerBeginsWith => IsMadeWhenNeeded ? "the next use of the shared store" : HasStore ? "the next write, or use of the shared store" : "the next write";

    /// <summary>Whether a ledger that begins has pseudonyms in the place of secrets' names.</summary>
    internal bool UsesPseudonyms { get; init; }

    /// <summary>How long an entry may take to become durable.</summary>
    internal TimeSpan LedgerPatience { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>The file that gets each new checkpoint of the ledger, as an absolute path; null for none.</summary>
    internal string? WitnessFile { get; init; }

    /// <summary>The command that gets each new checkpoint of the ledger; null for none.</summary>
    internal string? WitnessCommand { get; init; }

    /// <summary>The public key that the ledger must have; null where any will do.</summary>
    internal LedgerPin? LedgerPin { get; init; }

    /// <summary>Whether a thread is kept while its entry becomes durable.</summary>
    internal bool BlocksForLedger { get; init; }

    /// <summary>For what this process uses the vault, as the ledger says it.</summary>
    internal string? Purpose { get; init; }

    /// <summary>For which voice or service.</summary>
    internal string? Voice { get; init; }

    internal TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>How long a change waits for the vault's disk, beyond what the ledger may take.</summary>
    internal TimeSpan DiskPatience { get; init; } = FolderLock.DiskPatience;

    /// <summary>How long a writer waits for another one.</summary>
    internal TimeSpan Patience { get; init; } = FolderLock.DefaultPatience;

    internal string VaultFile => Path.Combine(Directory, "mallku-secrets.json.encrypted");

    internal string FormerVaultFile => VaultFile + FileReplacement.FormerSuffix;

    internal string LockFile => Path.Combine(Directory, ".lock");

    /// <summary>Held while a rotation takes its steps, of which each writes the vault for itself.</summary>
    internal string RotationLockFile => Path.Combine(Directory, ".rotation.lock");

    internal string GitIgnoreFile => Path.Combine(Directory, ".gitignore");

    internal KeyStore Keys => new(Directory, KeyFile, Key, Clock);

    /// <summary>The command that makes a vault in this folder; where it is made when it is needed, one of the machine's own: nobody else has its key.</summary>
    internal string InitCommand => IsDirectoryNamed && !IsMadeWhenNeeded ? $"mallku init --dir {PrivateFile.ShellQuote(Directory)}" : "mallku init";

    /// <summary>Whether a vault lies or lay in the folder.</summary>
    internal bool HasTraces => File.Exists(VaultFile) || File.Exists(FormerVaultFile) || File.Exists(LockFile) || File.Exists(Path.Combine(Directory, ".encryption.key"))
        || Path.GetFileName(Directory) == FolderName;

    /// <summary>
    /// The folder for a process that names none: <c>.secrets</c> here, else the nearest one upwards within the
    /// repository, and never beyond its root or the home folder. It need not exist.
    /// </summary>
    internal static string Discover(string start, string home)
    {
        var here = Path.Combine(start, FolderName);
        var root = FindRepositoryRoot(start);
        if (IsThere(here) || root is null)
        {
            return here;
        }

        for (var folder = start; folder is not null; folder = Path.GetDirectoryName(folder))
        {
            var candidate = Path.Combine(folder, FolderName);
            if (IsThere(candidate))
            {
                return candidate;
            }

            if (folder == root || folder == home)
            {
                break;
            }
        }

        return here;
    }

    // a link to what is not mounted is no reason to take another vault
    private static bool IsThere(string path) => System.IO.Directory.Exists(path) || new FileInfo(path).LinkTarget is not null;

    private static string? FindRepositoryRoot(string start)
    {
        for (var folder = start; folder is not null; folder = Path.GetDirectoryName(folder))
        {
            // a file in a worktree or a submodule
            if (Path.Exists(Path.Combine(folder, ".git")))
            {
                return folder;
            }
        }

        return null;
    }
}
