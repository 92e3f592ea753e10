using System.Runtime.CompilerServices;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Models;

namespace Mallku.Secrets.Storage;

/// <summary>
/// Secrets in a shared store: sealed here, so that the medium sees neither names nor values (docs/formats/store-v1.md). Safe
/// for concurrent use, by any number of machines.
/// </summary>
internal sealed class SealedStore : ISecretStore, IAsyncDisposable
{
    internal const string SourceName = "store";

    /// <summary>Whether that is what the ledger calls the source of a store's answers and changes.</summary>
    internal static bool IsSource(string? source) => source is SourceName or StoreMemory.StaleSourceName;

    /// <summary>What is said of a change whose entry is in the ledger.</summary>
    internal const string NotTaken = "the store did not take it", MayBeMade = "the store did not answer: it may be made all the same";

    private const int MostTries = 50;
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(5), LongestPause = TimeSpan.FromMilliseconds(200);

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

    public async ValueTask<StoredSecret?> ReadAsync(string name, CancellationToken cancellationToken)
    {
        var sealing = await _root.OpenAsync(cancellationToken).ConfigureAwait(false);
        var opened = await ReadWholeAsync(sealing.IdOf(SecretName.Existing(name)), mayLack: false, cancellationToken).ConfigureAwait(false);
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

    /// <summary>The versions before the current one that are still within their grace, the newest first.</summary>
    internal async ValueTask<IReadOnlyList<FoundSecret>> FetchPreviousAsync(SecretName name, CancellationToken cancellationToken)
    {
        var sealing = await _root.OpenAsync(cancellationToken).ConfigureAwait(false);
        var found = new List<FoundSecret>();
        if (await ReadHeadAsync(sealing.IdOf(name), cancellationToken).ConfigureAwait(false) is { } head)
        {
            foreach (var live in VersionMoves.Live(Clock.GetUtcNow(), head.Record.Facts).Skip(1))
            {
                if (await RevealAsync(head, head.Record.Get(live.Number)!, cancellationToken).ConfigureAwait(false) is { } previous)
                {
                    found.Add(previous);
                }
            }
        }

        return found;
    }

    public IAsyncEnumerable<StoredSecret> ReadHoldersAsync(VersionRecord one, string? except, CancellationToken cancellationToken) =>
        ValueSearch.FindAsync(this, one, except, cancellationToken);

    public ValueTask<T> ChangeAsync<T>(SecretName name, Func<SecretEdit, T> change, CancellationToken cancellationToken) =>
        ChangeAsync(name.ToString(), change, cancellationToken);

    public async ValueTask<T> ChangeAsync<T>(string name, Func<SecretEdit, T> change, CancellationToken cancellationToken)
    {
        if (_use.Follows)
        {
            Shipper.Begin();
        }

        var hidesNames = await _use.HidesNames(cancellationToken).ConfigureAwait(false);
        var pause = FirstPause;
        for (var tries = 1; ; tries++)
        {
            var sealing = await _root.OpenAsync(cancellationToken).ConfigureAwait(false);
            var id = sealing.IdOf(SecretName.Existing(name));
            // what is lost is lost, and a new value is what helps
            using var before = await ReadWholeAsync(id, mayLack: true, cancellationToken).ConfigureAwait(false)
                ?? new OpenedSecret(new OpenedHead(new SecretRecord(name), id, Generation: 0, Revision: null, Write: ""), []);
            // one that was removed may come back under another of its names
            var record = before.Head.Record.Name == name || before.Head.Record.Current is not null ? before.Head.Record : before.Head.Record.Rename(name);
            var events = new List<LedgerEvent>();
            var result = change(new SecretEdit(this, record, before.Own, hidesNames, events));
            GiveUpLost(record, Clock.GetUtcNow(), events);
            record.Prune(await GetKeepAsync(record.Versions.Count, cancellationToken).ConfigureAwait(false));
            var next = before.Head with { Record = record, Generation = before.Head.Generation + 1, Write = VersionRecord.NewId() };
            // what was read may have told of a newer data key
            sealing = await _root.OpenAsync(cancellationToken).ConfigureAwait(false);
            var (values, dropped) = Compose(sealing, before, next);
            if (await new ValueParts(_records, _root, sealing).WriteAsync(next, values, cancellationToken).ConfigureAwait(false) is { } whole)
            {
                if (await _use.Record(events, cancellationToken).ConfigureAwait(false) is { } checkpoint)
                {
                    whole = whole with { Recorded = ToRecorded(checkpoint) };
                }

                // what does not fit into one write is dropped after it: nothing refers to it any more
                values.InsertRange(0, [sealing.SealHead(whole), .. sealing.DemandsOf(whole)]);
                var room = RecordWrite.MostAtOnce - values.Count;
                if (await WriteAsync([.. values, .. dropped.Take(room)], whole, events).ConfigureAwait(false))
                {
                    Memory.NoteChange(id);
                    await DropAsync(dropped.Skip(room)).ConfigureAwait(false);
                    NoteMade(whole);
                    return result;
                }

                await TakeBackAsync(events, "another instance was faster").ConfigureAwait(false);
            }

            if (before.Head.Revision is null)
            {
                await RequireSealingAsync(sealing.Newest, cancellationToken).ConfigureAwait(false);
            }

            if (tries == MostTries)
            {
                throw new SecretsException($"others write '{SecretsException.Show(name)}' in {Describe()} all the time; nothing was changed", "try again");
            }

            cancellationToken.ThrowIfCancellationRequested();
            await Task.Delay(Jitter.Of(pause), CancellationToken.None).ConfigureAwait(false);
            pause = pause < LongestPause / 2 ? pause * 2 : LongestPause;
        }
    }

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

    // what is new was refused: the data key may be one that a reseal replaces, which the next try then finds
    private async ValueTask RequireSealingAsync(string keyId, CancellationToken cancellationToken)
    {
        // in this order: a reseal begins with the newer key
        var isReplaced = await _records.ReadAsync(StoreRoot.ReplacementOf(keyId), cancellationToken).ConfigureAwait(false) is not null;
        _root.Forget();
        if (isReplaced && (await _root.ReadAsync(cancellationToken).ConfigureAwait(false)).Head.Keys[^1].Id == keyId)
        {
            throw new SecretsException(
                $"{Describe()} has begun to replace its data key {keyId}, and has no newer one: its own record was put back to an older state; nothing was changed", "make a new one: mallku store reseal");
        }
    }

    // how many versions are kept: looked at anew before one is dropped, unless changes are told, since another machine may have been told to keep more
    private async ValueTask<int> GetKeepAsync(int versions, CancellationToken cancellationToken)
    {
        if (_use.KeepVersions is { } keep && keep != _root.Keep)
        {
            await _root.ChangeAsync(head => head with { Keep = keep }, cancellationToken).ConfigureAwait(false);
            await _root.OpenAsync(cancellationToken).ConfigureAwait(false);
        }
        else if (versions > _root.Keep && !Memory.IsFollowing)
        {
            _root.Forget();
            await _root.OpenAsync(cancellationToken).ConfigureAwait(false);
        }

        return _root.Keep;
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

    // a value that is gone, of a version that nobody may use any more: its loss is said once
    private static void GiveUpLost(SecretRecord record, DateTimeOffset now, List<LedgerEvent> events)
    {
        var lost = record.Versions.FindAll(version => version.IsLost && !version.IsLive(now));
        lost.ForEach(static version => (version.State, version.GraceEnds, version.HasValue) = (SecretVersionState.Retired, null, false));
        if (lost.Count > 0 && events is [.., { Note: null } last])
        {
            events[^1] = last with { Note = $"the store had lost the value of version {string.Join(", ", lost.Select(static version => version.Number))}" };
        }
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

            if (head.Record.Versions.TrueForAll(static version => version.Value is not null || !version.HasValue))
            {
                return opened;
            }

            // changed between the two reads; where it was not, a value is gone
            var again = await _records.ReadAsync(new RecordKey(RecordKind.Secret, id), cancellationToken).ConfigureAwait(false);
            if (again?.Revision == head.Revision && mayLack)
            {
                return opened;
            }

            opened.Dispose();
            if (again?.Revision == head.Revision)
            {
                throw Lost(head);
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

    private async ValueTask<FoundSecret?> RevealAsync(OpenedHead head, VersionRecord version, CancellationToken cancellationToken)
    {
        var key = StoreSealing.KeyOf(head.Id, version.Number);
        if (await _records.ReadAsync(key, cancellationToken).ConfigureAwait(false) is not { } found)
        {
            var again = await _records.ReadAsync(new RecordKey(RecordKind.Secret, head.Id), cancellationToken).ConfigureAwait(false);
            return again?.Revision == head.Revision ? throw Lost(head) : null;
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

    private SecretsException Lost(OpenedHead head) => new(
        $"{Describe()} has lost a value of '{SecretsException.Show(head.Record.Name)}': it was tampered with, or put back in part", "set it again, or put a backup of the store back");

    private RecordedChange ToRecorded(Checkpoint checkpoint)
    {
        var actor = LedgerActors.Current;
        return new RecordedChange(_root.Audit.IdOf(checkpoint.Origin), $"{actor.User}@{actor.Host}", Clock.GetUtcNow(), checkpoint.Size, checkpoint.Root.ToString());
    }

    // all but the head: the values that are new, and those that no version has any more
    private static (List<RecordWrite> Values, List<RecordWrite> Dropped) Compose(StoreSealing sealing, OpenedSecret before, OpenedHead next)
    {
        var values = new List<RecordWrite>();
        var kept = new HashSet<RecordKey>();
        foreach (var version in next.Record.Versions)
        {
            var key = StoreSealing.KeyOf(next.Id, version.Number);
            if (version.Value is { } value)
            {
                kept.Add(key);
                if (!before.Sound.Contains(key))
                {
                    // of what somebody else has put in its place, nothing is kept
                    values.Add(sealing.SealValue(next.Id, version, value.Span, before.Values.GetValueOrDefault(key)));
                }
            }
            else if (version.HasValue)
            {
                kept.Add(key);
            }
        }

        return (values, [.. before.Values.Where(pair => !kept.Contains(pair.Key)).Select(static pair => new RecordWrite(pair.Key, pair.Value, Data: null))]);
    }

    private async ValueTask<bool> WriteAsync(List<RecordWrite> writes, OpenedHead next, List<LedgerEvent> events)
    {
        try
        {
            return await _records.WriteAsync(writes, CancellationToken.None).ConfigureAwait(false);
        }
        catch (StoreUnreachableException e) when (e.MayBeWritten)
        {
            var added = next.Record.Versions.Find(version => writes.Exists(write => write.Data is not null && write.Key == StoreSealing.KeyOf(next.Id, version.Number)));
            return await FindOutAsync(next, added, events, e).ConfigureAwait(false);
        }
        catch (SecretsException)
        {
            await TakeBackAsync(events, NotTaken).ConfigureAwait(false);
            throw;
        }
    }

    // the answer was lost: what is there tells, if it can be read soon
    private async ValueTask<bool> FindOutAsync(OpenedHead next, VersionRecord? added, List<LedgerEvent> events, StoreUnreachableException lost)
    {
        var pause = LongestPause;
        for (var tries = 0; tries < 4; tries++)
        {
            await Task.Delay(pause, CancellationToken.None).ConfigureAwait(false);
            pause *= 2;
            try
            {
                var found = await _records.ReadAsync(new RecordKey(RecordKind.Secret, next.Id), CancellationToken.None).ConfigureAwait(false);
                var head = found is null ? null : await _root.OpenAsync(found, static (sealing, found) => sealing.OpenHead(found), CancellationToken.None).ConfigureAwait(false);
                if (head?.Write == next.Write)
                {
                    return true;
                }

                if ((head?.Generation ?? 0) < next.Generation)
                {
                    return false;
                }

                // others have gone on from it, or from what was before it: only a version that it has added tells
                if (added is not null && head!.Record.Get(added.Number)?.Id == added.Id)
                {
                    return true;
                }

                break;
            }
            catch (StoreUnreachableException)
            {
                // still out of reach
            }
        }

        await TakeBackAsync(events, MayBeMade).ConfigureAwait(false);
        throw new StoreUnreachableException(
            $"{lost.Problem}; the change may be made, or not", $"look when it answers again: mallku history {next.Record.Name}", lost) { MayBeWritten = true };
    }

    private async ValueTask DropAsync(IEnumerable<RecordWrite> rest)
    {
        foreach (var batch in rest.Chunk(RecordWrite.MostAtOnce))
        {
            try
            {
                await _records.WriteAsync(batch, CancellationToken.None).ConfigureAwait(false);
            }
            catch (SecretsException)
            {
                // the change is made, and the next one of this secret drops them
                return;
            }
        }
    }

    private void NoteMade(OpenedHead made)
    {
        try
        {
            _use.Seen.Note(made.Id, made.Generation);
        }
        catch (SecretsException e)
        {
            var problem = e.Problem.Replace("; nothing was changed", "", StringComparison.Ordinal);
            throw new SecretsException(
                $"'{SecretsException.Show(made.Record.Name)}' was changed in {Describe()}; that this machine has seen that could not be noted, so that it would not notice if it were undone: {problem}", e.Remedy, e);
        }
    }

    /// <summary>Says in the ledger that it has something that the store does not have.</summary>
    internal async ValueTask TakeBackAsync(List<LedgerEvent> events, string note)
    {
        if (events.Count > 0)
        {
            await _use.Record(
                [.. events.Select(happened => new LedgerEvent(LedgerKind.Aborted, happened.Secret, happened.Version, happened.Source, happened.Purpose, Note: note))],
                CancellationToken.None).ConfigureAwait(false);
        }
    }
}
