using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Storage;

// a change: the ledger has it first, then the head and the values are written as one, on the condition that they are as they were read
internal sealed partial class SealedStore
{
    /// <summary>What is said of a change whose entry is in the ledger.</summary>
    internal const string NotTaken = "the store did not take it", MayBeMade = "the store did not answer: it may be made all the same";

    private static readonly TimeSpan FirstLook = TimeSpan.FromMilliseconds(200);

    public ValueTask<T> ChangeAsync<T>(SecretName name, Func<SecretEdit, T> change, CancellationToken cancellationToken) =>
        ChangeAsync(name.ToString(), change, cancellationToken);

    public async ValueTask<T> ChangeAsync<T>(string name, Func<SecretEdit, T> change, CancellationToken cancellationToken)
    {
        Memory.Follow();
        var hidesNames = await _use.HidesNames(cancellationToken).ConfigureAwait(false);
        var tries = new WriteTries($"'{SecretsException.Show(name)}'", Describe());
        while (true)
        {
            var sealing = await _root.OpenAsync(cancellationToken).ConfigureAwait(false);
            var id = sealing.IdOf(SecretName.Existing(name));
            // what is lost is lost, and a new value is what helps
            using var before = await ReadWholeAsync(id, mayLack: true, cancellationToken).ConfigureAwait(false)
                ?? await BeginAsync(name, id, isTaken: tries.Count > 0, cancellationToken).ConfigureAwait(false);
            // one that was removed may come back under another of its names
            var record = before.Head.Record.Name == name || before.Head.Record.Current is not null ? before.Head.Record : before.Head.Record.Rename(name);
            var events = new List<LedgerEvent>();
            var lost = record.Versions.FindAll(static version => version.IsLost);
            var result = change(new SecretEdit(this, record, before.Own, hidesNames, events));
            LostValues.GiveUp(lost, events);
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
                if (await WriteAsync([.. values, .. dropped.Take(room)], whole, events, tries).ConfigureAwait(false))
                {
                    Memory.NoteChange(id);
                    await DropAsync(dropped.Skip(room)).ConfigureAwait(false);
                    NoteMade(whole);
                    return result;
                }
            }
            else
            {
                tries.NoteRefused(await IsUnchangedAsync(before.Head, cancellationToken).ConfigureAwait(false));
            }

            if (before.Head.Revision is null)
            {
                await RequireSealingAsync(sealing.Newest, cancellationToken).ConfigureAwait(false);
            }

            await tries.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    public int MostTogether => 1;

    public async ValueTask<SecretsException?[]> ChangeTogetherAsync(IReadOnlyList<(string Name, Action<SecretEdit> Change)> changes, CancellationToken cancellationToken)
    {
        var refused = new SecretsException?[changes.Count];
        for (var i = 0; i < changes.Count; i++)
        {
            var (name, change) = changes[i];
            try
            {
                await ChangeAsync(name, edit => { change(edit); return true; }, cancellationToken).ConfigureAwait(false);
            }
            catch (SecretsException e) when (e is not StoreUnreachableException)
            {
                refused[i] = e;
            }
        }

        return refused;
    }

    // Where it was refused, values may be left of a secret whose head somebody has removed: what is there is written over, or dropped.
    private async ValueTask<OpenedSecret> BeginAsync(string name, string id, bool isTaken, CancellationToken cancellationToken)
    {
        var begun = new OpenedSecret(new OpenedHead(new SecretRecord(name), id, Generation: 0, Revision: null, Write: ""), []);
        if (isTaken)
        {
            await foreach (var left in _records.ListAsync(RecordKind.Version, StoreSealing.VersionsOf(id), StoreSealing.AfterVersionsOf(id), cancellationToken).ConfigureAwait(false))
            {
                begun.Values.Add(left.Key, left.Revision);
            }
        }

        return begun;
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
                $"{Describe()} has begun to replace its data key {keyId}, and has no newer one: its own record was put back to an older state; nothing was changed",
                "put the newer state of its own record back; where that is gone for good, make a new key: mallku store reseal");
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

    // where it was not made, the ledger says so
    private async ValueTask<bool> WriteAsync(List<RecordWrite> writes, OpenedHead next, List<LedgerEvent> events, WriteTries tries)
    {
        bool isUnchanged;
        try
        {
            if (await _records.WriteAsync(writes, CancellationToken.None).ConfigureAwait(false))
            {
                return true;
            }

            isUnchanged = await IsUnchangedAsync(next, CancellationToken.None).ConfigureAwait(false);
        }
        catch (StoreUnreachableException e) when (e.MayBeWritten)
        {
            var added = next.Record.Versions.Find(version => writes.Exists(write => write.Data is not null && write.Key == StoreSealing.KeyOf(next.Id, version.Number)));
            if (await FindOutAsync(next, added, events, e).ConfigureAwait(false))
            {
                return true;
            }

            await TakeBackAsync(events, NotTaken).ConfigureAwait(false);
            tries.NoteNotMade(e);
            return false;
        }
        catch (SecretsException)
        {
            await TakeBackAsync(events, NotTaken).ConfigureAwait(false);
            throw;
        }

        await TakeBackAsync(events, isUnchanged ? NotTaken : "another instance was faster").ConfigureAwait(false);
        tries.NoteRefused(isUnchanged);
        return false;
    }

    // the answer was lost: what is there tells, if it can be read soon
    private async ValueTask<bool> FindOutAsync(OpenedHead next, VersionRecord? added, List<LedgerEvent> events, StoreUnreachableException lost)
    {
        // a medium that has answered, if by a refusal, is through with it
        var pause = lost.Refusal is null ? FirstLook : TimeSpan.Zero;
        for (var looks = 0; looks < 4; looks++)
        {
            await Task.Delay(pause, CancellationToken.None).ConfigureAwait(false);
            pause = pause > TimeSpan.Zero ? pause * 2 : FirstLook;
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
