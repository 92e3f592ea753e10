using System.Diagnostics.CodeAnalysis;
using System.Runtime.ExceptionServices;
using Mallku.Secrets.Files;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Vault;

/// <summary>
/// The encrypted vault in a <c>.secrets/</c> folder: what it holds now, and changes to it that are durable when they
/// return. Safe for concurrent use, in this process and by others.
/// </summary>
[SuppressMessage("Design", "CA1001", Justification = "A semaphore whose wait handle nobody asks for holds nothing to dispose of.")]
internal sealed class FileVault(VaultSettings settings)
{
    /// <summary>The most UTF-8 bytes that a value may have.</summary>
    internal const int MaxValueLength = 1 << 20;

    private const int MillisecondsBetweenLooks = 500;
    private readonly VaultFolder _folder = new(settings);
    private readonly VaultLedger _ledger = new(settings);
    private readonly SemaphoreSlim _opening = new(1, 1);
    private Look? _opened;
    private Failure? _failed;
    private long _stamp;
    private long _lastLook = Environment.TickCount64;

    internal VaultSettings Settings => settings;

    internal VaultLedger Ledger => _ledger;

    /// <summary>For who holds the folder's lock.</summary>
    internal VaultWriter Writer => field ??= new(settings, _folder.Tokens, _ledger);

    /// <summary>What the folder holds, as it was at most half a second ago.</summary>
    /// <exception cref="VaultOpenException">It can't be opened.</exception>
    internal async ValueTask<OpenedVault> OpenAsync(CancellationToken cancellationToken)
    {
        if (FindOpened() is { } opened)
        {
            return opened;
        }

        var asked = Environment.TickCount64;
        await _opening.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (FindOpened() is { } byAnother)
            {
                return byAnother;
            }

            if (_failed is { } failed && failed.Began >= asked)
            {
                // whoever waited for that look has its answer: a broken vault takes its time to be called so
                ExceptionDispatchInfo.Throw(failed.Error);
            }

            var stamp = Volatile.Read(ref _stamp);
            var began = Environment.TickCount64;
            try
            {
                var fresh = await ReadFolderAsync(isBeginning: false, cancellationToken).ConfigureAwait(false);
                if (fresh.Key is not null)
                {
                    _ledger.RequirePinned(fresh.Document);
                }

                Volatile.Write(ref _lastLook, Environment.TickCount64);
                Volatile.Write(ref _opened, new Look(fresh, stamp));
                return fresh;
            }
            catch (SecretsException e)
            {
                _failed = new Failure(e, began);
                throw;
            }
        }
        finally
        {
            _opening.Release();
        }
    }

    /// <summary>The same, where a vault must be there.</summary>
    /// <exception cref="VaultOpenException">There is none, or it can't be opened.</exception>
    internal async ValueTask<OpenedVault> RequireAsync(CancellationToken cancellationToken)
    {
        var opened = await OpenAsync(cancellationToken).ConfigureAwait(false);
        return opened.Key is null ? throw NoVault() : opened;
    }

    /// <summary>Another number when the folder may hold something else; looks at it every half second at most.</summary>
    internal long GetChangeStamp(long now)
    {
        var last = Volatile.Read(ref _lastLook);
        if (now - last >= MillisecondsBetweenLooks
            && Interlocked.CompareExchange(ref _lastLook, now, last) == last
            && FindOpened() is { } opened
            && opened.Watch.HasChanged())
        {
            Forget();
        }

        return Volatile.Read(ref _stamp);
    }

    /// <summary>Makes the next reader look at the folder.</summary>
    internal void Forget()
    {
        Volatile.Write(ref _opened, null);
        Interlocked.Increment(ref _stamp);
    }

    /// <summary>Adds a new version to each of the secrets, all in one write.</summary>
    /// <exception cref="SecretsException">A value is not allowed, or the vault can't be opened or written; nothing changed.</exception>
    internal async ValueTask<IReadOnlyList<SecretChange>> SetAsync(
        IReadOnlyList<KeyValuePair<SecretName, SecretValue>> values, SetOptions options, CancellationToken cancellationToken)
    {
        foreach (var (name, value) in values)
        {
            RequireValue(name, value, options);
        }

        return await ChangeAsync(
            (opened, events) =>
            {
                var changes = new List<SecretChange>(values.Count);
                foreach (var (name, value) in values)
                {
                    changes.Add(Set(opened, name, value, options, events));
                }

                return changes;
            },
            cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Drops every value of a secret; its numbers are never used again.</summary>
    /// <exception cref="SecretNotFoundException">The vault does not have it.</exception>
    internal async ValueTask<SecretChange> RemoveAsync(SecretName name, CancellationToken cancellationToken) =>
        await ChangeAsync(
            (opened, events) =>
            {
                var stored = VaultMatch.FindStored(opened, name) ?? throw new SecretNotFoundException(name.ToString(), Describe());
                if (opened.FindFileError(stored) is { } error)
                {
                    throw error;
                }

                var record = opened.Document.Find(stored)!;
                if (record.Rotation is not null || record.Misread == "rotation")
                {
                    throw new SecretsException($"a rotation of '{stored}' is under way; nothing was changed", $"give it up first: mallku rotate {stored} --abandon");
                }

                var change = new SecretChange(stored, record.Current!.Number, "vault", Created: false, opened.Absorbed);
                opened.Document.Remove(record, settings.Clock.GetUtcNow());
                events.Add(new LedgerEvent(LedgerKind.Removed, stored, change.Version, VaultEvents.Store, settings.Purpose));
                return change;
            },
            cancellationToken).ConfigureAwait(false);

    /// <summary>The versions of a secret, or null where the vault never had it.</summary>
    internal async ValueTask<SecretHistory?> GetHistoryAsync(SecretName name, CancellationToken cancellationToken)
    {
        var opened = await OpenAsync(cancellationToken).ConfigureAwait(false);
        var stored = VaultMatch.FindStored(opened, name) ?? name.ToString();
        if (!opened.Document.Secrets.TryGetValue(stored, out var record))
        {
            return null;
        }

        // no version is there yet of a key that is being made
        IReadOnlyList<SecretVersion> coming = record.Rotation is { } rotation && record.Get(rotation.Number) is null
            ? [new SecretVersion(rotation.Number, rotation.Id, SecretVersionState.Pending, rotation.Begun, rotation.Rotator)]
            : [];
        return new SecretHistory(stored, record.Removed, [.. VersionMoves.At(settings.Clock.GetUtcNow(), record.Facts).Concat(coming).OrderByDescending(version => version.Number)]);
    }

    /// <summary>Whether there is a vault, or there was one, or nobody can tell.</summary>
    internal bool IsMade
    {
        get
        {
            try
            {
                return _folder.HadVault || Posix.TryStat(settings.VaultFile, out _);
            }
            catch (PosixException)
            {
                // whoever opens it is told
                return true;
            }
        }
    }

    /// <summary>The vault in words, for an error.</summary>
    internal string Describe() => $"the vault '{settings.Directory}'";

    /// <summary>
    /// Does what is to be done under the folder's lock, to its end also where the disk takes longer than the caller waits:
    /// until then, nobody else writes.
    /// </summary>
    /// <exception cref="SecretsException">The lock can't be had, or the disk does not answer.</exception>
    internal async ValueTask<T> LockedAsync<T>(Func<ValueTask<T>> work, CancellationToken cancellationToken)
    {
        RequireFolder();
        var folderLock = await FolderLock.AcquireAsync(settings.LockFile, settings.Patience, TimeProvider.System, cancellationToken).ConfigureAwait(false);
        return await DiskWait.ForAsync(
            async () =>
            {
                using (folderLock)
                {
                    try
                    {
                        return await work().ConfigureAwait(false);
                    }
                    catch (PosixException e)
                    {
                        throw e.ToWriteError(settings.VaultFile);
                    }
                    finally
                    {
                        // also where an error leaves open whether the change is on the disk
                        Forget();
                    }
                }
            },
            settings.LedgerPatience + settings.DiskPatience + (settings.Keys.IsShared ? settings.Patience : TimeSpan.Zero),
            settings.Directory,
            "a change that was begun may still be made, or not: see mallku list and mallku audit log").ConfigureAwait(false);
    }

    /// <summary>The same with what is there, opened under the lock, when what others left half done is settled.</summary>
    /// <exception cref="SecretsException">The vault can't be opened, or not written.</exception>
    internal async ValueTask<T> WriteAsync<T>(Func<OpenedVault, ValueTask<T>> write, CancellationToken cancellationToken)
    {
        // the first writer here makes the lock's file
        var isBeginning = !File.Exists(settings.LockFile);
        if (isBeginning && _folder.HadVault)
        {
            // none in a mount point without its mount
            (await ReadFolderAsync(isBeginning: false, cancellationToken).ConfigureAwait(false)).Document.Dispose();
        }

        return await LockedAsync(
            async () =>
            {
                var opened = await ReadFolderAsync(isBeginning, cancellationToken).ConfigureAwait(false);
                using (opened.Document)
                {
                    if (opened.Key is null)
                    {
                        throw NoVault();
                    }

                    _ledger.RequirePinned(opened.Document);
                    await Writer.SettleInterruptedAsync(opened, cancellationToken).ConfigureAwait(false);
                    return await write(opened).ConfigureAwait(false);
                }
            },
            cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Makes the vault where it is to be made when it is needed.</summary>
    internal async ValueTask EnsureMadeAsync(CancellationToken cancellationToken)
    {
        if (!settings.IsMadeWhenNeeded || IsMade)
        {
            return;
        }

        try
        {
            await VaultCreation.CreateAsync(this, cancellationToken).ConfigureAwait(false);
        }
        catch (SecretsException) when (IsMade)
        {
            // by another process meanwhile
        }

        Forget();
    }

    /// <summary>Records what was done with the vault, durably.</summary>
    /// <returns>What is wrong with the vault or the ledger, though the ledger has the events; null where nothing is.</returns>
    /// <exception cref="SecretsException">It can't be recorded.</exception>
    internal async ValueTask<LedgerException?> RecordAsync(IReadOnlyList<LedgerEvent> events, CancellationToken cancellationToken)
    {
        await EnsureMadeAsync(cancellationToken).ConfigureAwait(false);

        // how it is recorded is for the vault to say, as it is now and not when it was last read
        GetChangeStamp(Environment.TickCount64);
        var document = (await OpenAsync(cancellationToken).ConfigureAwait(false)).Document;
        try
        {
            return await _ledger.RecordAsync(document, events).ConfigureAwait(false) is { } recorded
                ? await FindGenerationFaultAsync(document, recorded, cancellationToken).ConfigureAwait(false)
                : null;
        }
        catch (LedgerException e) when (e.IsRecorded)
        {
            return e;
        }
    }

    /// <summary>What <see cref="RecordAsync"/> would end with now, found without writing.</summary>
    /// <exception cref="SecretsException">Nothing can be recorded.</exception>
    internal async ValueTask<LedgerException?> TryRecordAsync(CancellationToken cancellationToken)
    {
        var document = (await OpenAsync(cancellationToken).ConfigureAwait(false)).Document;
        return _ledger.Try(document) is { } newest ? await FindGenerationFaultAsync(document, newest, cancellationToken).ConfigureAwait(false) : null;
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
        return Reaches(again, newest) ? null : LedgerErrors.OlderVault(again.Generation, newest.ToGeneration);

        static bool Reaches(VaultDocument document, Checkpoint newest) => document.Generation >= newest.FromGeneration || document.Ledger is null;
    }

    private async ValueTask<OpenedVault> ReadFolderAsync(bool isBeginning, CancellationToken cancellationToken)
    {
        using var activity = Telemetry.StartOpening();
        try
        {
            var opened = await _folder.OpenAsync(isBeginning, cancellationToken).ConfigureAwait(false);
            if (opened.Key is not null)
            {
                Telemetry.Opened();
            }

            return opened;
        }
        catch (Exception e)
        {
            Telemetry.OpeningFailed(activity, e);
            throw;
        }
    }

    // null when somebody changed the folder, or asked for a fresh look, since that look began
    private OpenedVault? FindOpened() =>
        Volatile.Read(ref _opened) is { } look && look.Stamp == Volatile.Read(ref _stamp) ? look.Vault : null;

    /// <summary>One write: the entries and what they say become durable together. Nothing is written where the change throws.</summary>
    /// <param name="change">Changes what is there, and adds what the ledger is to say of it to what it says of other programs.</param>
    /// <param name="cancellationToken">Ends the wait for the lock.</param>
    /// <exception cref="SecretsException">It can't be opened, recorded or written.</exception>
    internal ValueTask<T> ChangeAsync<T>(Func<OpenedVault, List<LedgerEvent>, T> change, CancellationToken cancellationToken) => WriteAsync(
        async opened =>
        {
            var events = VaultEvents.OfOutside(opened.Document);
            var writer = Writer;
            using var unchanged = writer.ComposeUnrecorded(opened);
            var result = change(opened, events);
            using var changed = await writer.CommitAsync(opened.Document, opened.Generation, events, unchanged is null ? 1 : 2).ConfigureAwait(false);
            writer.Record(unchanged, opened.Key!);
            writer.Replace(changed, opened.Key!);
            opened.RemoveAbsorbed();
            return result;
        },
        cancellationToken);

    private SecretChange Set(OpenedVault opened, SecretName name, SecretValue value, SetOptions options, List<LedgerEvent> events)
    {
        var stored = VaultMatch.FindStored(opened, name) ?? name.ToString();
        if (opened.FindFileError(stored) is { } error)
        {
            throw error;
        }

        if (!SecretName.TryParse(stored, out _))
        {
            throw new SecretNameException(stored);
        }

        var record = opened.Document.GetOrAdd(stored);
        var replaced = record.Current;
        VaultMatch.Add(opened.LooseNames, stored);
        var version = record.Add(opened.Document.Own(JsonToken.Encode(value)), VersionRecord.NewId(), settings.Clock.GetUtcNow(), options.Source, options.Grace);
        events.Add(VaultEvents.OfVersion(record, version, VaultEvents.Store, settings.Purpose) with { GraceEnds = replaced?.GraceEnds });
        return new SecretChange(stored, version.Number, "vault", Created: replaced is null, opened.Absorbed);
    }

    internal static void RequireValue(SecretName name, SecretValue value, SetOptions options)
    {
        if (value.Length == 0 && !options.AllowEmpty)
        {
            throw new SecretsException($"the value for '{name}' is empty; nothing was changed", "give a value, or say that it may be empty: --allow-empty");
        }

        if (value.Length > MaxValueLength)
        {
            throw new SecretsException($"the value for '{name}' is longer than 1 MiB; nothing was changed", "keep only the key itself as a secret");
        }
    }

    private void RequireFolder()
    {
        try
        {
            if (!Posix.TryStat(settings.Directory, out var facts))
            {
                throw NoVault();
            }

            _folder.RequireVaultFolder(facts);
        }
        catch (PosixException e)
        {
            throw new VaultOpenException(e.Message, $"look at the modes of '{settings.Directory}' and of what leads to it", e);
        }
    }

    private VaultOpenException NoVault() => _folder.HadVault ? _folder.Gone() : new($"there is no vault in '{settings.Directory}'", $"make one: {settings.InitCommand}");

    private sealed record Look(OpenedVault Vault, long Stamp);

    private sealed record Failure(SecretsException Error, long Began);
}
