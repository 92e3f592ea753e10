using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Mallku.ArangoDb.TestServer;

/// <summary>
/// One database in memory, with ArangoDB's rules: revisions, write-write conflicts on a key that another transaction has locked
/// or has changed since this one began, snapshots, idle timeouts. A conflict is answered at once, without waiting for the lock.
/// Safe for concurrent use.
/// </summary>
internal sealed partial class Database(TimeProvider clock)
{
    private static readonly TimeSpan TransactionIdle = TimeSpan.FromSeconds(60);

    private readonly Lock _gate = new();
    private readonly Dictionary<string, StoredTransaction> _transactions = [];
    private readonly Dictionary<(string Collection, string Key), string> _locks = [];
    private readonly Dictionary<string, StoredCursor> _cursors = [];
    private ImmutableDictionary<string, StoredCollection> _collections = ImmutableDictionary<string, StoredCollection>.Empty.WithComparers(StringComparer.Ordinal);
    private long _tick = 1000;

    internal IReadOnlyCollection<string> OpenTransactions => Locked(() => _transactions.Values.Where(static one => one.Status == "running").Select(static one => one.Id).ToList());

    internal IReadOnlyCollection<string> OpenCursors => Locked(() => _cursors.Keys.ToList());

    internal T Locked<T>(Func<T> work)
    {
        lock (_gate)
        {
            Expire();
            return work();
        }
    }

    internal IEnumerable<StoredCollection> Collections => Locked(() => _collections.Values.OrderBy(static one => one.Name, StringComparer.Ordinal).ToList());

    internal StoredCollection Collection(string name) => Locked(() => _collections.GetValueOrDefault(name) ?? throw ArangoException.CollectionNotFound(name));

    internal StoredCollection CreateCollection(string name) => Locked(() =>
    {
        if (!CollectionName().IsMatch(name))
        {
            throw new ArangoException(400, 1208, "illegal name");
        }

        if (_collections.ContainsKey(name))
        {
            throw new ArangoException(409, 1207, "duplicate name: duplicate name");
        }

        var made = new StoredCollection(
            name,
            NextTick(),
            "0",
            ImmutableDictionary<string, StoredDocument>.Empty.WithComparers(StringComparer.Ordinal),
            ImmutableDictionary<string, long>.Empty.WithComparers(StringComparer.Ordinal),
            [new StoredIndex("0", ["_key"], IsSparse: false, IsUnique: true)]);
        _collections = _collections.Add(name, made);
        return made;
    });

    /// <summary>Creates an index, or finds the same one.</summary>
    internal (StoredIndex Index, bool IsNew) CreateIndex(string collection, IReadOnlyList<string> fields, bool isSparse) => Locked(() =>
    {
        var there = Collection(collection);
        if (there.Indexes.Find(index => index.Id != "0" && index.IsSparse == isSparse && index.Fields.SequenceEqual(fields)) is { } same)
        {
            return (same, false);
        }

        var index = new StoredIndex(NextTick(), [.. fields], isSparse, IsUnique: false);
        _collections = _collections.SetItem(collection, there with { Indexes = there.Indexes.Add(index) });
        return (index, true);
    });

    internal StoredTransaction Begin(IReadOnlySet<string> writable) => Locked(() =>
    {
        foreach (var name in writable)
        {
            Collection(name);
        }

        var transaction = new StoredTransaction(NextTick(), _collections, writable, clock.GetUtcNow());
        _transactions.Add(transaction.Id, transaction);
        return transaction;
    });

    internal StoredTransaction Transaction(string id) => Locked(() => _transactions.GetValueOrDefault(id) ?? throw new ArangoException(404, 1655, "transaction not found"));

    internal StoredTransaction End(string id, bool commits) => Locked(() =>
    {
        var transaction = Transaction(id);
        var status = commits ? "committed" : "aborted";
        if (transaction.Status == "running")
        {
            if (commits)
            {
                Publish(transaction.Written);
            }

            Close(transaction, status);
        }

        return transaction.Status == status ? transaction : throw new ArangoException(400, 1653, $"disallowed operation inside transaction: transaction is {transaction.Status}");
    });

    internal StoredDocument Read(string? transaction, string collection, string key) => Locked(() => Find(Running(transaction), collection, key) ?? throw ArangoException.DocumentNotFound());

    /// <summary>Writes or removes one document.</summary>
    /// <param name="transaction">What it is part of.</param>
    /// <param name="collection">Where.</param>
    /// <param name="key">Which.</param>
    /// <param name="change">From what is there to what is to be there; throws where that must not be.</param>
    internal StoredDocument? Change(string? transaction, string collection, string key, Func<StoredDocument?, Func<string>, StoredDocument?> change) => Locked(() =>
    {
        var running = Running(transaction);
        var live = Collection(collection);
        if (running?.Writable.Contains(collection) == false)
        {
            throw new ArangoException(400, 1652, "unregistered collection used in transaction");
        }

        var place = (collection, key);
        var isLockedByOther = _locks.TryGetValue(place, out var owner) && owner != transaction;
        var isChangedSince = running is not null && live.Touched.GetValueOrDefault(key) != running.Snapshot[collection].Touched.GetValueOrDefault(key);
        if (isLockedByOther || isChangedSince)
        {
            throw ArangoException.Conflict();
        }

        var changed = change(Find(running, collection, key), NextRevision);
        if (running is null)
        {
            Publish([new(place, changed)]);
        }
        else
        {
            _locks[place] = running.Id;
            running.Written[place] = changed;
        }

        return changed;
    });

    internal StoredCursor Open(IReadOnlyList<JsonObject> rows, int batchSize, TimeSpan timeToLive) => Locked(() =>
    {
        var cursor = new StoredCursor(NextTick(), rows, batchSize, timeToLive) { LastUsed = clock.GetUtcNow() };
        _cursors.Add(cursor.Id, cursor);
        return cursor;
    });

    internal JsonObject NextBatch(string id, int batch) => Locked(() =>
    {
        var cursor = _cursors.GetValueOrDefault(id);
        if (cursor is null || cursor.NextBatch != batch)
        {
            throw new ArangoException(404, 1600, "cursor not found: disposed or unknown cursor");
        }

        cursor.LastUsed = clock.GetUtcNow();
        var answer = new JsonObject { ["result"] = cursor.Take(), ["hasMore"] = cursor.HasMore, ["cached"] = false };
        if (cursor.HasMore)
        {
            answer["id"] = cursor.Id;
            answer["nextBatchId"] = cursor.NextBatch.ToString(CultureInfo.InvariantCulture);
        }
        else
        {
            _cursors.Remove(id);
        }

        return answer;
    });

    internal void Forget(string cursor) => Locked(() => _cursors.Remove(cursor) ? true : throw new ArangoException(404, 1600, "cursor not found: disposed or unknown cursor"));

    private StoredTransaction? Running(string? id)
    {
        if (id is null)
        {
            return null;
        }

        var transaction = Transaction(id);
        if (transaction.Status != "running")
        {
            throw new ArangoException(410, 1654, $"transaction aborted: transaction '{id}' has been {transaction.Status}");
        }

        transaction.LastUsed = clock.GetUtcNow();
        return transaction;
    }

    private StoredDocument? Find(StoredTransaction? transaction, string collection, string key)
    {
        if (transaction is null)
        {
            return Collection(collection).Documents.GetValueOrDefault(key);
        }

        return transaction.Written.TryGetValue((collection, key), out var own)
            ? own
            : (transaction.Snapshot.GetValueOrDefault(collection) ?? throw ArangoException.CollectionNotFound(collection)).Documents.GetValueOrDefault(key);
    }

    private void Publish(IEnumerable<KeyValuePair<(string Collection, string Key), StoredDocument?>> written)
    {
        foreach (var ((collection, key), document) in written)
        {
            var live = _collections[collection];
            _collections = _collections.SetItem(collection, live with
            {
                Documents = document is null ? live.Documents.Remove(key) : live.Documents.SetItem(key, document),
                Touched = live.Touched.SetItem(key, ++_tick),
                Revision = NextRevision(),
            });
        }
    }

    private void Close(StoredTransaction transaction, string status)
    {
        transaction.Status = status;
        foreach (var place in _locks.Where(held => held.Value == transaction.Id).Select(static held => held.Key).ToList())
        {
            _locks.Remove(place);
        }
    }

    private void Expire()
    {
        var now = clock.GetUtcNow();
        foreach (var idle in _transactions.Values.Where(one => one.Status == "running" && now - one.LastUsed > TransactionIdle))
        {
            Close(idle, "aborted");
        }

        foreach (var old in _cursors.Values.Where(one => now - one.LastUsed > one.TimeToLive).ToList())
        {
            _cursors.Remove(old.Id);
        }
    }

    private string NextTick() => (++_tick).ToString(CultureInfo.InvariantCulture);

    private string NextRevision() => $"_k{++_tick:x}---";

    [GeneratedRegex("^[a-zA-Z][a-zA-Z0-9_-]{0,255}$", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex CollectionName();
}
