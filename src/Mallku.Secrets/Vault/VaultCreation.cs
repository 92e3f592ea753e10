using Mallku.Secrets.Files;
using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Vault;

/// <summary>How a vault begins.</summary>
internal static class VaultCreation
{
    /// <summary>
    /// Makes the folder with a new key and an empty vault, or adds what is missing of them. Where it fails, nothing new is
    /// in the folder, nor the folder itself.
    /// </summary>
    /// <exception cref="SecretsException">There is a vault already, or the folder can't be written.</exception>
    internal static async ValueTask CreateAsync(FileVault vault, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var settings = vault.Settings;
        if (settings.LedgerPin is not null && !vault.IsMade)
        {
            throw LedgerPin.Excludes();
        }

        VaultFolder.RequireNoDanglingLink(settings);
        var folders = FindAbsentFolders(settings.Directory);
        string[] lockFile = Path.Exists(settings.LockFile) ? [] : [settings.LockFile];
        try
        {
            await DiskWait.ForAsync(() => Task.FromResult(CreateFolder(settings)), settings.DiskPatience, settings.Directory, "nothing was changed, or a folder was made")
                .ConfigureAwait(false);
            await vault.LockedAsync(() => FillAsync(vault, lockFile, cancellationToken), cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            // only where they are empty
            TakeBack(folders);
            throw;
        }
    }

    private static async ValueTask<bool> FillAsync(FileVault vault, string[] lockFile, CancellationToken cancellationToken)
    {
        var settings = vault.Settings;
        if (Posix.TryStat(settings.VaultFile, out _) || Posix.TryStat(settings.FormerVaultFile, out _))
        {
            throw new SecretsException($"there is a vault in '{settings.Directory}' already; nothing was changed", "look at it: mallku doctor");
        }

        // not what lies apart, which another vault may use by then
        var ledger = Path.Combine(settings.Directory, "ledger");
        string[] own = [ledger, .. settings.Keys.IsShared ? [] : new[] { settings.Keys.Path }, settings.GitIgnoreFile];
        string[] absent = [.. own.Where(path => !Path.Exists(path)), .. lockFile];
        try
        {
            GitIgnore.Complete(settings.GitIgnoreFile);
            await CreateKeyAsync(settings, cancellationToken).ConfigureAwait(false);
            await WriteFirstAsync(vault, cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch when (!Path.Exists(settings.VaultFile))
        {
            // still under the lock: whoever waits for it finds what this call has found
            TakeBack(absent, whole: ledger);
            throw;
        }
    }

    private static async ValueTask WriteFirstAsync(FileVault vault, CancellationToken cancellationToken)
    {
        var opened = await new VaultFolder(vault.Settings).OpenAsync(isBeginning: true, cancellationToken).ConfigureAwait(false);
        // whoever wrote .secret files may know of no vault yet, and start one
        var both = opened.SecretFiles.Count > 0;
        // a ledger that is there is that of a vault that is gone, and who begins anew has said so
        using var plaintext = await vault.Writer.CommitAsync(opened.Document, from: 0, VaultEvents.OfOutside(opened.Document), both ? 2 : 1, acceptsOlder: true)
            .ConfigureAwait(false);
        if (both)
        {
            vault.Writer.ReplaceBoth(plaintext, opened.Document, opened.Key!);
        }
        else
        {
            vault.Writer.Replace(plaintext, opened.Key!);
        }

        opened.RemoveAbsorbed();
    }

    // the innermost first
    private static List<string> FindAbsentFolders(string folder)
    {
        var absent = new List<string>();
        for (var path = folder; path is not null && !Path.Exists(path); path = Path.GetDirectoryName(path))
        {
            absent.Add(path);
        }

        return absent;
    }

    private static void TakeBack(IEnumerable<string> made, string? whole = null)
    {
        foreach (var path in made)
        {
            try
            {
                if (Directory.Exists(path))
                {
                    Directory.Delete(path, recursive: path == whole);
                }
                else
                {
                    File.Delete(path);
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // the first error is the one to tell
            }
        }
    }

    private static async ValueTask CreateKeyAsync(VaultSettings settings, CancellationToken cancellationToken)
    {
        var keys = settings.Keys;
        if (keys.ReadCurrent() is null)
        {
            using var keyLock = await keys.LockAsync(settings.Patience, cancellationToken).ConfigureAwait(false);
            if (keys.ReadCurrent() is null)
            {
                keys.Create();
            }
        }
    }

    private static bool CreateFolder(VaultSettings settings)
    {
        try
        {
            if (!Posix.TryStat(settings.Directory, out var facts))
            {
                CreateParents(Path.GetDirectoryName(settings.Directory)!);
                Posix.CreateFolder(settings.Directory);
                FileReplacement.FlushFolder(settings.Directory);
            }
            else if (facts.IsFolder && !settings.HasTraces && Directory.EnumerateFileSystemEntries(settings.Directory).Any())
            {
                throw new SecretsException(
                    $"'{settings.Directory}' holds other things, and a vault needs a folder of its own; nothing was changed",
                    $"mallku init --dir {PrivateFile.ShellQuote(Path.Combine(settings.Directory, VaultSettings.FolderName))}");
            }
            else
            {
                VaultFolder.RequireFolder(facts, settings.Directory);
            }

            return true;
        }
        catch (PosixException e)
        {
            throw e.ToWriteError(settings.Directory);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SecretsException($"can't create '{settings.Directory}': {e.Message}", "name another folder by MALLKU_SECRETS_DIR or --dir", e);
        }
    }

    // a folder is acknowledged with what is in it, so that its own name must be on the disk too
    private static void CreateParents(string folder)
    {
        if (!Directory.Exists(folder))
        {
            CreateParents(Path.GetDirectoryName(folder)!);
            Directory.CreateDirectory(folder);
            // whatever the umask took away from the owner, who goes on in it
            const UnixFileMode owner = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
            if (!OperatingSystem.IsWindows() && File.GetUnixFileMode(folder) is var mode && (mode & owner) != owner)
            {
                File.SetUnixFileMode(folder, mode | owner);
            }

            FileReplacement.FlushFolder(folder);
        }
    }
}
