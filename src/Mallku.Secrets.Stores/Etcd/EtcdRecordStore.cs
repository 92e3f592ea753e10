using System.Runtime.CompilerServices;
using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Stores.Etcd;

/// <summary>Records in an etcd cluster, of version 3.4 or later. Reads are linearizable; a write is one transaction.</summary>
public sealed class EtcdRecordStore : IRecordStore
{
    private const int LargestRequest = 3 << 19, LargestPage = 512, MostOperations = 64, Attempts = 3;

    // of the largest records, as many as an answer can hold
    private const int FirstPage = 16;
    private const long PageBytes = 1 << 20;

    private readonly EtcdUrl _url;
    private readonly EtcdKeys _keys;
    private readonly EtcdCluster _cluster;

    private EtcdRecordStore(EtcdUrl url) => (_url, _keys, _cluster) = (url, new EtcdKeys(url.Prefix), new EtcdCluster(url));

    /// <summary>Opens the records of a cluster. Nothing is asked of it yet.</summary>
    /// <param name="url">
    /// <c>etcd://user@host1:2379,host2:2379,host3:2379/prefix?tls=true&amp;ca=/path&amp;cert=/path&amp;key=/path&amp;timeout=10</c>.
    /// All but one host may be left out: the prefix is <c>mallku</c> then, and TLS is used with every host but this machine.
    /// The timeout is that of a call, in seconds.
    /// </param>
    /// <param name="password">The user's password, where it is not in the URL. It is copied.</param>
    /// <exception cref="SecretsException">The URL is none, or a certificate can't be read.</exception>
    public static EtcdRecordStore Open(string url, SecretValue? password = null)
    {
        ArgumentNullException.ThrowIfNull(url);
        return new(EtcdUrl.Parse(url, password));
    }

    /// <inheritdoc/>
    public string Description => _url.Description;

    /// <inheritdoc/>
    public int MaxDataLength => 1_500_000;

    /// <summary>Sees that the cluster is one that knows what is needed, and lets this user read. There is nothing to make.</summary>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async ValueTask PrepareAsync(CancellationToken cancellationToken)
    {
        var version = await _cluster.ReadAsync(EtcdProtocol.Status, new ProtobufWriter(), EtcdProtocol.ReadVersion, cancellationToken).ConfigureAwait(false);
        if (!Version.TryParse(version.Split('-')[0], out var parsed) || parsed < new Version(3, 4))
        {
            throw new SecretsException($"{_url.Description} has version {SecretsException.Show(version)}", "use etcd 3.4 or later");
        }

        var (first, before) = _keys.Records;
        await RangeAsync(EtcdProtocol.RangeOf(first, before, limit: 1, keysOnly: true), cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask<StoredRecord?> ReadAsync(RecordKey key, CancellationToken cancellationToken)
    {
        var page = await RangeAsync(EtcdProtocol.RangeOf(_keys.Record(key)), cancellationToken).ConfigureAwait(false);
        return page.Found is [var found] ? RecordOf(key, found) : null;
    }

    /// <inheritdoc/>
    public IAsyncEnumerable<StoredRecord> ListAsync(RecordKind kind, string from, string? before, CancellationToken cancellationToken)
    {
        var (first, end) = _keys.Ids(kind, from, before);
        return ReadPagesAsync(
            first,
            end,
            LargestPage,
            async (next, limit, token) =>
            {
                var page = await RangeAsync(EtcdProtocol.RangeOf(next, end, limit), token).ConfigureAwait(false);
                return (page, page.Found);
            },
            cancellationToken);
    }

    /// <inheritdoc/>
    public IAsyncEnumerable<StoredRecord> FindAsync(RecordKind kind, string first, string last, CancellationToken cancellationToken)
    {
        var (from, end) = _keys.Terms(kind, first, last);
        return ReadPagesAsync(
            from,
            end,
            MostOperations,
            (next, limit, token) => FindPageAsync(kind, EtcdProtocol.RangeOf(next, end, limit, keysOnly: true), token),
            cancellationToken);
    }

    /// <inheritdoc/>
    public async ValueTask<bool> WriteAsync(IReadOnlyList<RecordWrite> writes, CancellationToken cancellationToken)
    {
        RecordWrite.Require(writes, MaxDataLength);
        var (conditions, operations) = (new List<ProtobufWriter>(), new List<ProtobufWriter>());
        foreach (var write in writes)
        {
            if (!EtcdRevision.TryParse(write.Expected, out var seen))
            {
                return false;
            }

            conditions.Add(EtcdProtocol.IsAt(_keys.Record(write.Key), seen.Number));
            operations.AddRange(OperationsOf(write, seen));
        }

        // etcd takes 128 operations at once, and in a transaction within a transaction what its conditions leave of them
        var request = EtcdProtocol.TxnOf(
            conditions,
            operations.Count <= MostOperations ? operations : operations.Chunk(MostOperations).Select(static part => EtcdProtocol.TxnOperation(EtcdProtocol.TxnOf([], part))));
        if (request.Written.Length > LargestRequest)
        {
            throw new SecretsException($"etcd takes at most {LargestRequest} bytes at once, and these are {request.Written.Length}; nothing was changed", "write fewer records at once");
        }

        return (await _cluster.WriteAsync(EtcdProtocol.Txn, request, EtcdProtocol.ReadTxn, cancellationToken).ConfigureAwait(false)).IsDone;
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<RecordKey?> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var (first, before) = _keys.Watched;
        while (true)
        {
            await foreach (var changes in _cluster.WatchAsync(EtcdProtocol.WatchOf(first, before), cancellationToken).ConfigureAwait(false))
            {
                if (changes.IsCreated)
                {
                    yield return null;
                }

                // what was not told yet is gone from the history: watched afresh, and said so
                if (changes.IsCompacted)
                {
                    break;
                }

                foreach (var key in changes.Keys)
                {
                    if (_keys.RecordOf(key) is { } record)
                    {
                        yield return record;
                    }
                }
            }
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        _cluster.Dispose();
        return ValueTask.CompletedTask;
    }

    private IEnumerable<ProtobufWriter> OperationsOf(RecordWrite write, EtcdRevision seen)
    {
        var terms = write.Data is null ? [] : write.Terms.Distinct(StringComparer.Ordinal).ToList();
        if (write.Data is { } data)
        {
            yield return EtcdProtocol.PutOperation(_keys.Record(write.Key), EtcdRevision.Join(terms, data));
        }
        else if (write.Expected is not null)
        {
            yield return EtcdProtocol.DeleteOperation(_keys.Record(write.Key));
        }

        foreach (var term in terms.Except(seen.Terms, StringComparer.Ordinal))
        {
            yield return EtcdProtocol.PutOperation(_keys.Term(write.Key, term), default);
        }

        foreach (var term in seen.Terms.Except(terms, StringComparer.Ordinal))
        {
            yield return EtcdProtocol.DeleteOperation(_keys.Term(write.Key, term));
        }
    }

    private async IAsyncEnumerable<StoredRecord> ReadPagesAsync(
        ReadOnlyMemory<byte> next,
        ReadOnlyMemory<byte> end,
        int largest,
        Func<ReadOnlyMemory<byte>, int, CancellationToken, Task<(EtcdPage Page, IReadOnlyList<EtcdRecord> Records)>> read,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        for (var (limit, hasMore) = (FirstPage, true); hasMore && next.Span.SequenceCompareTo(end.Span) < 0;)
        {
            var (page, records) = await ReadPageAsync().ConfigureAwait(false);
            foreach (var found in records)
            {
                yield return RecordOf(_keys.RecordOf(found.Key) ?? throw Damaged(), found);
            }

            // as many as make a mebibyte, going by those just read
            limit = (int)Math.Clamp(PageBytes * records.Count / Math.Max(1, records.Sum(static one => (long)one.Value.Length)), 1, largest);
            hasMore = page.HasMore;
            next = hasMore ? (byte[])[.. page.Found[^1].Key.Span, 0] : next;

            async Task<(EtcdPage Page, IReadOnlyList<EtcdRecord> Records)> ReadPageAsync()
            {
                try
                {
                    return await read(next, limit, cancellationToken).ConfigureAwait(false);
                }
                catch (SecretsException fault) when (limit > FirstPage && fault.InnerException is GrpcException { IsTooLong: true })
                {
                    // these are larger than those before
                    return await read(next, FirstPage, cancellationToken).ConfigureAwait(false);
                }
            }
        }
    }

    /// <summary>Terms' keys, and the records as they were at the same moment.</summary>
    private async Task<(EtcdPage Page, IReadOnlyList<EtcdRecord> Records)> FindPageAsync(RecordKind kind, ProtobufWriter range, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            var page = await RangeAsync(range, cancellationToken).ConfigureAwait(false);
            if (page.Found.Count == 0)
            {
                return (page, []);
            }

            var gets = page.Found.Select(found => EtcdProtocol.GetOperation(
                EtcdProtocol.RangeOf(_keys.Record(new(kind, EtcdKeys.IdOf(found.Key))), revision: page.Revision)));
            try
            {
                var (_, answers) = await _cluster.ReadAsync(EtcdProtocol.Txn, EtcdProtocol.TxnOf([], gets), EtcdProtocol.ReadTxn, cancellationToken).ConfigureAwait(false);
                var records = answers.SelectMany(static answer => answer.Found).ToList();
                return records.Count == page.Found.Count ? (page, records) : throw Damaged();
            }
            catch (SecretsException fault) when (attempt < Attempts && fault.InnerException is GrpcException inner && EtcdFault.IsCompacted(inner))
            {
                // the history up to now was just dropped
            }
        }
    }

    private Task<EtcdPage> RangeAsync(ProtobufWriter range, CancellationToken cancellationToken) =>
        _cluster.ReadAsync(EtcdProtocol.Range, range, EtcdProtocol.ReadRange, cancellationToken);

    private StoredRecord RecordOf(RecordKey key, EtcdRecord found) =>
        EtcdRevision.TrySplit(found, out var revision, out var data) ? new(key, revision.ToString(), data) : throw Damaged();

    private SecretsException Damaged() =>
        new($"{_url.Description} holds what was not written by this program", "see who else writes under that prefix, or restore it from a backup");
}
