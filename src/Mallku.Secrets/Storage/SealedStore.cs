using System.Runtime.CompilerServices;
using Mallku.Secrets.Models;

namespace Mallku.Secrets.Storage;

/// <summary>
/// Secrets in a shared store: sealed here, so that the medium sees neither names nor values (docs/formats/store-v1.md). Safe
/// for concurrent use, by any number of machines.
/// </summary>
internal sealed partial class SealedStore : ISecretStore, IAsyncDisposable
{
    internal const string SourceName = "store";

    /// <summary>Whether that is what the ledger calls the source of a store's answers and changes.</summary>
    internal static bool IsSource(string? source) => source is SourceName or StoreMemory.StaleSourceName;

    private readonly IRecordStore _records;
    private readonly StoreUse _use;
    private readonly StoreRoot _root;

    internal SealedStore(IRecordStore records, StoreKey key, StoreUse use)
    {
        (_records, _use) = (records, use);
        _root = new StoreRoot(records, key, use.SeenRoot, use.Clock);
        Memory = new StoreMemory(this, records, use);
        Shipper = new AuditShipper(records, _root.Audit, use.SeenInstances, use.Clock, use.OpenLedger);
    }

    public string Name => SourceName;

    public TimeProvider Clock => _use.Clock;

    public string? Purpose => _use.Purpose;

    /// <summary>What lookups have found, and how long it may be answered.</summary>
    internal StoreMemory Memory { get; }

    /// <summary>Tells the store what the process's ledger has.</summary>
    internal AuditShipper Shipper { get; }

    internal SeenGenerations Seen => _use.Seen;

    internal SeenGenerations SeenInstances => _use.SeenInstances;

    internal StoreRoot Root => _root;

    internal IRecordStore Records => _records;

    public string Describe() => $"the store '{_records.Description}'";

    public async ValueTask<StoredSecret?> FindAsync(SecretName name, CancellationToken cancellationToken)
    {
        var sealing = await _root.OpenAsync(cancellationToken).ConfigureAwait(false);

        // names that match loosely have one head
        return await ReadHeadAsync(sealing.IdOf(name), cancellationToken).ConfigureAwait(false) is { } head
            && (head.Record.Current is not null || head.Record.Name == name.ToString())
            ? new StoredSecret(head.Record, head)
            : null;
    }

    public async ValueTask<StoredSecret?> FindHolderAsync(SecretName name, CancellationToken cancellationToken)
    {
        var sealing = await _root.OpenAsync(cancellationToken).ConfigureAwait(false);
        return await ReadHeadAsync(sealing.IdOf(name), cancellationToken).ConfigureAwait(false) is { } head ? new StoredSecret(head.Record, head) : null;
    }

    public async ValueTask<int> GetKeepAsync(CancellationToken cancellationToken)
    {
        await _root.OpenAsync(cancellationToken).ConfigureAwait(false);
        return _use.KeepVersions ?? _root.Keep;
    }

    public ValueTask<StoredSecret?> ReadAsync(string name, CancellationToken cancellationToken) => ReadAsync(name, mayLack: false, cancellationToken);

    public ValueTask<StoredSecret?> ReadLackingAsync(string name, CancellationToken cancellationToken) => ReadAsync(name, mayLack: true, cancellationToken);

    private async ValueTask<StoredSecret?> ReadAsync(string name, bool mayLack, CancellationToken cancellationToken)
    {
        var sealing = await _root.OpenAsync(cancellationToken).ConfigureAwait(false);
        var opened = await ReadWholeAsync(sealing.IdOf(SecretName.Existing(name)), mayLack, cancellationToken).ConfigureAwait(false);
        return opened is not null && opened.Head.Record.Name == name ? new StoredSecret(opened.Head.Record, opened) : null;
    }

    public IAsyncEnumerable<StoredSecret> ReadAllAsync(Action<SecretsException>? faults, CancellationToken cancellationToken) =>
        ReadHeadsAsync(faults is null ? null : (_, fault) => faults(fault), cancellationToken).Select(static head => new StoredSecret(head.Record, head));

    /// <summary>All heads. One that this machine has seen and that is gone, or was put back, ends it with the reason: a head is never removed.</summary>
    /// <param name="faults">Told of each that can't be used, by its id, and goes on with the others; null to end at the first.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="SecretsException">It can't be told, or something that was seen is gone.</exception>
    internal async IAsyncEnumerable<OpenedHead> ReadHeadsAsync(Action<string, SecretsException>? faults, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // first of all, so that a store that is none is told as that
        await _root.OpenAsync(cancellationToken).ConfigureAwait(false);

        // before the look, as with one head: what another one here makes meanwhile need not be in it
        var missing = _use.Seen.Ids.ToHashSet(StringComparer.Ordinal);
        await foreach (var found in _records.ListAsync(RecordKind.Secret, "", before: null, cancellationToken).ConfigureAwait(false))
        {
            missing.Remove(found.Key.Id);
            if (await TryAsync(found.Key.Id, () => OpenHeadAsync(found, cancellationToken), faults).ConfigureAwait(false) is { } head)
            {
                yield return head;
            }
        }

        foreach (var id in missing)
        {
            if (await TryAsync(id, () => ReadHeadAsync(id, cancellationToken), faults).ConfigureAwait(false) is { } head)
            {
                yield return head;
            }
        }
    }

    private async ValueTask<OpenedHead?> OpenHeadAsync(StoredRecord found, CancellationToken cancellationToken)
    {
        var head = await _root.OpenAsync(found, static (sealing, found) => sealing.OpenHead(found), cancellationToken).ConfigureAwait(false);

        // where it was overtaken since its page was read, only a look of its own tells whether it was put back
        if (head is null || head.Generation < _use.Seen.Get(head.Id))
        {
            return await ReadHeadAsync(found.Key.Id, cancellationToken).ConfigureAwait(false);
        }

        _use.Seen.Note(head.Id, head.Generation);
        return head;
    }

    // what keeps the store from being used at all is nothing of one secret
    private static async ValueTask<OpenedHead?> TryAsync(string id, Func<ValueTask<OpenedHead?>> read, Action<string, SecretsException>? faults)
    {
        try
        {
            return await read().ConfigureAwait(false);
        }
        catch (SecretsException e) when (faults is not null && e is not (StoreUnreachableException or VaultOpenException))
        {
            faults(id, e);
            return null;
        }
    }

    /// <summary>Why a secret that this machine has seen can't be used: it is gone, was put back, or was altered. Null where nothing is wrong.</summary>
    /// <exception cref="StoreUnreachableException">The store does not answer.</exception>
    internal async ValueTask<SecretsException?> FindFaultAsync(string id, CancellationToken cancellationToken)
    {
        try
        {
            await ReadHeadAsync(id, cancellationToken).ConfigureAwait(false);
            return null;
        }
        catch (SecretsException e) when (e is not StoreUnreachableException)
        {
            return e;
        }
    }

    /// <summary>What is known of the secrets that there are, in no order.</summary>
    internal async ValueTask<List<SecretFacts>> ListAsync(CancellationToken cancellationToken)
    {
        var list = new List<SecretFacts>();
        await foreach (var secret in this.ReadAllAsync(cancellationToken).ConfigureAwait(false))
        {
            if (secret.Record.Current is { } current)
            {
                list.Add(new SecretFacts(secret.Record.Name, Name, current.Number, current.Created, []));
            }
        }

        return list;
    }

    /// <summary>The id that a secret has, and its current value, or null.</summary>
    /// <param name="name">The name; only a secret of exactly this name counts.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    internal async ValueTask<(string Id, FoundSecret? Found)> FetchAsync(SecretName name, CancellationToken cancellationToken)
    {
        var sealing = await _root.OpenAsync(cancellationToken).ConfigureAwait(false);
        var id = sealing.IdOf(name);
        while (true)
        {
            var head = await ReadHeadAsync(id, cancellationToken).ConfigureAwait(false);
            if (head?.Record.Current is not { } current || head.Record.Name != name.ToString())
            {
                return (id, null);
            }

            if (await RevealAsync(head, current, cancellationToken).ConfigureAwait(false) is { } found)
            {
                return (id, found);
            }

            // it was removed or pruned between the two reads
        }
    }

    /// <summary>
    /// The versions before the current one that are still within their grace, the newest first, but for those whose values are
    /// lost: the next change names these, and who looks for what may work has the others.
    /// </summary>
    internal async ValueTask<IReadOnlyList<FoundSecret>> FetchPreviousAsync(SecretName name, CancellationToken cancellationToken)
    {
        var sealing = await _root.OpenAsync(cancellationToken).ConfigureAwait(false);
        var found = new List<FoundSecret>();
        if (await ReadHeadAsync(sealing.IdOf(name), cancellationToken).ConfigureAwait(false) is { } head)
        {
            foreach (var live in VersionMoves.Live(Clock.GetUtcNow(), head.Record.Facts).Skip(1))
            {
                try
                {
                    if (await RevealAsync(head, head.Record.Get(live.Number)!, cancellationToken).ConfigureAwait(false) is { } previous)
                    {
                        found.Add(previous);
                    }
                }
                catch (SecretsException e) when (e is not StoreUnreachableException)
                {
                    // no version that may work
                }
            }
        }

        return found;
    }

    public IAsyncEnumerable<StoredSecret> ReadHoldersAsync(VersionRecord one, string? except, CancellationToken cancellationToken) =>
        ValueSearch.FindAsync(this, one, except, cancellationToken);

    public async ValueTask<IAsyncDisposable> TakeTurnAsync(CancellationToken cancellationToken) =>
        await StoreTurn.TakeAsync(_records, Clock, cancellationToken).ConfigureAwait(false);

    /// <summary>Replaces the data key, and seals anew what is under the ones before it; goes on where that was cut off.</summary>
    /// <exception cref="SecretsException">It can't be recorded, read or written; what was done is done, and the next call goes on from there.</exception>
    internal ValueTask<Resealed> ResealAsync(Action<long, long>? progress, CancellationToken cancellationToken) =>
        new StoreReseal(this, _use).RunAsync(progress, cancellationToken);

    public async ValueTask DisposeAsync()
    {
        await Memory.EndAsync().ConfigureAwait(false);
        await Shipper.EndAsync().ConfigureAwait(false);
        await _records.DisposeAsync().ConfigureAwait(false);
    }

    /// <summary>What is known of a secret; null where nobody ever had it.</summary>
    /// <exception cref="SecretsException">It can't be told, or it was put back, or is gone.</exception>
    internal async ValueTask<OpenedHead?> ReadHeadAsync(string id, CancellationToken cancellationToken)
    {
        // before the look: what another one here sees or writes meanwhile does not make the answer an old one
        var seen = _use.Seen.Get(id);
        if (await _records.ReadAsync(new RecordKey(RecordKind.Secret, id), cancellationToken).ConfigureAwait(false) is not { } found)
        {
            return seen == 0
                ? null
                : throw new SecretsException(
                    $"{Describe()} has lost a secret that this machine has seen there at generation {seen} (the record {id}): it was put back to an older state, or tampered with",
                    PutBack);
        }

        if (await _root.OpenAsync(found, static (sealing, found) => sealing.OpenHead(found), cancellationToken).ConfigureAwait(false) is not { } head)
        {
            // removed in between, which nobody does: the next look says what was lost
            return await ReadHeadAsync(id, cancellationToken).ConfigureAwait(false);
        }

        if (head.Generation < seen)
        {
            throw new SecretsException(
                $"{Describe()} has '{SecretsException.Show(head.Record.Name)}' at generation {head.Generation}, and this machine has seen it at {seen}: an older state was put back",
                PutBack);
        }

        _use.Seen.Note(id, head.Generation);
        return head;
    }

    // With all values; where some may be lacking, those that are gone or do not open are null in versions that have one.
    private async ValueTask<OpenedSecret?> ReadWholeAsync(string id, bool mayLack, CancellationToken cancellationToken)
    {
        while (true)
        {
            if (await ReadHeadAsync(id, cancellationToken).ConfigureAwait(false) is not { } head)
            {
                return null;
            }

            var opened = new OpenedSecret(head, []);
            await foreach (var found in _records.ListAsync(RecordKind.Version, StoreSealing.VersionsOf(id), StoreSealing.AfterVersionsOf(id), cancellationToken).ConfigureAwait(false))
            {
                opened.Values.Add(found.Key, found.Revision);
                if (head.Record.Versions.Find(version => StoreSealing.KeyOf(id, version.Number) == found.Key) is { } version)
                {
                    await ReadValueAsync(opened, found, version, mayLack, cancellationToken).ConfigureAwait(false);
                }
            }

            var lost = head.Record.Versions.FindAll(static version => version.IsLost);
            if (lost.Count == 0)
            {
                return opened;
            }

            // changed between the two reads; where it was not, a value is gone
            var isUnchanged = await IsUnchangedAsync(head, cancellationToken).ConfigureAwait(false);
            if (isUnchanged && mayLack)
            {
                return opened;
            }

            opened.Dispose();
            if (isUnchanged)
            {
                throw LostValues.Fault(Describe(), head.Record, lost);
            }
        }
    }

    private async ValueTask ReadValueAsync(OpenedSecret opened, StoredRecord found, VersionRecord version, bool mayLack, CancellationToken cancellationToken)
    {
        try
        {
            var read = await _root.OpenAsync(
                found,
                (sealing, now) =>
                {
                    opened.Values[now.Key] = now.Revision;
                    version.Value = opened.Keep(sealing.OpenValue(now, opened.Head.Id, version, opened.GetRoom(now.Data.Length)));
                    opened.Sound.Add(now.Key);
                    return version;
                },
                cancellationToken).ConfigureAwait(false);
            if (read is null)
            {
                opened.Values.Remove(found.Key);
            }
        }
        catch (RecordOpenException) when (mayLack)
        {
            // like one that is gone
        }
        catch (RecordOpenException e)
        {
            throw RecordOpenException.OfValue(opened.Head.Record.Name, version.Number, e);
        }
    }

    /// <summary>Where values of it are not there: whether it was changed since it was read, or has lost those.</summary>
    /// <exception cref="SecretsException">It was not changed.</exception>
    internal async ValueTask RequireChangedAsync(OpenedHead head, IReadOnlyList<VersionRecord> lacking, CancellationToken cancellationToken)
    {
        if (await IsUnchangedAsync(head, cancellationToken).ConfigureAwait(false))
        {
            throw LostValues.Fault(Describe(), head.Record, lacking);
        }
    }

    private async ValueTask<bool> IsUnchangedAsync(OpenedHead head, CancellationToken cancellationToken) =>
        (await _records.ReadAsync(new RecordKey(RecordKind.Secret, head.Id), cancellationToken).ConfigureAwait(false))?.Revision == head.Revision;

    private async ValueTask<FoundSecret?> RevealAsync(OpenedHead head, VersionRecord version, CancellationToken cancellationToken)
    {
        var key = StoreSealing.KeyOf(head.Id, version.Number);
        if (await _records.ReadAsync(key, cancellationToken).ConfigureAwait(false) is not { } found)
        {
            await RequireChangedAsync(head, [version], cancellationToken).ConfigureAwait(false);
            return null;
        }

        try
        {
            // null where it is gone by now: the next look says why
            return await _root.OpenAsync(found, (sealing, now) => sealing.UseValue(now, head.Id, version, Decode), cancellationToken).ConfigureAwait(false);
        }
        catch (RecordOpenException e)
        {
            throw RecordOpenException.OfValue(head.Record.Name, version.Number, e);
        }

        FoundSecret Decode(ReadOnlyMemory<byte> token) => JsonToken.TryDecode(token.Span, borrowed: true, out var value)
            ? new FoundSecret(head.Record.Name, value, SourceName, version.Number, version.Created)
            : throw new SecretsException($"the value of '{SecretsException.Show(head.Record.Name)}' in {Describe()} is no text", "set it again");
    }

    private string PutBack => $"put the newer state back; {_use.Seen.WayOn}";
}
