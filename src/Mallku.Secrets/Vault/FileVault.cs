using System.Runtime.CompilerServices;
using Mallku.Secrets.Files;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Vault;

/// <summary>
/// The encrypted vault in a <c>.secrets/</c> folder: what it holds now, and changes to it that are durable when they
/// return. Safe for concurrent use, in this process and by others.
/// </summary>
internal sealed partial class FileVault(VaultSettings settings) : ISecretStore
{
    // a ledger that is given up again and again
    private const int MostTries = 5;
    private readonly VaultView _view = new(settings);

    public string Name => VaultEvents.Store;

    public TimeProvider Clock => settings.Clock;

    public string? Purpose => settings.Purpose;

    internal VaultSettings Settings => settings;

    internal VaultLedger Ledger => _view.Ledger;

    public string Describe() => $"the vault '{settings.Directory}'";

    /// <summary>For who holds the folder's lock.</summary>
    internal VaultWriter Writer => field ??= new(settings, _view.Folder.Tokens, Ledger);

    /// <summary>What the folder holds, as it was at most half a second ago.</summary>
    /// <exception cref="VaultOpenException">It can't be opened.</exception>
    internal ValueTask<OpenedVault> OpenAsync(CancellationToken cancellationToken) => _view.OpenAsync(cancellationToken);

    /// <summary>The same, where a vault must be there.</summary>
    /// <exception cref="VaultOpenException">There is none, or it can't be opened.</exception>
    internal async ValueTask<OpenedVault> RequireAsync(CancellationToken cancellationToken)
    {
        var opened = await OpenAsync(cancellationToken).ConfigureAwait(false);
        return opened.Key is null ? throw NoVault() : opened;
    }

    /// <summary>Another number when the folder may hold something else; looks at it every half second at most.</summary>
    internal long GetChangeStamp(long now) => _view.GetChangeStamp(now);

    /// <summary>Makes the next reader look at the folder.</summary>
    internal void Forget() => _view.Forget();

    /// <summary>What is known of a secret, with its values, as it was at most half a second ago.</summary>
    /// <inheritdoc/>
    public async ValueTask<StoredSecret?> FindAsync(SecretName name, CancellationToken cancellationToken)
    {
        GetChangeStamp(Environment.TickCount64);
        var opened = await OpenAsync(cancellationToken).ConfigureAwait(false);
        return Find(opened, VaultMatch.FindStored(opened, name) ?? name.ToString());
    }

    // each spelling has numbers of its own
    public ValueTask<StoredSecret?> FindHolderAsync(SecretName name, CancellationToken cancellationToken) => FindAsync(name, cancellationToken);

    public async ValueTask<int> GetKeepAsync(CancellationToken cancellationToken) =>
        settings.KeepVersions ?? (await OpenAsync(cancellationToken).ConfigureAwait(false)).Document.Keep ?? SecretFormat.UsuallyKept;

    public async ValueTask<StoredSecret?> ReadAsync(string name, CancellationToken cancellationToken)
    {
        _view.LookNow();
        return Find(await OpenAsync(cancellationToken).ConfigureAwait(false), name);
    }

    public async IAsyncEnumerable<StoredSecret> ReadAllAsync(Action<SecretsException>? faults, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        GetChangeStamp(Environment.TickCount64);
        var document = (await OpenAsync(cancellationToken).ConfigureAwait(false)).Document;
        foreach (var record in document.Secrets.Values)
        {
            yield return new StoredSecret(record, document);
        }
    }

    public async IAsyncEnumerable<StoredSecret> ReadHoldersAsync(
        VersionRecord one, string? except, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        _view.LookNow();
        var document = (await OpenAsync(cancellationToken).ConfigureAwait(false)).Document;
        foreach (var record in document.Secrets.Values)
        {
            if (record.Name != except && record.Versions.Exists(version => version.HasValueOf(one)))
            {
                yield return new StoredSecret(record, document);
            }
        }
    }

    public ValueTask<T> ChangeAsync<T>(SecretName name, Func<SecretEdit, T> change, CancellationToken cancellationToken) =>
        ChangeAllAsync((opened, events) => change(Edit(opened, VaultMatch.FindStored(opened, name) ?? name.ToString(), events)), cancellationToken);

    public ValueTask<T> ChangeAsync<T>(string name, Func<SecretEdit, T> change, CancellationToken cancellationToken) =>
        ChangeAllAsync((opened, events) => change(Edit(opened, name, events)), cancellationToken);

    public int MostTogether => 256;

    public async ValueTask<SecretsException?[]> ChangeTogetherAsync(IReadOnlyList<(string Name, Action<SecretEdit> Change)> changes, CancellationToken cancellationToken)
    {
        var refused = new SecretsException?[changes.Count];
        try
        {
            await ChangeAllAsync(
                (opened, events) =>
                {
                    for (var i = 0; i < changes.Count; i++)
                    {
                        refused[i] = TryChange(opened, changes[i].Name, changes[i].Change, events);
                    }

                    return refused.Contains(null) ? true : throw refused[0]!;
                },
                cancellationToken).ConfigureAwait(false);
        }
        catch (SecretsException e) when (e == refused.FirstOrDefault())
        {
            // of none, nothing was written
        }

        return refused;
    }

    private SecretsException? TryChange(OpenedVault opened, string name, Action<SecretEdit> change, List<LedgerEvent> events)
    {
        var secrets = opened.Document.Secrets;
        var isKnown = secrets.ContainsKey(name);
        try
        {
            change(Edit(opened, name, events));
            return null;
        }
        catch (SecretsException e)
        {
            if (!isKnown)
            {
                secrets.Remove(name);
            }

            return e;
        }
    }

    /// <summary>Adds a new version to each of the secrets, all in one write.</summary>
    /// <exception cref="SecretsException">A value is not allowed, or the vault can't be opened or written; nothing changed.</exception>
    internal async ValueTask<IReadOnlyList<SecretChange>> SetAsync(
        IReadOnlyList<KeyValuePair<SecretName, SecretValue>> values, SetOptions options, CancellationToken cancellationToken)
    {
        foreach (var (name, value) in values)
        {
            SecretChanges.RequireValue(name, value, options);
        }

        return await ChangeAllAsync(
            (opened, events) =>
            {
                var changes = new List<SecretChange>(values.Count);
                foreach (var (name, value) in values)
                {
                    var change = Edit(opened, VaultMatch.FindStored(opened, name) ?? name.ToString(), events).Set(value, options);
                    VaultMatch.Add(opened.LooseNames, change.Name);
                    changes.Add(change);
                }

                return changes;
            },
            cancellationToken).ConfigureAwait(false);
    }

    public async ValueTask<IAsyncDisposable> TakeTurnAsync(CancellationToken cancellationToken)
    {
        var turn = await FolderLock.AcquireAsync(settings.RotationLockFile, settings.Patience, TimeProvider.System, cancellationToken).ConfigureAwait(false);
        Forget();
        return turn;
    }

    /// <summary>Whether there is a vault, or there was one, or nobody can tell.</summary>
    internal bool IsMade
    {
        get
        {
            try
            {
                return _view.Folder.HadVault || Posix.TryStat(settings.VaultFile, out _);
            }
            catch (PosixException)
            {
                // whoever opens it is told
                return true;
            }
        }
    }

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
        if (isBeginning && _view.Folder.HadVault)
        {
            // none in a mount point without its mount
            (await _view.ReadAsync(isBeginning: false, cancellationToken).ConfigureAwait(false)).Document.Dispose();
        }

        return await LockedAsync(
            async () =>
            {
                var opened = await _view.ReadAsync(isBeginning, cancellationToken).ConfigureAwait(false);
                using (opened.Document)
                {
                    if (opened.Key is null)
                    {
                        throw NoVault();
                    }

                    Ledger.RequirePinned(opened.Document);
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

        // of those who come at the same time, here or in other processes, one makes it, and may stand in another's way
        for (var tries = 1; !IsMade; tries++)
        {
            try
            {
                await VaultCreation.CreateAsync(this, cancellationToken).ConfigureAwait(false);
            }
            catch (SecretsException) when (IsMade)
            {
                // by another one meanwhile
            }
            catch (SecretsException) when (tries < MostTries)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(20), cancellationToken).ConfigureAwait(false);
            }
        }

        Forget();
    }

    /// <summary>One write: the entries and what they say become durable together. Nothing is written where the change throws.</summary>
    /// <param name="change">Changes what is there, and adds what the ledger is to say of it to what it says of other programs.</param>
    /// <param name="cancellationToken">Ends the wait for the lock.</param>
    /// <exception cref="SecretsException">It can't be opened, recorded or written.</exception>
    internal ValueTask<T> ChangeAllAsync<T>(Func<OpenedVault, List<LedgerEvent>, T> change, CancellationToken cancellationToken) =>
        WriteAsync(opened => CommitAsync(opened, change), cancellationToken);

    private async ValueTask<T> CommitAsync<T>(OpenedVault opened, Func<OpenedVault, List<LedgerEvent>, T> change)
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
    }

    private SecretEdit Edit(OpenedVault opened, string stored, List<LedgerEvent> events)
    {
        var document = opened.Document;
        return new SecretEdit(this, document.GetOrAdd(stored), document.Own, document.UsesPseudonyms, events)
        {
            Fault = opened.FindFileError(stored),
            Absorbed = opened.Absorbed,
            FindElsewhere = version => document.FindInUse(version, stored, Clock.GetUtcNow())?.Version,
        };
    }

    // what no record is of may still lie in a file that can't be read
    private static StoredSecret? Find(OpenedVault opened, string stored) =>
        opened.Document.Secrets.TryGetValue(stored, out var record) ? new StoredSecret(record, opened.Document)
        : opened.FindFileError(stored) is { } error ? throw error
        : null;

    private void RequireFolder()
    {
        try
        {
            if (!Posix.TryStat(settings.Directory, out var facts))
            {
                throw NoVault();
            }

            _view.Folder.RequireVaultFolder(facts);
        }
        catch (PosixException e)
        {
            throw new VaultOpenException(e.Message, $"look at the modes of '{settings.Directory}' and of what leads to it", e);
        }
    }

    private VaultOpenException NoVault() => _view.Folder.HadVault ? _view.Folder.Gone() : new($"there is no vault in '{settings.Directory}'", $"make one: {settings.InitCommand}");
}
