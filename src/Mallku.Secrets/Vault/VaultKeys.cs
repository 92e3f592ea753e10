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

/// <summary>The life of the vault's data key: its state and its rotation.</summary>
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

        return await vault.WriteAsync(opened => RotateAsync(vault, opened, cancellationToken), cancellationToken).ConfigureAwait(false);
    }

    private static async ValueTask<KeyRotation> RotateAsync(FileVault vault, OpenedVault opened, CancellationToken cancellationToken)
    {
        foreach (var file in opened.SecretFiles)
        {
            if (file.Error is { } error)
            {
                throw error;
            }
        }

        var keys = vault.Settings.Keys;
        using var keyLock = await keys.LockAsync(vault.Settings.Patience, cancellationToken).ConfigureAwait(false);
        // what the last step needs is looked at before the first
        keys.ReadFormer();
        IReadOnlyList<LedgerEvent> events = [.. VaultEvents.OfOutside(opened.Document), new(LedgerKind.KeyRotated, Source: VaultEvents.Store, Purpose: vault.Settings.Purpose)];
        using var unchanged = vault.Writer.ComposeUnrecorded(opened);
        using var plaintext = await vault.Writer.CommitAsync(opened.Document, opened.Generation, events, unchanged is null ? 1 : 2).ConfigureAwait(false);
        try
        {
            var next = keys.PrepareNext();
            vault.Writer.Record(unchanged, opened.Key!);
            vault.Writer.Replace(plaintext, next);
        }
        catch (SecretsException)
        {
            TakeBackNext(vault.Settings, opened.Key!);
            throw;
        }

        Promote(keys);
        opened.RemoveAbsorbed();
        return new KeyRotation(keys.Path, keys.FormerPath, opened.Document.Existing.Count(), opened.Absorbed);
    }

    // The vault may be under it already: only where the disk says that it is not may it go. Else the next write knows.
    private static void TakeBackNext(VaultSettings settings, DataKey current)
    {
        try
        {
            FileReplacement.FlushFolder(settings.VaultFile);
            if (PrivateFile.Read(settings.VaultFile, out _) is { } token && TokenOpener.TryOpen(token, [current], settings.VaultFile) is { } document)
            {
                document.Dispose();
                settings.Keys.Settle(nextPath: null);
            }
        }
        catch (Exception e) when (e is SecretsException or IOException)
        {
            // the first error is the one to tell
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
