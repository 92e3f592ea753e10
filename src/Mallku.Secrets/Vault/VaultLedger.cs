using Mallku.Secrets.Files;
using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Vault;

/// <summary>
/// A vault and its ledger, which commit together: the ledger's entry is durable first, then the vault is replaced, which
/// carries the generation that the entry names and the newest checkpoint. Safe for concurrent use.
/// </summary>
internal sealed class VaultLedger(VaultSettings settings)
{
    private static readonly TimeSpan PatienceWhenOff = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LockPatience = TimeSpan.FromSeconds(5);
    private readonly Lock _gate = new();
    private LedgerSession? _session;
    private int _offIsNoted;

    internal LedgerFolder Folder { get; } = new(settings.LedgerDirectory);

    /// <summary>Records what was done with a vault as it was opened; durable when it returns.</summary>
    /// <returns>The checkpoint that has it; null where the vault has no ledger yet, or it is switched off.</returns>
    /// <exception cref="LedgerException">It can't be recorded, or the ledger is not what the vault says.</exception>
    internal async ValueTask<Checkpoint?> RecordAsync(VaultDocument document, IReadOnlyList<LedgerEvent> events)
    {
        if (document.Ledger is not { } link)
        {
            return settings.UsesLedger && IsOwnPlace && LedgerLog.IsInUse(Folder) ? throw Unknown() : null;
        }

        if (!settings.UsesLedger)
        {
            await NoteOffAsync(link).ConfigureAwait(false);
            return null;
        }

        var session = GetSession(link);
        var batch = new LedgerBatch(HideNames(session, document, events), session.ReadKnown(link.Checkpoint), step: null);
        var commit = await session.Queue.AppendAsync(batch).ConfigureAwait(false);
        // the ledger was read after the vault, so that it can't be behind by itself
        return document.Generation <= commit.Checkpoint.ToGeneration || link.IsSuspended
            ? commit.Checkpoint
            : throw LedgerAppender.OlderLedger(document.Generation, commit.Checkpoint.ToGeneration);
    }

    /// <summary>Whether a vault is no older than the ledger has seen it; false where it was replaced since it was opened, too.</summary>
    internal static bool Reaches(VaultDocument document, Checkpoint checkpoint) =>
        document.Generation >= checkpoint.FromGeneration || document.Ledger is null;

    /// <summary>
    /// The first half of a change: its entries are durable when it returns, and the document has the generation and the
    /// checkpoint with which it is to be written.
    /// </summary>
    /// <param name="document">What will be written; its ledger is begun if it has none.</param>
    /// <param name="from">The generation of the vault that is there; 0 for none.</param>
    /// <param name="events">What changes.</param>
    /// <param name="writes">How many generations the change takes.</param>
    /// <param name="acceptsOlder">Whether a person has said that an older vault is to be used.</param>
    /// <exception cref="LedgerException">They can't be recorded; the vault must not be written.</exception>
    internal async ValueTask CommitAsync(VaultDocument document, long from, IReadOnlyList<LedgerEvent> events, int writes, bool acceptsOlder)
    {
        if (!settings.UsesLedger)
        {
            document.Generation = from + writes;
            if (document.Ledger is { } off)
            {
                var newest = await NoteOffAsync(off).ConfigureAwait(false);
                // a generation that the ledger has planned is not used for another change
                document.Generation = Math.Max(from, newest?.Checkpoint.ToGeneration ?? 0) + writes;
                document.Ledger = off with { IsSuspended = true, Checkpoint = newest?.Note ?? off.Checkpoint };
            }

            return;
        }

        var isBeginning = document.Ledger is null;
        var isOrphaned = isBeginning && IsOwnPlace && LedgerLog.IsInUse(Folder);
        if (isOrphaned && !acceptsOlder)
        {
            throw Unknown();
        }

        var link = document.Ledger ?? Begin(document);
        var session = GetSession(link);
        var step = new VaultStep(from, writes, link.IsSuspended, acceptsOlder);
        IReadOnlyList<LedgerEvent> all = isBeginning ? [new LedgerEvent(LedgerKind.Opened), .. isOrphaned ? GivenUp() : [], .. events] : events;
        var batch = new LedgerBatch(HideNames(session, document, all), isBeginning ? null : session.ReadKnown(link.Checkpoint), step);
        var commit = await session.Queue.AppendAsync(batch).ConfigureAwait(false);
        document.Generation = commit.Generation;
        document.Ledger = link with { Checkpoint = commit.Note, IsSuspended = false };
    }

    /// <summary>
    /// Gives the ledger up that is there, or that should be, and begins a new one, whose entries say so. What is there is
    /// kept under another name.
    /// </summary>
    /// <returns>Where it is kept; null where there was nothing.</returns>
    /// <exception cref="SecretsException">The vault has no ledger, or it or the new ledger can't be written.</exception>
    internal static async ValueTask<string?> RestartAsync(FileVault vault, CancellationToken cancellationToken)
    {
        var (folderLock, opened) = await vault.BeginWriteAsync(cancellationToken).ConfigureAwait(false);
        using (folderLock)
        using (opened.Document)
        {
            var folder = vault.Ledger.Folder;
            var link = opened.Document.Ledger;
            if (link is null && !folder.Exists)
            {
                throw new SecretsException("there is no ledger yet", "it begins with the next write: mallku set NAME");
            }

            var kept = folder.Exists ? SetAside(folder, vault.Settings.Clock) : null;
            opened.Document.Ledger = null;
            var from = opened.Document.Generation;
            var note = link is null
                ? $"the vault, at generation {from}, knew of no ledger; one is {(kept is null ? "gone" : "kept as " + Path.GetFileName(kept))}"
                : $"the vault, at generation {from}, knew {link.Checkpoint.Split('\n').ElementAtOrDefault(1)} entries of {link.Origin}, which is {(kept is null ? "gone" : "kept as " + Path.GetFileName(kept))}";
            IReadOnlyList<LedgerEvent> events = [new(LedgerKind.Restarted, Purpose: vault.Settings.Purpose, Note: note), .. VaultEvents.OfOutside(opened.Document)];
            using var plaintext = await vault.CommitAsync(opened.Document, from, events).ConfigureAwait(false);
            try
            {
                vault.Replace(plaintext, opened.Key!);
                opened.RemoveAbsorbed();
            }
            finally
            {
                vault.Forget();
            }

            return kept;
        }
    }

    /// <summary>The ledger of an opened vault, to look into; null where it has none yet.</summary>
    /// <exception cref="LedgerException">The vault's record of it is damaged.</exception>
    internal LedgerSession? Find(VaultDocument document) => document.Ledger is { } link ? GetSession(link) : null;

    // the only way of a name into the ledger
    private static IReadOnlyList<LedgerEvent> HideNames(LedgerSession session, VaultDocument document, IReadOnlyList<LedgerEvent> events)
    {
        for (var i = 0; i < events.Count; i++)
        {
            if (NamePseudonyms.IsHidden(events[i], document.UsesPseudonyms))
            {
                return [.. events.Select(happened =>
                    NamePseudonyms.IsHidden(happened, document.UsesPseudonyms) ? happened with { Secret = session.Key.Pseudonyms.Of(happened.Secret!) } : happened)];
            }
        }

        return events;
    }

    // beside the vault there can be no other vault's ledger
    private bool IsOwnPlace => Path.GetDirectoryName(Folder.Path) == settings.Directory;

    private LedgerException Unknown() => new(
        $"the vault knows of no ledger, and one is in use in '{Folder.Path}': a vault from before it was put back",
        "put the newer one back, or, where the older one is wanted, say so: mallku audit restart");

    private LedgerEvent[] GivenUp() => [new(LedgerKind.Restarted, Purpose: settings.Purpose, Note: "the vault is from before the ledger that was in use, which is kept beside this one")];

    private LedgerLink Begin(VaultDocument document)
    {
        try
        {
            if (Posix.TryStat(Folder.Path, out var facts))
            {
                PrivateFile.Require(facts, Folder.Path);
                PutOrphanAside();
            }

            if (!Folder.Exists)
            {
                Posix.CreateFolder(Folder.Path);
                FileReplacement.FlushFolder(Folder.Path);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException || (e is SecretsException and not LedgerException))
        {
            throw LedgerAppender.CannotWrite(Folder, e);
        }

        document.UsesPseudonyms |= settings.UsesPseudonyms;
        using var key = LedgerKey.Generate();
        return new LedgerLink(key.Origin, document.Own(key.ExportSeed()), "", IsSuspended: false);
    }

    // The vault knows of no ledger, so that this one was begun by somebody who was cut off before the vault was written, be it
    // after the first entry and before the first checkpoint. Its key is gone.
    private void PutOrphanAside()
    {
        if (File.Exists(Folder.CheckpointFile) || Folder.FindSegments().Count > 0)
        {
            if (!IsOwnPlace)
            {
                throw new LedgerException(
                    $"'{Folder.Path}' holds a ledger that is not this vault's", "name another folder by MALLKU_LEDGER_DIR, or move away what is there");
            }

            SetAside(Folder, settings.Clock);
        }
    }

    /// <summary>Gives a ledger another name beside its place, so that a new one can begin.</summary>
    /// <exception cref="LedgerException">It could not be renamed.</exception>
    internal static string SetAside(LedgerFolder folder, TimeProvider clock)
    {
        int descriptor;
        try
        {
            descriptor = folder.LockWithin(LockPatience);
        }
        catch (IOException e)
        {
            throw LedgerAppender.CannotWrite(folder, e);
        }

        var aside = $"{folder.Path}.{clock.GetUtcNow():yyyyMMdd'T'HHmmssfff'Z'}";
        try
        {
            FileReplacement.Rename(folder.Path, aside);
            return aside;
        }
        catch (SecretsException e)
        {
            throw LedgerAppender.CannotWrite(folder, e);
        }
        finally
        {
            Posix.Close(descriptor);
        }
    }

    private LedgerSession GetSession(LedgerLink link)
    {
        lock (_gate)
        {
            if (_session?.Key.Origin != link.Origin)
            {
                _session = LedgerSession.Open(Folder, link.Origin, link.Seed.Span, settings.Voice, settings.LedgerPatience, settings.BlocksForLedger, settings.Clock);
            }

            return _session;
        }
    }

    // once, and where it is possible: that the ledger can't be written may be why it is off
    private async ValueTask<(Checkpoint Checkpoint, string Note)?> NoteOffAsync(LedgerLink link)
    {
        try
        {
            if (Interlocked.Exchange(ref _offIsNoted, 1) == 1 || LedgerLog.EndsWith(Folder, LedgerKind.Suspended))
            {
                return null;
            }

            var session = LedgerSession.Open(Folder, link.Origin, link.Seed.Span, settings.Voice, PatienceWhenOff, settings.BlocksForLedger, settings.Clock);
            var commit = await session.Queue.AppendAsync(new LedgerBatch([new LedgerEvent(LedgerKind.Suspended, Purpose: settings.Purpose)], session.ReadKnown(link.Checkpoint), step: null))
                .ConfigureAwait(false);
            return (commit.Checkpoint, commit.Note);
        }
        catch (LedgerException)
        {
            return null;
        }
    }
}
