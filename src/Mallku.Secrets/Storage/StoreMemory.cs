using System.Collections.Concurrent;

namespace Mallku.Secrets.Storage;

/// <summary>
/// What lookups in a shared store have found, for as long as it holds: until a change is told where changes are followed, else
/// for a second; and while the store does not answer, up to the age that was allowed. Safe for concurrent use.
/// </summary>
internal sealed class StoreMemory
{
    /// <summary>What an answer's source is called while the store does not answer: the ledger then has it so.</summary>
    internal const string StaleSourceName = "store, not answering";

    private const long MillisecondsUnfollowed = 1000;
    private readonly SealedStore _store;
    private readonly StoreUse _use;
    private readonly StoreWatch _watch;
    private readonly Lock _gate = new();
    private readonly ConcurrentDictionary<string, Answer> _known = new(StringComparer.Ordinal);

    // by the stamp that the change made: of one secret, and of anything
    private readonly ConcurrentDictionary<string, long> _changes = new(StringComparer.Ordinal);
    private long _changeOfAll;

    // by the stamp of this process's own newest change of a secret: what was known before it is no answer any more
    private readonly ConcurrentDictionary<string, long> _made = new(StringComparer.Ordinal);
    private long _stamp;
    private long _looked = Environment.TickCount64;
    private volatile bool _isExpired;

    internal StoreMemory(SealedStore store, IRecordStore records, StoreUse use)
    {
        (_store, _use) = (store, use);
        _watch = new StoreWatch(records, use.Clock, Hear);
    }

    /// <summary>Whether whatever changes in the store is told.</summary>
    internal bool IsFollowing => _watch.IsFollowing;

    /// <summary>Follows what changes, and tells the store of the ledger, from now on: not in a command that ends at once.</summary>
    internal void Follow()
    {
        if (_use.Follows)
        {
            _watch.Begin();
            _store.Shipper.Begin();
        }
    }

    /// <summary>Another number when an answer may be another one.</summary>
    /// <param name="now"><see cref="Environment.TickCount64"/>.</param>
    internal long GetChangeStamp(long now)
    {
        if (!_watch.IsFollowing)
        {
            var looked = Volatile.Read(ref _looked);
            if (now - looked >= MillisecondsUnfollowed && Interlocked.CompareExchange(ref _looked, now, looked) == looked)
            {
                // nobody tells of changes: whoever asks looks again; but while the store is known not to answer, nothing can be seen
                if (_watch.Outage is null || (!_isExpired && _watch.Silence > _use.MaxStaleness))
                {
                    _isExpired = _watch.Outage is not null;
                    ForgetAll();
                }
            }
        }

        return Volatile.Read(ref _stamp);
    }

    /// <summary>A secret's current value, or null where there is none of exactly this name.</summary>
    /// <exception cref="SecretsException">It can't be told: the store does not answer, or what it says can't be used.</exception>
    internal async ValueTask<FoundSecret?> FindAsync(SecretName name, CancellationToken cancellationToken)
    {
        Follow();
        var text = name.ToString();
        var known = _known.GetValueOrDefault(text);
        if (known is not null && Holds(known))
        {
            return known.Found;
        }

        if (_watch.Outage is { } outage)
        {
            return ToStale(known, outage);
        }

        // before it is asked: a change meanwhile makes the answer old, never new
        var stamp = Volatile.Read(ref _stamp);
        try
        {
            var (id, found) = await _store.FetchAsync(name, cancellationToken).ConfigureAwait(false);
            _watch.NoteAnswer();
            _isExpired = false;
            _known[text] = new Answer(id, found, stamp, Environment.TickCount64);
            return found;
        }
        catch (StoreUnreachableException e)
        {
            _watch.NoteOutage(e);
            return ToStale(known, e);
        }
    }

    /// <summary>Notes that this process has changed a secret: nothing from before is answered any more, and the store has answered just now.</summary>
    internal void NoteChange(string id)
    {
        Hear(new RecordKey(RecordKind.Secret, id));
        _made[id] = Volatile.Read(ref _stamp);
        _watch.NoteAnswer();
    }

    /// <summary>Makes every lookup ask the store.</summary>
    internal void ForgetAll() => Hear(null);

    internal ValueTask EndAsync() => _watch.EndAsync();

    private void Hear(RecordKey? key)
    {
        // who rotates writes his turn anew all the time
        if (key is { Kind: not RecordKind.Secret } other && other != StoreRoot.Record)
        {
            return;
        }

        if (key is not { Kind: RecordKind.Secret })
        {
            _store.Root.Forget();
        }

        lock (_gate)
        {
            // first which, then that: a lookup in between must not take the answer of before for one of after
            var next = _stamp + 1;
            if (key is { Kind: RecordKind.Secret, Id: var id })
            {
                _changes[id] = next;
            }
            else
            {
                Volatile.Write(ref _changeOfAll, next);
            }

            Volatile.Write(ref _stamp, next);
        }
    }

    private bool Holds(Answer known) =>
        known.Stamp >= Volatile.Read(ref _changeOfAll)
        && known.Stamp >= _changes.GetValueOrDefault(known.Id)
        && (_watch.IsFollowing || Environment.TickCount64 - known.Read < MillisecondsUnfollowed);

    private FoundSecret? ToStale(Answer? known, StoreUnreachableException outage)
    {
        if (known is null || known.Stamp < _made.GetValueOrDefault(known.Id) || _use.MaxStaleness == TimeSpan.Zero)
        {
            throw outage;
        }

        return _watch.Silence < _use.MaxStaleness
            ? known.ToStale()
            : throw new StoreUnreachableException(
                $"{outage.Problem}, for longer than the {_use.MaxStaleness.TotalSeconds:0} s for which known values are used", outage.Remedy, outage);
    }

    private sealed record Answer(string Id, FoundSecret? Found, long Stamp, long Read)
    {
        private FoundSecret? _stale;

        // one object for each outage: its uses are counted together
        internal FoundSecret? ToStale() => Found is null ? null : _stale ??= Found with { Source = StaleSourceName };
    }
}
