using Mallku.Secrets.Files;
using Mallku.Secrets.Keys;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Vault;

/// <summary>What a recovery did.</summary>
/// <param name="Names">The secrets whose values came from another program.</param>
/// <param name="Kept">The secrets that the other program had removed and that are still there.</param>
/// <param name="IsFromFormerFile">Whether the rest came from the former file, which is from before the last write.</param>
/// <param name="DamagedFile">Where a vault that nobody can open is kept, or null.</param>
/// <param name="AsIs">What became of a vault file that was used as it was, where nothing was merged.</param>
internal sealed record KeyRecovery(
    IReadOnlyList<string> Names, IReadOnlyList<string> Kept, bool IsFromFormerFile, string? DamagedFile = null, StateTaken? AsIs = null);

/// <summary>A vault file that is used as it was.</summary>
/// <param name="Secrets">How many secrets it has.</param>
/// <param name="Removed">The secrets of the state before that are not in it: their numbers are kept, as of removed ones.</param>
/// <param name="IsUntold">Whether the ledger, which is switched off, could not be told, and asks once more where it is on again.</param>
internal sealed record StateTaken(int Secrets, IReadOnlyList<string> Removed, bool IsUntold);

/// <summary>
/// Brings a vault back that another program wrote over, that a person put back, or that is damaged: from the newest whole
/// state and what the other program changed. Whatever it writes has a generation above all that are there, and uses no
/// version's number that a lost write may have used.
/// </summary>
internal static class VaultRecovery
{
    /// <summary>Recovers the vault. What no state has is lost; what one has is kept.</summary>
    /// <param name="vault">The vault.</param>
    /// <param name="asIs">Whether the vault file is to be used as it is, since a person put it there.</param>
    /// <param name="cancellationToken">Ends the wait for the lock.</param>
    /// <exception cref="SecretsException">There is nothing to recover, or no key opens what there is.</exception>
    internal static ValueTask<KeyRecovery> RecoverAsync(FileVault vault, bool asIs, CancellationToken cancellationToken) =>
        vault.LockedAsync(() => RecoverLockedAsync(vault, asIs, cancellationToken), cancellationToken);

    private static async ValueTask<KeyRecovery> RecoverLockedAsync(FileVault vault, bool asIs, CancellationToken cancellationToken)
    {
        var settings = vault.Settings;
        var folder = new VaultFolder(settings);
        if (!asIs && await TryOpenAsync(folder, cancellationToken).ConfigureAwait(false) is { } opened)
        {
            // one that opens may be one that its ledger refuses
            if (await vault.TryRecordLockedAsync(cancellationToken).ConfigureAwait(false) is { } fault)
            {
                throw fault;
            }

            var names = folder.SecretFiles.TakeOver(opened);
            return names.Count > 0 ? new KeyRecovery(names, [], IsFromFormerFile: false) : throw new SecretsException("there is nothing to recover: the vault opens", "go on as usual");
        }

        var key = settings.Keys.ReadCurrent() ?? throw new VaultOpenException($"the key '{settings.Keys.Path}' is gone", "put the key file back");
        FinishReplace(folder.Tokens, settings, below: long.MaxValue);
        using var outside = TryOpenOutside(folder.Tokens, settings);
        using var former = folder.Tokens.TryOpenWithAnyKey(settings.FormerVaultFile);
        if (former is null && File.Exists(settings.FormerVaultFile))
        {
            throw new VaultOpenException(
                $"no key that is there opens the former file '{settings.FormerVaultFile}', so there is nothing to merge with",
                "name the key file that it was written with by MALLKU_KEY_FILE (and unset MALLKU_ENCRYPTION_KEY), with its former keys beside it in FILE.previous, or put a backup in its place");
        }

        return outside is not null && (asIs || former is null || (outside.HasHistory && outside.Generation > former.Generation))
            ? await TakeAsIsAsync(vault, outside, former, key, cancellationToken).ConfigureAwait(false)
            : await MergeAsync(vault, outside, former ?? throw NothingOpens(settings), key).ConfigureAwait(false);
    }

    /// <summary>
    /// Finishes a replace that was cut off between its two steps: the state before it lies under the temporary name, and
    /// becomes the former file. Anything else that lies there stays.
    /// </summary>
    /// <param name="tokens">Opens it.</param>
    /// <param name="settings">Where it lies.</param>
    /// <param name="below">The generation of the vault, which the former one is below.</param>
    /// <exception cref="SecretsException">It could not be renamed.</exception>
    internal static void FinishReplace(TokenOpener tokens, VaultSettings settings, long below)
    {
        var temporary = settings.VaultFile + FileReplacement.TemporarySuffix;
        if (!File.Exists(temporary))
        {
            return;
        }

        using var state = TryOpen(tokens, temporary);
        using var former = TryOpen(tokens, settings.FormerVaultFile);
        if (state is { HasHistory: true } && state.Generation < below && state.Generation > (former?.Generation ?? -1))
        {
            FileReplacement.Rename(temporary, settings.FormerVaultFile);
        }
    }

    private static async ValueTask<KeyRecovery> TakeAsIsAsync(
        FileVault vault, VaultDocument outside, VaultDocument? former, DataKey key, CancellationToken cancellationToken)
    {
        // another program knows of no generations
        long? putBack = outside.HasHistory ? outside.Generation : null;
        if (former is not null)
        {
            outside.UseNoNumbersOf(former, vault.Settings.Clock.GetUtcNow());
            outside.Generation = Math.Max(outside.Generation, former.Generation);
            outside.Ledger ??= former.Ledger;
            outside.UsesPseudonyms |= former.UsesPseudonyms;
        }

        outside.SkipNumbers();

        await WriteBothAsync(vault, outside, LedgerKind.Restored, key, putBack).ConfigureAwait(false);
        string[] removed = [.. former?.Existing.Select(record => record.Name).Where(name => outside.Find(name)?.Current is null) ?? []];
        return new KeyRecovery([], [], IsFromFormerFile: false, AsIs: new StateTaken(outside.Existing.Count(), removed, await IsUntoldAsync(vault, outside, cancellationToken).ConfigureAwait(false)));
    }

    private static async ValueTask<bool> IsUntoldAsync(FileVault vault, VaultDocument taken, CancellationToken cancellationToken) =>
        !vault.Settings.UsesLedger && taken.Ledger is { } link && vault.Ledger.TryReadNewest(link) is { } newest
        && await vault.FindGenerationFaultAsync(taken, newest.Checkpoint, cancellationToken).ConfigureAwait(false) is not null;

    private static async ValueTask<KeyRecovery> MergeAsync(FileVault vault, VaultDocument? outside, VaultDocument whole, DataKey key)
    {
        var damaged = outside is null ? KeepDamaged(vault.Settings) : null;
        whole.SkipNumbers();
        var merged = outside is null ? [] : Merge(outside, whole, key);
        whole.Generation = Math.Max(whole.Generation, outside?.Generation ?? 0);
        await WriteBothAsync(vault, whole, LedgerKind.Merged, key).ConfigureAwait(false);
        string[] kept = [.. whole.Existing.Select(record => record.Name).Where(name => outside?.Secrets.GetValueOrDefault(name) is { IsRemovedOutside: true })];
        return new KeyRecovery(merged, kept, IsFromFormerFile: true, damaged);
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

            var version = record.Current!;
            var target = whole.GetOrAdd(record.Name);
            var isKnown = target.Versions.Exists(known => known.Id == version.Id)
                || (target.Current?.Value is { } current && JsonToken.AreSame(current, version.Value!.Value));
            if (!isKnown)
            {
                VaultReader.AddExternal(target, version.Value!.Value, version.Created, key);
                merged.Add(record.Name);
            }
        }

        return merged;
    }

    private static async ValueTask WriteBothAsync(FileVault vault, VaultDocument document, LedgerKind kind, DataKey key, long? putBack = null)
    {
        var from = document.Generation;
        IReadOnlyList<LedgerEvent> events = [.. VaultEvents.OfOutside(document), new(kind, Source: VaultEvents.Store, Purpose: vault.Settings.Purpose)];
        using var plaintext = await vault.Writer.CommitAsync(document, from, events, writes: 2, acceptsOlder: true, putBack).ConfigureAwait(false);
        vault.Writer.ReplaceBoth(plaintext, document, key);
    }

    // nobody can open it now, which is no proof that nobody ever will
    private static string? KeepDamaged(VaultSettings settings)
    {
        if (!File.Exists(settings.VaultFile))
        {
            return null;
        }

        var kept = $"{settings.VaultFile}.damaged-{FileReplacement.Stamp(settings.Clock)}";
        FileReplacement.Copy(settings.VaultFile, kept);
        return kept;
    }

    private static VaultDocument? TryOpenOutside(TokenOpener tokens, VaultSettings settings)
    {
        try
        {
            return tokens.TryOpenWithAnyKey(settings.VaultFile);
        }
        catch (VaultOpenException e) when (e.IsDamage)
        {
            return null;
        }
    }

    private static VaultDocument? TryOpen(TokenOpener tokens, string path)
    {
        try
        {
            return tokens.TryOpenWithAnyKey(path);
        }
        catch (VaultOpenException)
        {
            return null;
        }
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

    private static VaultOpenException NothingOpens(VaultSettings settings) => new(
        $"no key that is there opens '{settings.VaultFile}', and there is no former file", "put a backup in its place");
}
