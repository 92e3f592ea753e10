using Mallku.Secrets.Files;
using Mallku.Secrets.Keys;

namespace Mallku.Secrets.Vault;

/// <summary>Where a vault lies and how it is used: everything decided, nothing read from the environment.</summary>
internal sealed record VaultSettings
{
    internal const string FolderName = ".secrets";

    /// <summary>The folder, as an absolute path.</summary>
    internal required string Directory { get; init; }

    /// <summary>Whether somebody named the folder, so that it must be there.</summary>
    internal required bool IsDirectoryNamed { get; init; }

    /// <summary>The key's file where it is not in the folder.</summary>
    internal string? KeyFile { get; init; }

    internal SecretValue? Key { get; init; }

    /// <summary>How many versions the next write records and keeps; null for what the vault says.</summary>
    internal int? KeepVersions { get; init; }

    internal TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>How long a writer waits for another one.</summary>
    internal TimeSpan Patience { get; init; } = FolderLock.DefaultPatience;

    internal string VaultFile => Path.Combine(Directory, "mallku-secrets.json.encrypted");

    internal string FormerVaultFile => VaultFile + FileReplacement.FormerSuffix;

    internal string LockFile => Path.Combine(Directory, ".lock");

    internal string GitIgnoreFile => Path.Combine(Directory, ".gitignore");

    internal KeyStore Keys => new(KeyFile ?? Path.Combine(Directory, ".encryption.key"), Key, Clock);

    /// <summary>
    /// The folder for a process that names none: <c>.secrets</c> here, else the nearest one upwards within the
    /// repository, and never beyond its root or the home folder. It need not exist.
    /// </summary>
    internal static string Discover(string start, string home)
    {
        var here = Path.Combine(start, FolderName);
        var root = FindRepositoryRoot(start);
        if (System.IO.Directory.Exists(here) || root is null)
        {
            return here;
        }

        for (var folder = start; folder is not null; folder = Path.GetDirectoryName(folder))
        {
            var candidate = Path.Combine(folder, FolderName);
            if (System.IO.Directory.Exists(candidate))
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
