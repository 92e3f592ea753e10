using System.Text;
using Mallku.Secrets.Files;
using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Vault;

/// <summary>
/// A vault and its ledger, which commit together: the ledger's entry is durable first, then the vault is replaced, which
/// carries the generation that the entry names and the newest checkpoint. Safe for concurrent use.
/// </summary>
internal sealed partial class VaultLedger(VaultSettings settings)
{
    private static readonly TimeSpan PatienceWhenOff = TimeSpan.FromSeconds(1);
    private LedgerSession? _session;
    private int _offIsNoted;

    internal LedgerFolder Folder { get; } = new(settings.LedgerDirectory);

    private LedgerActor Actor => LedgerActors.Current with { Voice = settings.Voice };

    /// <summary>Refuses a vault whose ledger has another key than the one that is pinned, or that has none.</summary>
    /// <exception cref="LedgerException">It is.</exception>
    internal void RequirePinned(VaultDocument document)
    {
        if (settings.LedgerPin is { } pin)
        {
            // from the seed that is there now, not from the session of before
            using var key = document.Ledger is { } link ? LedgerKey.TryImport(link.Origin, link.Seed.Span) ?? throw LedgerSession.Damaged() : null;
            pin.Require($"the vault '{settings.Directory}'", key?.Verifier);
        }
    }

    /// <summary>Records what was done with a vault as it was opened; durable when it returns.</summary>
    /// <returns>The checkpoint that has it, which was read after the vault; null where that has no ledger yet, or it is switched off.</returns>
    /// <exception cref="LedgerException">It can't be recorded, or the ledger is not what the vault says.</exception>
    internal async ValueTask<Checkpoint?> RecordAsync(VaultDocument document, IReadOnlyList<LedgerEvent> events)
    {
        if (document.Ledger is not { } link)
        {
            return settings.WitnessFile is null ? RequireNone() : await AskWitnessAsync(RequireNone).ConfigureAwait(false);
        }

        if (!settings.UsesLedger)
        {
            await NoteOffAsync(link).ConfigureAwait(false);
            return null;
        }

        var session = GetSession(link);
        var batch = new LedgerBatch(HideNames(session, document, events), Actor, session.ReadKnown(link.Checkpoint), step: null);
        return (await session.Queue.AppendAsync(batch).ConfigureAwait(false)).Checkpoint;
    }

    /// <summary>What <see cref="RecordAsync"/> would return or end with, found without writing.</summary>
    /// <exception cref="LedgerException">It could not be recorded.</exception>
    internal Checkpoint? Try(VaultDocument document)
    {
        if (document.Ledger is not { } link)
        {
            return RequireNone();
        }

        if (!settings.UsesLedger)
        {
            return null;
        }

        var session = GetSession(link);
        return session.Try(session.ReadKnown(link.Checkpoint));
    }

    /// <summary>Holds the ledger against the witness's file, as a use does before it is recorded.</summary>
    /// <exception cref="LedgerException">It does not go on from what is there, or that can't be told, or not be written.</exception>
    internal async ValueTask TryWitnessAsync(VaultDocument document)
    {
        if (settings is { WitnessFile: { } file, UsesLedger: true } && Find(document) is { } session)
        {
            await AskWitnessAsync(() =>
            {
                var (newest, note) = session.ReadNewest();
                var witness = new WitnessFile(file, settings.Clock);
                witness.Require(new LedgerState(Folder, newest, Encoding.UTF8.GetBytes(note)), session.Key.Verifier, isRestart: false, orphan: null);
                witness.RequireWritable();
                return newest;
            }).ConfigureAwait(false);
        }
    }

    // the witness may lie on a mount that does not answer
    private async Task<Checkpoint?> AskWitnessAsync(Func<Checkpoint?> question)
    {
        try
        {
            return await Task.Factory.StartNew(question, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)
                .WaitAsync(settings.LedgerPatience).ConfigureAwait(false);
        }
        catch (TimeoutException e)
        {
            throw new WitnessFile(settings.WitnessFile!, settings.Clock).Unanswered(settings.LedgerPatience, e);
        }
    }

    private Checkpoint? RequireNone()
    {
        if (settings.UsesLedger)
        {
            var isOwn = Whose() == Owner.ThisVault;
            if (FindUnknown(isOwn) is { } unknown)
            {
                throw Unknown(unknown);
            }

            WitnessInspection.Find(settings)?.RequireNone(isOwn ? Folder : null);
        }

        return null;
    }

    /// <summary>
    /// The first half of a change: its entries are durable when it returns, and the document has the generation and the
    /// checkpoint with which it is to be written.
    /// </summary>
    /// <param name="document">What will be written; its ledger is begun if it has none.</param>
    /// <param name="from">The generation of the vault that is there; 0 for none.</param>
    /// <param name="events">What changes.</param>
    /// <param name="writes">How many generations the change takes.</param>
    /// <param name="acceptsOlder">Whether a person has said that an older vault is to be used.</param>
    /// <param name="putBack">The generation of the file that he has put there, where <paramref name="from"/> is another state's.</param>
    /// <exception cref="LedgerException">They can't be recorded; the vault must not be written.</exception>
    internal async ValueTask CommitAsync(
        VaultDocument document, long from, IReadOnlyList<LedgerEvent> events, int writes, bool acceptsOlder, long? putBack)
    {
        RequirePinned(document);
        if (!settings.UsesLedger)
        {
            document.Generation = from + writes;
            if (document.Ledger is { } off)
            {
                await NoteOffAsync(off).ConfigureAwait(false);
                var newest = TryReadNewest(off);
                // a generation that the ledger has planned is not used for another change
                document.Generation = Math.Max(from, newest?.Checkpoint.ToGeneration ?? 0) + writes;
                document.Ledger = off with
                {
                    IsSuspended = true,
                    // what the ledger has told already begins anew
                    SuspendedAt = off.IsSuspended && !(newest?.Checkpoint.FromGeneration >= from) ? off.SuspendedAt : putBack ?? from,
                    Checkpoint = newest?.Note ?? off.Checkpoint,
                };
            }

            else if (events.Any(static happened => happened.Kind == LedgerKind.Restored) && FindUnknown(Whose() == Owner.ThisVault) is not null)
            {
                throw new LedgerException("the ledger that this vault knows nothing of can't be given up while it is switched off; nothing was changed", "do the same without --no-ledger and MALLKU_NO_LEDGER");
            }

            return;
        }

        var isBeginning = document.Ledger is null;
        var isOwn = isBeginning && RequireOwn();
        // who gives one up has set it aside
        var isGivenUp = events.Any(static happened => happened.Kind == LedgerKind.Restarted);
        var unknown = isBeginning && !isGivenUp ? FindUnknown(isOwn) : null;
        if (unknown is not null && !acceptsOlder)
        {
            throw Unknown(unknown);
        }

        var isOrphaned = unknown is not null;
        byte[]? orphan = null;
        string? aside = null;
        var link = document.Ledger ?? Begin(document, out orphan, out aside);
        var session = GetSession(link);
        var step = new VaultStep(from, writes, link.IsSuspended, acceptsOlder) { SuspendedAt = link.SuspendedAt, PutBack = putBack };
        // whoever makes a vault anew gives up what he finds, and may not know that there was one
        var isRestart = isBeginning && (isGivenUp || events.Any(static happened => happened.Kind == LedgerKind.Restored) || (isOrphaned && from > 0));
        IReadOnlyList<LedgerEvent> all = isBeginning ? [new LedgerEvent(LedgerKind.Opened), .. isOrphaned ? GivenUp() : [], .. events] : events;
        var batch = new LedgerBatch(HideNames(session, document, all), Actor, isBeginning ? null : session.ReadKnown(link.Checkpoint), step)
        {
            IsRestart = isRestart,
            Orphan = isOrphaned ? null : orphan,
        };
        LedgerCommit commit;
        try
        {
            commit = await session.Queue.AppendAsync(batch).ConfigureAwait(false);
        }
        catch (LedgerException e) when (e.Late is null && aside is not null && isOrphaned)
        {
            // nobody knows of the new one, and who gave the other one up must find it
            PutBack(aside, isNotWritten: true);
            throw;
        }

        document.Generation = commit.Generation;
        document.Ledger = link with { Checkpoint = commit.Note, IsSuspended = false, SuspendedAt = null };
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

    private LedgerLink Begin(VaultDocument document, out byte[]? orphan, out string? aside)
    {
        (orphan, aside) = (null, null);
        try
        {
            if (Posix.TryStat(Folder.Path, out var facts))
            {
                PrivateFile.Require(facts, Folder.Path);
                // Whose it is was asked before. It was begun by somebody who was cut off before the vault was written, be it after
                // the first entry and before the first checkpoint, or the vault is from before it: its key is gone.
                if (File.Exists(Folder.CheckpointFile) || Folder.FindSegments().Count > 0)
                {
                    orphan = LedgerFolder.ReadNote(Folder.CheckpointFile);
                    aside = SetAside();
                }
            }

            if (!Folder.Exists)
            {
                MakeFolder();
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException || (e is SecretsException and not LedgerException))
        {
            throw LedgerErrors.CannotWrite(Folder, e);
        }

        document.UsesPseudonyms |= settings.UsesPseudonyms;
        using var key = LedgerKey.Generate(settings.Keys.ReadCurrent()!, settings.Directory);
        return new LedgerLink(key.Origin, document.Own(key.ExportSeed()), "", IsSuspended: false);
    }

    private void MakeFolder()
    {
        try
        {
            Posix.CreateFolder(Folder.Path);
        }
        catch (PosixException e)
        {
            throw LedgerErrors.CannotBegin(Folder, settings.Directory, e);
        }

        FileReplacement.FlushFolder(Folder.Path);
    }

    private LedgerSession GetSession(LedgerLink link)
    {
        if (Volatile.Read(ref _session) is { } known && known.Key.Origin == link.Origin)
        {
            return known;
        }

        var session = Open(link, settings.LedgerPatience);
        Volatile.Write(ref _session, session);
        return session;
    }

    private LedgerSession Open(LedgerLink link, TimeSpan patience) => LedgerSession.Open(
        new LedgerUse(Folder.Path, patience, settings.BlocksForLedger, settings.Clock, settings.WitnessFile, settings.WitnessCommand), link.Origin, link.Seed.Span);

    // once, and where it is possible: that the ledger can't be written may be why it is off
    private async ValueTask NoteOffAsync(LedgerLink link)
    {
        try
        {
            if (Interlocked.Exchange(ref _offIsNoted, 1) == 0 && !LedgerLog.EndsWith(Folder, LedgerKind.Suspended))
            {
                var session = Open(link, PatienceWhenOff);
                await session.Queue.AppendAsync(new LedgerBatch([new LedgerEvent(LedgerKind.Suspended, Purpose: settings.Purpose)], Actor, session.ReadKnown(link.Checkpoint), step: null))
                    .ConfigureAwait(false);
            }
        }
        catch (LedgerException)
        {
        }
    }

    /// <summary>The newest checkpoint with its note; null where there is none that goes on from what the vault knows.</summary>
    internal (Checkpoint Checkpoint, string Note)? TryReadNewest(LedgerLink link)
    {
        try
        {
            var session = GetSession(link);
            var newest = session.ReadNewest();
            return newest.Checkpoint.Size >= session.ReadKnown(link.Checkpoint).Size ? newest : null;
        }
        catch (Exception e) when (e is SecretsException or IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
