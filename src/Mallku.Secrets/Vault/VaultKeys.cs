using Mallku.Secrets.Files;
using Mallku.Secrets.Keys;
using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Vault;

/// <summary>What a rotation of the data key did.</summary>
/// <param name="KeyFile">The file that holds the new key.</param>
/// <param name="FormerKeyFile">The file that keeps the former one.</param>
/// <param name="Secrets">How many secrets are now encrypted under the new key.</param>
/// <param name="Absorbed">Names of the <c>.secret</c> files that were taken into the vault and then removed.</param>
internal sealed record KeyRotation(string KeyFile, string FormerKeyFile, int Secrets, IReadOnlyList<string> Absorbed);

/// <summary>What a recovery took over from another program.</summary>
/// <param name="Names">The secrets whose values came from it.</param>
/// <param name="Kept">The secrets that the other program had removed and that are still there.</param>
/// <param name="IsFromFormerFile">Whether the rest came from the former file, which is from before the last write.</param>
internal sealed record KeyRecovery(IReadOnlyList<string> Names, IReadOnlyList<string> Kept, bool IsFromFormerFile);

/// <summary>Where the data key is and whether it fits.</summary>
/// <param name="Origin"><c>file</c> or <c>environment</c>.</param>
/// <param name="Path">The file, or null.</param>
/// <param name="BesideData">Whether the file lies in the vault's own folder.</param>
/// <param name="Opens">Whether the vault opens with it.</param>
/// <param name="Created">When the file was last written, in UTC.</param>
/// <param name="FormerKeyKept">Whether the key from before the last rotation is still there.</param>
/// <param name="RotationInterrupted">Whether a rotation was cut off; the next write settles it.</param>
/// <param name="Problem">Why the vault does not open, where it does not.</param>
internal sealed record KeyStatus(
    string Origin,
    string? Path,
    bool BesideData,
    bool Opens,
    DateTimeOffset? Created,
    bool FormerKeyKept,
    bool RotationInterrupted,
    VaultOpenException? Problem);

/// <summary>The life of the vault's data key: its state, its rotation, and the repair after a writer with a former key.</summary>
internal static class VaultKeys
{
    /// <summary>
    /// Encrypts the vault under a new key and puts that in the place of the former, which is kept. A kill at any
    /// instruction leaves a vault that opens; the next write settles what was left to do.
    /// </summary>
    /// <exception cref="SecretsException">The key is not in a file, or the vault can't be opened or written.</exception>
    internal static async ValueTask<KeyRotation> RotateAsync(FileVault vault, CancellationToken cancellationToken)
    {
        var keys = vault.Settings.Keys;
        if (keys.IsGiven)
        {
            throw new SecretsException(
                "the key comes from MALLKU_ENCRYPTION_KEY, which a rotation can't replace; nothing was changed",
                "put the key into a file of mode 0600, name it by MALLKU_KEY_FILE, unset MALLKU_ENCRYPTION_KEY, and rotate then");
        }

        var (folderLock, opened) = await vault.BeginWriteAsync(cancellationToken).ConfigureAwait(false);
        using (folderLock)
        using (opened.Document)
        {
            foreach (var file in opened.SecretFiles)
            {
                if (file.Error is { } error)
                {
                    throw error;
                }
            }

            using var keyLock = await keys.LockAsync(vault.Settings.Patience, cancellationToken).ConfigureAwait(false);
            var from = opened.Document.Generation;
            IReadOnlyList<LedgerEvent> events = [.. VaultEvents.OfOutside(opened.Document), new(LedgerKind.KeyRotated, Source: VaultEvents.Store, Purpose: vault.Settings.Purpose)];
            using var unchanged = vault.ComposeUnrecorded(opened);
            using var plaintext = await vault.CommitAsync(opened.Document, from, events, unchanged is null ? 1 : 2).ConfigureAwait(false);
            var next = keys.PrepareNext();
            try
            {
                // A failure leaves the next key where it is: the vault may be under it already, and the next write knows.
                vault.Record(unchanged, opened.Key!);
                vault.Replace(plaintext, next);
                Promote(keys);
                opened.RemoveAbsorbed();
            }
            finally
            {
                vault.Forget();
            }

            return new KeyRotation(keys.Path, keys.FormerPath, opened.Document.Existing.Count(), opened.Absorbed);
        }
    }

    private static void Promote(KeyStore keys)
    {
        try
        {
            keys.PromoteNext();
        }
        catch (SecretsException e)
        {
            // its own text says that nothing was changed
            throw new SecretsException(
                $"the vault is encrypted under the new key '{keys.NextPath}', which could not be put in its place ({(e.InnerException ?? e).Message})",
                "mend that and leave the files as they are: the vault opens, and the next write finishes the rotation",
                e);
        }
    }

    /// <summary>
    /// Merges what another program wrote, with a former key, starting afresh or over a newer state, into the former vault
    /// file: its values count as outside changes, and what it does not have is kept.
    /// </summary>
    /// <exception cref="SecretsException">There is nothing to merge, or no key opens one of the files.</exception>
    internal static async ValueTask<KeyRecovery> RecoverAsync(FileVault vault, CancellationToken cancellationToken)
    {
        var settings = vault.Settings;
        using var folderLock = await vault.LockAsync(cancellationToken).ConfigureAwait(false);
        var folder = new VaultFolder(settings);
        if (await TryOpenAsync(folder, cancellationToken).ConfigureAwait(false) is { } opened)
        {
            var names = folder.SecretFiles.TakeOver(opened);
            vault.Forget();
            return names.Count > 0 ? new KeyRecovery(names, [], IsFromFormerFile: false) : throw new SecretsException("there is nothing to merge: the vault opens", "go on as usual");
        }

        var current = settings.Keys.ReadCurrent()
            ?? throw new VaultOpenException($"the key '{settings.Keys.Path}' is gone", "put the key file back");
        using var outside = folder.Tokens.TryOpenWithAnyKey(settings.VaultFile)
            ?? throw new VaultOpenException($"no key that is there opens '{settings.VaultFile}'", $"put {FileReplacement.DescribeBackup(settings.VaultFile)}");
        using var whole = FindNewestFormer(folder, settings);
        if (whole is null && File.Exists(settings.FormerVaultFile))
        {
            throw new VaultOpenException(
                $"no key that is there opens the former file '{settings.FormerVaultFile}', so there is nothing to merge with",
                "name the key file that it was written with by MALLKU_KEY_FILE (and unset MALLKU_ENCRYPTION_KEY), with its former keys beside it in FILE.previous, or put a backup in its place");
        }

        try
        {
            if (whole is null)
            {
                // there is no other state: what a former key opens is all there is
                await WriteBothAsync(vault, outside, outside.Generation, current).ConfigureAwait(false);
                return new KeyRecovery([.. outside.Existing.Select(record => record.Name)], [], IsFromFormerFile: false);
            }

            whole.SkipNumbers();
            var merged = Merge(outside, whole, current);
            whole.Generation = Math.Max(whole.Generation, outside.Generation);
            await WriteBothAsync(vault, whole, whole.Generation, current).ConfigureAwait(false);
            string[] kept = [.. whole.Existing.Select(record => record.Name).Where(name => outside.Secrets.GetValueOrDefault(name) is { IsRemovedOutside: true })];
            return new KeyRecovery(merged, kept, IsFromFormerFile: true);
        }
        finally
        {
            vault.Forget();
        }
    }

    private static async ValueTask WriteBothAsync(FileVault vault, VaultDocument document, long from, DataKey key)
    {
        IReadOnlyList<LedgerEvent> events = [.. VaultEvents.OfOutside(document), new(LedgerKind.Merged, Source: VaultEvents.Store, Purpose: vault.Settings.Purpose)];
        using var plaintext = await vault.CommitAsync(document, from, events, writes: 2, acceptsOlder: true).ConfigureAwait(false);
        vault.ReplaceBoth(plaintext, document, key);
    }

    // a kill in the middle of a replace leaves the state before it, or the new one, under the temporary name
    private static VaultDocument? FindNewestFormer(VaultFolder folder, VaultSettings settings)
    {
        var former = folder.Tokens.TryOpenWithAnyKey(settings.FormerVaultFile);
        var temporary = folder.Tokens.TryOpenWithAnyKey(settings.VaultFile + FileReplacement.TemporarySuffix);
        return temporary is { HasHistory: true } && temporary.Generation > (former?.Generation ?? -1) ? temporary : former;
    }

    private static List<string> Merge(VaultDocument outside, VaultDocument whole, DataKey key)
    {
        var merged = new List<string>();
        foreach (var record in outside.Existing)
        {
            // what that program only remembered is not what it wrote
            if (outside.HasHistory && !record.IsChangedOutside)
            {
                continue;
            }

            var value = record.Current!.Value!.Value;
            var target = whole.GetOrAdd(record.Name);
            if (target.Current?.Value is not { } known || !JsonToken.AreSame(known, value))
            {
                VaultReader.AddExternal(target, value, record.Current.Created, key);
                merged.Add(record.Name);
            }
        }

        return merged;
    }

    private static async ValueTask<OpenedVault?> TryOpenAsync(VaultFolder folder, CancellationToken cancellationToken)
    {
        try
        {
            return await folder.OpenAsync(isBeginning: false, cancellationToken).ConfigureAwait(false);
        }
        catch (VaultOpenException)
        {
            return null;
        }
    }

    /// <summary>Looks at the key, without changing anything.</summary>
    internal static async ValueTask<KeyStatus> GetStatusAsync(FileVault vault, CancellationToken cancellationToken)
    {
        var settings = vault.Settings;
        var keys = settings.Keys;
        OpenedVault? opened = null;
        VaultOpenException? problem = null;
        try
        {
            opened = await vault.OpenAsync(cancellationToken).ConfigureAwait(false);
            problem = opened.Key is null ? new VaultOpenException($"there is no vault in '{settings.Directory}'", $"make one: {settings.InitCommand}") : null;
        }
        catch (VaultOpenException e)
        {
            problem = e;
        }

        DateTimeOffset? created = keys.IsGiven || !File.Exists(keys.Path) ? null : new DateTimeOffset(File.GetLastWriteTimeUtc(keys.Path));
        return new KeyStatus(
            keys.IsGiven ? "environment" : "file",
            keys.IsGiven ? null : keys.Path,
            !keys.IsGiven && keys.IsBeside(settings.Directory),
            problem is null,
            created,
            keys.HasFormer,
            keys.IsRotating || opened is { NextKeyPath: not null },
            problem);
    }
}
