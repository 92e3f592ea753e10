using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Vault;

/// <summary>A vault's ledger with its key, to look into.</summary>
/// <param name="Vault">The vault.</param>
/// <param name="Opened">What the vault holds.</param>
/// <param name="Link">What it knows of its ledger.</param>
/// <param name="Session">The ledger.</param>
internal sealed record OpenedLedger(FileVault Vault, OpenedVault Opened, LedgerLink Link, LedgerSession Session)
{
    internal LedgerFolder Folder => Vault.Ledger.Folder;

    internal NoteVerifier Verifier => Session.Key.Verifier;

    /// <summary>What stands in it for the secrets' names.</summary>
    internal NamePseudonyms Pseudonyms => Session.Key.Pseudonyms;

    /// <exception cref="SecretsException">There is no vault, it can't be opened, or it has no ledger yet.</exception>
    internal static async ValueTask<OpenedLedger> OpenAsync(FileVault vault, CancellationToken cancellationToken)
    {
        var opened = await vault.RequireAsync(cancellationToken).ConfigureAwait(false);
        // one that should have a ledger, or is not the vault of before, is refused as a use of it is
        if (opened.Document.Ledger is null)
        {
            vault.Ledger.Try(opened.Document);
        }

        // what is wrong with one that is not just given up, its reader says
        opened = await vault.LookAtLedgerAsync(
            opened, static now => new ValueTask<OpenedVault>(now), now => now.Document.Ledger is { } known && vault.Ledger.TryReadNewest(known) is null, cancellationToken).ConfigureAwait(false);
        return opened.Document.Ledger is { } link && vault.Ledger.Find(opened.Document) is { } session
            ? new OpenedLedger(vault, opened, link, session)
            : throw new SecretsException($"{vault.Describe()} has no ledger yet", $"it begins with {vault.Settings.LedgerBeginsWith}: mallku set NAME");
    }

    /// <summary>The newest checkpoint as it lies on the disk, signed.</summary>
    /// <exception cref="LedgerException">There is none that this ledger's key signed.</exception>
    internal string ReadNote() => Session.ReadNewest().Note;

    /// <summary>
    /// The entries that were not archived, with the names that the vault knows, the oldest first, read as they are asked for.
    /// </summary>
    /// <param name="newest">How far they go; null for all.</param>
    /// <param name="after">A checkpoint of before: only what came since is read.</param>
    /// <param name="first">The index before which none is given.</param>
    /// <exception cref="LedgerException">A line is no entry, or something is gone.</exception>
    /// <exception cref="IOException">A file can't be read.</exception>
    internal IEnumerable<LedgerEntry> ReadEntries(Checkpoint? newest = null, Checkpoint? after = null, long first = 0) =>
        LedgerLog.ReadEntries(Folder, newest ?? Session.ReadCurrent(), after, first).Select(new KnownNames(Pseudonyms, Opened.Document.Secrets.Keys).Reveal);

    /// <summary>How each secret was used, those of the vault that never were included.</summary>
    internal IReadOnlyList<SecretUse> Report() => AccessReport.Make(
        ReadEntries(),
        Opened.Document.Existing.Select(record => new SecretFacts(record.Name, VaultEvents.Store, record.Current!.Number, record.Current.Created, [])));

    /// <summary>The uses since a moment that do not fit what came before them.</summary>
    internal IEnumerable<UnusualUse> FindUnusualUses(DateTimeOffset? since)
    {
        var newest = Session.ReadCurrent();
        var uses = new UnusualUses(UnusualUses.FindUnmade(ReadEntries(newest), Opened.Document.Generation));
        return ReadEntries(newest).SelectMany(uses.Add).Where(unusual => since is null || unusual.Entry.Time >= since);
    }

    /// <summary>Compares every entry with the signed checkpoints, with what the vault and the witness know, and with what somebody kept.</summary>
    internal ValueTask<LedgerVerification> VerifyAsync(IReadOnlyList<KeptNote> notes, Action<long, long>? progress, CancellationToken cancellationToken) =>
        Vault.LookAtLedgerAsync(Opened, opened => VerifyAsync(opened.Document, notes, progress, cancellationToken), static found => found.Fault is not null, cancellationToken);

    private async ValueTask<LedgerVerification> VerifyAsync(VaultDocument document, IReadOnlyList<KeptNote> notes, Action<long, long>? progress, CancellationToken cancellationToken)
    {
        var session = Vault.Ledger.Find(document)!;
        var known = new KeptCheckpoint(session.ReadKnown(document.Ledger!.Checkpoint), LedgerInspection.KeptByVault(document));
        var found = await new LedgerVerifier(Folder, session.Key.Verifier).VerifyAsync([.. notes, .. WitnessInspection.ReadNotes(Vault.Settings)], [known], progress, cancellationToken).ConfigureAwait(false);
        return found.Fault is null
            && await Vault.FindGenerationFaultAsync(document, found.Newest!, cancellationToken).ConfigureAwait(false) is { } other
                ? found with { Fault = new LedgerFault(Entry: null, Through: null, other.Problem, other.Remedy) }
                : found;
    }
}
