using Mallku.Secrets.Ledger;
using Mallku.Secrets.Models;

namespace Mallku.Secrets.Storage;

/// <summary>What a reseal did.</summary>
/// <param name="KeyId">The data key that everything is under now.</param>
/// <param name="IsResumed">Whether it went on with one that was cut off, under the key of that.</param>
/// <param name="Secrets">Of how many secrets something was sealed anew.</param>
internal sealed record Resealed(string KeyId, bool IsResumed, int Secrets);

/// <summary>
/// Puts a new data key in the place of the newest one, and seals anew what is under the others, while everybody goes on to
/// read and write. The older keys stay, wrapped: who does not know of the new one yet may still seal under them. What instances
/// tell of their ledgers is under no data key, and stays as it is.
/// </summary>
/// <remarks>
/// A record is only replaced as it was read, so that a change by somebody else is never lost, and each counts for itself: a kill
/// at any moment leaves some records under the new key and some under an older one, both of which open.
/// </remarks>
internal sealed class StoreReseal(IRecordStore records, StoreRoot root, StoreUse use)
{
    private const int AtOnce = 4, MostTries = 50, MostPasses = 10;

    // below what etcd takes as one request, but for a single record
    private const int MostBytes = 1 << 20;

    internal async ValueTask<Resealed> RunAsync(Action<long, long>? progress, CancellationToken cancellationToken)
    {
        var (head, _) = await root.ReadAsync(cancellationToken).ConfigureAwait(false);
        var isResumed = head.IsResealing;
        if (!isResumed)
        {
            await use.Record([new LedgerEvent(LedgerKind.KeyRotated, Source: SealedStore.SourceName, Purpose: use.Purpose)], cancellationToken).ConfigureAwait(false);

            // of two who begin at the same time, the second helps the first
            await root.ChangeAsync(now => now.IsResealing ? now : now with { Keys = [.. now.Keys, StoreRoot.NewKey(use.Clock)] }, cancellationToken).ConfigureAwait(false);
            (head, _) = await root.ReadAsync(cancellationToken).ConfigureAwait(false);
        }

        root.Forget();
        var newest = head.Keys[^1].Id;
        var resealed = new HashSet<string>(StringComparer.Ordinal);

        // others go on writing, under an older key until they have heard of the new one: until nothing is found
        for (var passes = 1; await PassAsync(newest, resealed, progress, cancellationToken).ConfigureAwait(false); passes++)
        {
            if (passes == MostPasses)
            {
                throw new SecretsException(
                    $"an instance goes on to write under an older data key in the store '{records.Description}'; what was found is sealed anew",
                    "start the programs that use it anew, then go on: mallku store reseal");
            }
        }

        await root.ChangeAsync(now => now.Keys[^1].Id == newest ? now with { Resealed = newest } : now, cancellationToken).ConfigureAwait(false);
        return new Resealed(newest, isResumed, resealed.Count);
    }

    // whether there was something to do
    private async ValueTask<bool> PassAsync(string newest, HashSet<string> resealed, Action<long, long>? progress, CancellationToken cancellationToken)
    {
        // first the ids alone: no medium has to keep a list open for as long as all this takes
        var ids = new List<string>();
        await foreach (var found in records.ListAsync(RecordKind.Secret, "", before: null, cancellationToken).ConfigureAwait(false))
        {
            ids.Add(found.Key.Id);
        }

        var (done, hasResealed) = (0, false);
        await Parallel.ForEachAsync(
            ids,
            new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancellationToken },
            async (id, token) =>
            {
                var hadOlder = await ResealAsync(id, newest, token).ConfigureAwait(false);
                lock (ids)
                {
                    if (hadOlder)
                    {
                        resealed.Add(id);
                        hasResealed = true;
                    }

                    progress?.Invoke(++done, ids.Count);
                }
            }).ConfigureAwait(false);
        return hasResealed;
    }

    // one secret: its head, and its values
    private async ValueTask<bool> ResealAsync(string id, string newest, CancellationToken cancellationToken)
    {
        var hadOlder = false;
        for (var tries = 1; ; tries++)
        {
            if (await TryResealAsync(id, newest, cancellationToken).ConfigureAwait(false) is { } result)
            {
                return hadOlder || result;
            }

            hadOlder = true;
            if (tries == MostTries)
            {
                throw new SecretsException($"others write a secret in the store '{records.Description}' all the time; it is not sealed anew yet", "go on later: mallku store reseal");
            }
        }
    }

    // null where somebody else was faster: what was read is not what is there any more
    private async ValueTask<bool?> TryResealAsync(string id, string newest, CancellationToken cancellationToken)
    {
        if (await records.ReadAsync(new RecordKey(RecordKind.Secret, id), cancellationToken).ConfigureAwait(false) is not { } found)
        {
            return false;
        }

        var sealing = await root.OpenAsync(found, cancellationToken).ConfigureAwait(false);
        var head = sealing.OpenHead(found);
        var (batch, bytes, hadOlder) = (new List<RecordWrite>(), 0, DocumentSeal.FindKeyId(found.Data) != newest);
        var unknown = new List<RecordWrite>();
        await foreach (var value in records.ListAsync(RecordKind.Version, StoreSealing.VersionsOf(id), StoreSealing.AfterVersionsOf(id), cancellationToken).ConfigureAwait(false))
        {
            if (DocumentSeal.FindKeyId(value.Data) == newest)
            {
                continue;
            }

            if (head.Record.Versions.Find(version => StoreSealing.KeyOf(id, version.Number) == value.Key) is not { HasValue: true } version)
            {
                unknown.Add(new RecordWrite(value.Key, value.Revision, Data: null));
                continue;
            }

            var write = await SealAnewAsync(sealing, value, id, version, cancellationToken).ConfigureAwait(false);
            if (batch.Count == RecordWrite.MostAtOnce || (batch.Count > 0 && bytes + write.Data!.Value.Length > MostBytes))
            {
                if (!await records.WriteAsync(batch, cancellationToken).ConfigureAwait(false))
                {
                    return null;
                }

                (batch, bytes) = ([], 0);
            }

            hadOlder = true;
            batch.Add(write);
            bytes += write.Data!.Value.Length;
        }

        if (batch.Count > 0 && !await records.WriteAsync(batch, cancellationToken).ConfigureAwait(false))
        {
            return null;
        }

        if (DocumentSeal.FindKeyId(found.Data) == newest && unknown.Count == 0)
        {
            return hadOlder;
        }

        // the head as it was read, or nothing: so what it does not refer to is of no version, and was left by a writer that was cut off
        return await records.WriteAsync([sealing.SealHead(head), .. unknown.Take(RecordWrite.MostAtOnce - 1)], cancellationToken).ConfigureAwait(false) ? true : null;
    }

    private async ValueTask<RecordWrite> SealAnewAsync(StoreSealing sealing, StoredRecord value, string id, VersionRecord version, CancellationToken cancellationToken)
    {
        var opening = await root.OpenAsync(value, cancellationToken).ConfigureAwait(false);
        return opening.UseValue(value, id, version, token => sealing.SealValue(id, version, token.Span, value.Revision));
    }
}
