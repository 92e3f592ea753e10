using Mallku.Secrets.Ledger;
using Mallku.Secrets.Models;

namespace Mallku.Secrets.Storage;

/// <summary>What a reseal did.</summary>
/// <param name="KeyId">The data key that everything is under now.</param>
/// <param name="IsResumed">Whether it went on with one that was cut off, under the key of that.</param>
/// <param name="Secrets">Of how many secrets something was sealed anew.</param>
internal sealed record Resealed(string KeyId, bool IsResumed, int Secrets);

/// <summary>
/// Puts a new data key in the place of the newest one, and seals anew what is under the others, while everybody goes on to read
/// and write. At its end nothing opens with the others any more. What instances tell of their ledgers is under no data key, and
/// stays as it is.
/// </summary>
/// <remarks>
/// <para>A record is only replaced as it was read, so that a change by somebody else is never lost, and each counts for itself: a
/// kill at any moment leaves some records under the new key and some under an older one, both of which open until the end.</para>
/// <para>Who does not know of the new key yet can't write under an older one behind the end: what there is he has read before it
/// was sealed anew, and is refused; what is new is refused from the beginning on (<see cref="StoreRoot.ReplacementOf"/>).</para>
/// </remarks>
internal sealed class StoreReseal(SealedStore store, StoreUse use)
{
    private const int AtOnce = 4, MostPasses = 10, MostNamed = 5;
    private const string Resume = "mallku store reseal";

    private readonly IRecordStore _records = store.Records;
    private readonly StoreRoot _root = store.Root;

    internal async ValueTask<Resealed> RunAsync(Action<long, long>? progress, CancellationToken cancellationToken)
    {
        try
        {
            return await ResealAsync(progress, cancellationToken).ConfigureAwait(false);
        }
        catch (StoreUnreachableException e) when (e.MayBeWritten)
        {
            // what became of the write does not matter: the next reseal finds it under the new key, or not
            throw e.Refusal is { } refusal
                ? new SecretsException($"{refusal.Problem}; the reseal is not at its end", $"{refusal.Remedy}; then go on: {Resume}", e)
                : new StoreUnreachableException($"{e.Problem}; the reseal is not at its end", $"go on when the store answers: {Resume}", e);
        }
    }

    private async ValueTask<Resealed> ResealAsync(Action<long, long>? progress, CancellationToken cancellationToken)
    {
        var (head, _) = await _root.ReadAsync(cancellationToken).ConfigureAwait(false);
        var isResumed = head.IsResealing;
        if (!isResumed)
        {
            List<LedgerEvent> events = [new(LedgerKind.KeyRotated, Source: SealedStore.SourceName, Purpose: use.Purpose)];
            await use.Record(events, cancellationToken).ConfigureAwait(false);
            try
            {
                // of two who begin at the same time, the second helps the first
                await _root.ChangeAsync(now => now.IsResealing ? now : now with { Keys = [.. now.Keys, StoreRoot.NewKey(use.Clock)] }, cancellationToken).ConfigureAwait(false);
            }
            catch (SecretsException e)
            {
                await store.TakeBackAsync(events, e is StoreUnreachableException { MayBeWritten: true } ? SealedStore.MayBeMade : SealedStore.NotTaken).ConfigureAwait(false);
                throw;
            }

            (head, _) = await _root.ReadAsync(cancellationToken).ConfigureAwait(false);
        }

        _root.Forget();
        foreach (var older in head.Keys.Skip(head.Replaced).SkipLast(1))
        {
            // false where one that was cut off has said it already
            await _records.WriteAsync([new RecordWrite(StoreRoot.ReplacementOf(older.Id), Expected: null, "{}"u8.ToArray())], cancellationToken).ConfigureAwait(false);
        }

        var newest = head.Keys[^1].Id;
        var resealed = new HashSet<string>(StringComparer.Ordinal);

        // others go on writing, under an older key until they have read what is under the new one: until nothing is found
        for (var passes = 1; await PassAsync(resealed, progress, cancellationToken).ConfigureAwait(false); passes++)
        {
            if (passes == MostPasses)
            {
                throw new SecretsException(
                    $"an instance goes on to write under an older data key in the store '{_records.Description}'; what was found is sealed anew",
                    $"start the programs that use it anew, then go on: {Resume}");
            }
        }

        await RequireNoStraysAsync(newest, cancellationToken).ConfigureAwait(false);
        await _root.ChangeAsync(now => now.Keys[^1].Id == newest ? now with { Resealed = newest } : now, cancellationToken).ConfigureAwait(false);
        return new Resealed(newest, isResumed, resealed.Count);
    }

    // whether there was something to do
    private async ValueTask<bool> PassAsync(HashSet<string> resealed, Action<long, long>? progress, CancellationToken cancellationToken)
    {
        // first the ids alone: no medium has to keep a list open for as long as all this takes; and those that this machine has
        // seen, since one that is gone was not sealed anew
        var ids = use.Seen.Ids.ToHashSet(StringComparer.Ordinal);
        await foreach (var found in _records.ListAsync(RecordKind.Secret, "", before: null, cancellationToken).ConfigureAwait(false))
        {
            ids.Add(found.Key.Id);
        }

        var (done, hasResealed, failed) = (0, false, new List<SecretsException>());
        await Parallel.ForEachAsync(
            ids,
            new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancellationToken },
            async (id, token) =>
            {
                var (hadOlder, failure) = (false, (SecretsException?)null);
                try
                {
                    hadOlder = await ResealAsync(id, token).ConfigureAwait(false);
                }
                catch (SecretsException e) when (e is not StoreUnreachableException)
                {
                    // one that is damaged keeps no other from its turn
                    failure = e;
                }

                lock (ids)
                {
                    if (hadOlder)
                    {
                        resealed.Add(id);
                        hasResealed = true;
                    }

                    failed.AddRange(failure is null ? [] : [failure]);
                    progress?.Invoke(++done, ids.Count);
                }
            }).ConfigureAwait(false);
        return failed.Count == 0 ? hasResealed : throw Summarize(failed);
    }

    // Values of no secret: a head is never removed, and is written with the first of its values. Without it they do not open, also
    // not to be sealed anew, and behind the end they would not even where it was put back.
    private async ValueTask RequireNoStraysAsync(string newest, CancellationToken cancellationToken)
    {
        var (count, heads) = (0, new Dictionary<string, bool>(StringComparer.Ordinal));
        await foreach (var value in _records.ListAsync(RecordKind.Version, "", before: null, cancellationToken).ConfigureAwait(false))
        {
            // one of a secret that is new since is under the newest
            if (DocumentSeal.FindKeyId(value.Data) != newest)
            {
                var id = value.Key.Id.Split('.')[0];
                if (!heads.TryGetValue(id, out var isThere))
                {
                    isThere = id.Length > 0 && await _records.ReadAsync(new RecordKey(RecordKind.Secret, id), cancellationToken).ConfigureAwait(false) is not null;
                    heads.Add(id, isThere);
                }

                count += isThere ? 0 : 1;
            }
        }

        if (count > 0)
        {
            string[] gone = [.. heads.Where(static head => !head.Value).Select(static head => head.Key).Order(StringComparer.Ordinal)];
            throw new SecretsException(
                $"{count} {(count == 1 ? "value" : "values")} in the store '{_records.Description}' {(count == 1 ? "belongs" : "belong")} to no secret, and could not be sealed anew, as all others are: "
                + $"the store has lost {(gone.Length == 1 ? "a secret" : $"{gone.Length} secrets")} (the {(gone.Length == 1 ? "record" : "records")} {string.Join(", ", gone.Take(MostNamed))}{(gone.Length > MostNamed ? ", …" : "")}), or somebody has put them there",
                $"put a backup of the records of the secrets back, or, where there is none, set those secrets again, or remove the values; then go on: {Resume}");
        }
    }

    private SecretsException Summarize(List<SecretsException> failed)
    {
        var named = string.Join("; ", failed.Take(MostNamed).Select(static one => one.Problem));
        var others = failed.Count > MostNamed ? $"; and {failed.Count - MostNamed} more" : "";
        return new SecretsException(
            $"{failed.Count} {(failed.Count == 1 ? "secret" : "secrets")} in the store '{_records.Description}' could not be sealed anew, as all others are: {named}{others}",
            $"{failed[0].Remedy}; then go on: {Resume}",
            failed[0]);
    }

    // one secret: its head, and its values
    private async ValueTask<bool> ResealAsync(string id, CancellationToken cancellationToken)
    {
        var hadOlder = false;
        var tries = new WriteTries("a secret", store.Describe()) { Ending = ("it is not sealed anew yet", $"go on later: {Resume}") };
        var key = new RecordKey(RecordKind.Secret, id);
        for (string? last = null; ;)
        {
            if (await TryResealAsync(id, cancellationToken).ConfigureAwait(false) is { } result)
            {
                return hadOlder || result;
            }

            hadOlder = true;
            var revision = (await _records.ReadAsync(key, cancellationToken).ConfigureAwait(false))?.Revision;
            tries.NoteRefused(isUnchanged: revision == last);
            last = revision;
            await tries.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    // null where somebody else was faster: what was read is not what is there any more
    private async ValueTask<bool?> TryResealAsync(string id, CancellationToken cancellationToken)
    {
        if (await store.ReadHeadAsync(id, cancellationToken).ConfigureAwait(false) is not { } head)
        {
            return false;
        }

        // another reseal may have begun since
        var newest = (await _root.OpenAsync(cancellationToken).ConfigureAwait(false)).Newest;
        var (batch, bytes, hadOlder) = (new List<RecordWrite>(), 0, head.KeyId != newest);
        var (unknown, lacking) = (new List<RecordWrite>(), head.Record.Versions.FindAll(static version => version.HasValue));
        await foreach (var value in _records.ListAsync(RecordKind.Version, StoreSealing.VersionsOf(id), StoreSealing.AfterVersionsOf(id), cancellationToken).ConfigureAwait(false))
        {
            var isNewest = DocumentSeal.FindKeyId(value.Data) == newest;
            if (head.Record.Versions.Find(version => StoreSealing.KeyOf(id, version.Number) == value.Key) is not { HasValue: true } version)
            {
                // under the newest key, it may be of a change that is being made
                unknown.AddRange(isNewest ? [] : [new RecordWrite(value.Key, value.Revision, Data: null)]);
                continue;
            }

            lacking.Remove(version);
            if (isNewest)
            {
                if (await UseAsync(value, head, version, static (_, now, _) => now, cancellationToken).ConfigureAwait(false) is null)
                {
                    return null;
                }

                continue;
            }

            if (await UseAsync(value, head, version, (sealing, now, token) => sealing.SealValue(id, version, token.Span, now.Revision), cancellationToken).ConfigureAwait(false) is not { } write)
            {
                return null;
            }

            if (batch.Count == RecordWrite.MostAtOnce || (batch.Count > 0 && bytes + write.Data!.Value.Length > ValueParts.MostBytes))
            {
                if (!await _records.WriteAsync(batch, cancellationToken).ConfigureAwait(false))
                {
                    return null;
                }

                (batch, bytes) = ([], 0);
            }

            hadOlder = true;
            batch.Add(write);
            bytes += write.Data!.Value.Length;
        }

        if (batch.Count > 0 && !await _records.WriteAsync(batch, cancellationToken).ConfigureAwait(false))
        {
            return null;
        }

        if (lacking.Count > 0)
        {
            await store.RequireChangedAsync(head, lacking, cancellationToken).ConfigureAwait(false);
            return null;
        }

        if (head.KeyId == newest && unknown.Count == 0)
        {
            return hadOlder;
        }

        // the head as it was read, or nothing: so what it does not refer to is of no version, and was left by a writer that was cut off
        var sealing = await _root.OpenAsync(cancellationToken).ConfigureAwait(false);
        const int most = RecordWrite.MostAtOnce - 1;
        return await _records.WriteAsync([sealing.SealHead(head), .. unknown.Take(most)], cancellationToken).ConfigureAwait(false) && unknown.Count <= most ? true : null;
    }

    // null where it is gone by now
    private async ValueTask<T?> UseAsync<T>(
        StoredRecord value, OpenedHead head, VersionRecord version, Func<StoreSealing, StoredRecord, ReadOnlyMemory<byte>, T> use, CancellationToken cancellationToken)
        where T : class
    {
        try
        {
            return await _root.OpenAsync(value, (sealing, now) => sealing.UseValue(now, head.Id, version, token => use(sealing, now, token)), cancellationToken).ConfigureAwait(false);
        }
        catch (RecordOpenException e)
        {
            throw RecordOpenException.OfValue(head.Record.Name, version.Number, e, version.State == SecretVersionState.Pending);
        }
    }
}
