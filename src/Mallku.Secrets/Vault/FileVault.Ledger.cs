using Mallku.Secrets.Ledger;
using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Vault;

// what the vault's ledger is told, and asked
internal sealed partial class FileVault
{
    /// <summary>Records what was done with the vault, durably.</summary>
    /// <returns>
    /// A checkpoint that has the events; null where there is no ledger. And what is wrong with the vault or the ledger, though
    /// the ledger has them; null where nothing is.
    /// </returns>
    /// <exception cref="SecretsException">It can't be recorded.</exception>
    internal async ValueTask<(Checkpoint? Checkpoint, LedgerException? Fault)> RecordAsync(IReadOnlyList<LedgerEvent> events, CancellationToken cancellationToken)
    {
        await EnsureMadeAsync(cancellationToken).ConfigureAwait(false);

        // how it is recorded is for the vault to say, as it is now and not when it was last read
        GetChangeStamp(Environment.TickCount64);
        var document = (await OpenAsync(cancellationToken).ConfigureAwait(false)).Document;
        if (document.Ledger is null && settings.UsesLedger && events.Any(static happened => SealedStore.IsSource(happened.Source)))
        {
            document = await BeginLedgerAsync(cancellationToken).ConfigureAwait(false);
        }

        for (var tries = 1; ; tries++)
        {
            try
            {
                return await RecordInAsync(document, events, cancellationToken).ConfigureAwait(false);
            }
            catch (LedgerException e) when (e.MayBeReplaced && tries < MostTries)
            {
                if (await ReopenReplacedAsync(document, cancellationToken).ConfigureAwait(false) is not { } again)
                {
                    throw;
                }

                document = again.Document;
            }
        }
    }

    // What is read and changed in the vault itself begins the ledger with the vault's next write. A shared store has no other
    // ledger here, and what happens there may not stay without one.
    private async ValueTask<VaultDocument> BeginLedgerAsync(CancellationToken cancellationToken)
    {
        await WriteAsync(
            async opened => opened.Document.Ledger is not null || await CommitAsync(opened, static (_, _) => true).ConfigureAwait(false), cancellationToken).ConfigureAwait(false);
        Forget();
        return (await OpenAsync(cancellationToken).ConfigureAwait(false)).Document;
    }

    private async ValueTask<(Checkpoint? Checkpoint, LedgerException? Fault)> RecordInAsync(VaultDocument document, IReadOnlyList<LedgerEvent> events, CancellationToken cancellationToken)
    {
        try
        {
            return await Ledger.RecordAsync(document, events).ConfigureAwait(false) is { } recorded
                ? (recorded, await FindGenerationFaultAsync(document, recorded, cancellationToken).ConfigureAwait(false))
                : default;
        }
        catch (LedgerException e) when (e.IsRecorded)
        {
            return (null, e);
        }
    }

    // where somebody is giving the ledger up, he has the folder's lock until the vault knows of the next one
    private async ValueTask<OpenedVault?> ReopenReplacedAsync(VaultDocument known, CancellationToken cancellationToken)
    {
        if (!File.Exists(settings.LockFile))
        {
            return null;
        }

        try
        {
            await LockedAsync(static () => new ValueTask<bool>(true), cancellationToken).ConfigureAwait(false);
            var again = await OpenAsync(cancellationToken).ConfigureAwait(false);
            return again.Document.Ledger?.Origin == known.Ledger?.Origin ? null : again;
        }
        catch (SecretsException)
        {
            // the first error is the one to tell
            return null;
        }
    }

    /// <summary>What <see cref="RecordAsync"/> would end with now, found without recording anything.</summary>
    /// <exception cref="SecretsException">Nothing can be recorded.</exception>
    internal async ValueTask<LedgerException?> TryRecordAsync(CancellationToken cancellationToken)
    {
        await EnsureMadeAsync(cancellationToken).ConfigureAwait(false);
        return await LookAtLedgerAsync(
            await OpenAsync(cancellationToken).ConfigureAwait(false), opened => TryRecordAsync(opened.Document, cancellationToken), static fault => fault is not null, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>The same for who holds the folder's lock, which nobody can give the ledger up without.</summary>
    /// <inheritdoc cref="TryRecordAsync(CancellationToken)"/>
    internal async ValueTask<LedgerException?> TryRecordLockedAsync(CancellationToken cancellationToken) =>
        await TryRecordAsync((await OpenAsync(cancellationToken).ConfigureAwait(false)).Document, cancellationToken).ConfigureAwait(false);

    private async ValueTask<LedgerException?> TryRecordAsync(VaultDocument document, CancellationToken cancellationToken)
    {
        await Ledger.TryWitnessAsync(document).ConfigureAwait(false);
        return Ledger.Try(document) is { } newest ? await FindGenerationFaultAsync(document, newest, cancellationToken).ConfigureAwait(false) : null;
    }

    /// <summary>The ledger as it is now; null where there is none yet, or it is switched off.</summary>
    /// <exception cref="SecretsException">The vault can't be opened, or its ledger not be read.</exception>
    internal async ValueTask<LedgerView?> ViewLedgerAsync(CancellationToken cancellationToken)
    {
        if (!settings.UsesLedger || !IsMade)
        {
            return null;
        }

        GetChangeStamp(Environment.TickCount64);
        return await LookAtLedgerAsync(
            await OpenAsync(cancellationToken).ConfigureAwait(false), opened => new ValueTask<LedgerView?>(ViewLedger(opened.Document)), isWrong: static _ => false, cancellationToken).ConfigureAwait(false);
    }

    private LedgerView? ViewLedger(VaultDocument document)
    {
        if (Ledger.Find(document) is not { } session)
        {
            return null;
        }

        var (checkpoint, note) = session.ReadNewest();
        return new LedgerView(Ledger.Folder, session.Key, checkpoint, note) { Pseudonyms = document.UsesPseudonyms ? session.Key.Pseudonyms : null };
    }

    /// <summary>
    /// Looks into the ledger that the vault knows, and where something is wrong with it and somebody has begun another one
    /// meanwhile, into that: what is seen is as it was before he did, or as it is after it.
    /// </summary>
    /// <param name="opened">The vault as it was opened.</param>
    /// <param name="look">The look, which may be taken again.</param>
    /// <param name="isWrong">Whether what it has found is a fault.</param>
    /// <param name="cancellationToken">Ends the wait for who is giving the ledger up.</param>
    internal async ValueTask<T> LookAtLedgerAsync<T>(
        OpenedVault opened, Func<OpenedVault, ValueTask<T>> look, Predicate<T> isWrong, CancellationToken cancellationToken)
    {
        for (var tries = 1; ; tries++)
        {
            OpenedVault? again;
            try
            {
                var found = await look(opened).ConfigureAwait(false);
                again = tries < MostTries && isWrong(found) ? await ReopenReplacedAsync(opened.Document, cancellationToken).ConfigureAwait(false) : null;
                if (again is null)
                {
                    return found;
                }
            }
            catch (Exception e) when (tries < MostTries && e is LedgerException or IOException or UnauthorizedAccessException)
            {
                again = await ReopenReplacedAsync(opened.Document, cancellationToken).ConfigureAwait(false);
                if (again is null)
                {
                    throw;
                }
            }

            opened = again;
        }
    }

    /// <summary>What to say where the vault is older than its ledger, or newer.</summary>
    /// <param name="document">The vault as it was opened before the checkpoint was read, so that it can't be newer by itself.</param>
    /// <param name="newest">The ledger's newest checkpoint.</param>
    /// <param name="cancellationToken">Ends the wait for a second look.</param>
    internal async ValueTask<LedgerException?> FindGenerationFaultAsync(VaultDocument document, Checkpoint newest, CancellationToken cancellationToken)
    {
        if (Reaches(document, newest))
        {
            return document.Ledger is { IsSuspended: false } && document.Generation > newest.ToGeneration
                ? LedgerErrors.OlderLedger(document.Generation, newest.ToGeneration)
                : null;
        }

        // It may be overtaken by a writer, and an older vault that somebody put back looks the same. Held against the
        // checkpoint from before this look, it can't be called old for writers who go on meanwhile.
        Forget();
        var again = (await OpenAsync(cancellationToken).ConfigureAwait(false)).Document;
        return Reaches(again, newest) ? null
            : again.Generation < newest.FromGeneration ? LedgerErrors.OlderVault(again.Generation, newest.ToGeneration)
            : LedgerErrors.OlderVaultChanged(again.Ledger!.SuspendedAt, newest.ToGeneration);

        static bool Reaches(VaultDocument document, Checkpoint newest) => document.Ledger is not { } link
            || (document.Generation >= newest.FromGeneration
                && !(link.IsSuspended && VaultStep.WasPutBack(document.Generation, link.SuspendedAt, newest.FromGeneration)));
    }
}
