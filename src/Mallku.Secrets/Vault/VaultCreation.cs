using Mallku.Secrets.Files;

namespace Mallku.Secrets.Vault;

/// <summary>How a vault begins.</summary>
internal static class VaultCreation
{
    /// <summary>Makes the folder with a new key and an empty vault, or adds what is missing of them.</summary>
    /// <exception cref="SecretsException">There is a vault already, or the folder can't be written.</exception>
    internal static async ValueTask CreateAsync(FileVault vault, CancellationToken cancellationToken)
    {
        var settings = vault.Settings;
        CreateFolder(settings);
        using var folderLock = await vault.LockAsync(cancellationToken).ConfigureAwait(false);
        if (Posix.TryStat(settings.VaultFile, out _) || Posix.TryStat(settings.FormerVaultFile, out _))
        {
            throw new SecretsException($"there is a vault in '{settings.Directory}' already; nothing was changed", "look at it: mallku doctor");
        }

        IgnoreInGit(settings);
        await CreateKeyAsync(settings, cancellationToken).ConfigureAwait(false);
        try
        {
            var opened = await new VaultFolder(settings).OpenAsync(isBeginning: true, cancellationToken).ConfigureAwait(false);
            // whoever wrote .secret files may know of no vault yet, and start one
            var both = opened.SecretFiles.Count > 0;
            using var plaintext = await vault.CommitAsync(opened.Document, from: 0, VaultEvents.OfOutside(opened.Document), both ? 2 : 1).ConfigureAwait(false);
            if (both)
            {
                vault.ReplaceBoth(plaintext, opened.Document, opened.Key!);
            }
            else
            {
                vault.Replace(plaintext, opened.Key!);
            }

            opened.RemoveAbsorbed();
        }
        finally
        {
            vault.Forget();
        }
    }

    private static void IgnoreInGit(VaultSettings settings)
    {
        var lines = PrivateFile.ReadAny(settings.GitIgnoreFile) ?? [];
        if (!VaultSettings.IgnoresAll(lines))
        {
            var separator = lines.Length == 0 || lines[^1] == (byte)'\n' ? ""u8 : "\n"u8;
            FileReplacement.Overwrite(settings.GitIgnoreFile, [.. lines, .. separator, .. "*\n"u8]);
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

    private static void CreateFolder(VaultSettings settings)
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
            FileReplacement.FlushFolder(folder);
        }
    }
}
