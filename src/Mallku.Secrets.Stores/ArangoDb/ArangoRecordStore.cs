using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Stores.ArangoDb;

/// <summary>
/// Records in an ArangoDB database, by its HTTP interface: a single server, or a cluster's database of one shard (OneShard), in
/// which a write of several records is whole. Safe for concurrent use.
/// </summary>
/// <remarks>
/// A watch asks ten times a second whether a collection has changed, since ArangoDB tells nobody by itself. So a change is heard
/// of a tenth of a second late at most, plus the way there and back, and always as "anything may have changed". Audit records are
/// not looked at: they come often, and nobody waits for them.
/// </remarks>
public sealed class ArangoRecordStore : IRecordStore
{
    private const int Page = 200, SecondsBetweenPages = 60;
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(100);

    private readonly ArangoAddress _address;
    private readonly ArangoConnection _connection;
    private readonly ArangoWriter _writer;
    private readonly TimeProvider _clock;

    private ArangoRecordStore(ArangoAddress address, TimeProvider clock)
    {
        _address = address;
        _clock = clock;
        _connection = new ArangoConnection(address, clock);
        _writer = new ArangoWriter(_connection, address.Prefix, clock, IsAsExpectedAsync);
    }

    /// <inheritdoc/>
    public string Description => _address.ToString();

    /// <inheritdoc/>
    /// <remarks>The most records at once, each of this size, fit into what ArangoDB takes as one transaction.</remarks>
    public int MaxDataLength => 1_500_000;

    /// <summary>Opens a store. Nothing is asked of the server yet.</summary>
    /// <param name="url"><c>arangodb://user@host:8529/database</c>, with the settings <c>tls</c>, <c>ca</c>, <c>prefix</c> and <c>auth</c>.</param>
    /// <param name="password">
    /// The user's password, or an access token; null where it is in the address, or where the server asks for none. It is copied.
    /// </param>
    /// <exception cref="SecretsException">The address is none, or its files can't be read.</exception>
    public static ArangoRecordStore Open(string url, SecretValue? password = null) => Open(url, password, TimeProvider.System);

    internal static ArangoRecordStore Open(string url, SecretValue? password, TimeProvider clock)
    {
        ArgumentNullException.ThrowIfNull(url);
        return new ArangoRecordStore(ArangoAddress.Parse(url, password?.RevealString()), clock);
    }

    /// <inheritdoc/>
    public async ValueTask PrepareAsync(CancellationToken cancellationToken)
    {
        var database = await GetAsync("_api/database/current", ArangoJson.Default.AnswerDatabaseInfo, cancellationToken).ConfigureAwait(false);
        if (database.Result.Sharding is not (null or "single"))
        {
            throw new SecretsException(
                $"{_address} is spread over the servers of its cluster, where a write of several records may be made in part", "use a database of one shard: {\"sharding\": \"single\"}");
        }

        // what is there is only looked at, so that a user who may make nothing can prepare what is prepared
        var there = await GetAsync("_api/collection?excludeSystem=true", ArangoJson.Default.AnswerListCollectionInfo, cancellationToken).ConfigureAwait(false);
        foreach (var collection in ArangoRecords.Kinds.Select(CollectionOf))
        {
            if (!there.Result.Exists(found => found.Name == collection))
            {
                var request = Json(new CollectionRequest { Name = collection }, ArangoJson.Default.CollectionRequest);
                var made = await _connection.SendAsync(new(HttpMethod.Post, "_api/collection") { Body = request }, cancellationToken).ConfigureAwait(false);
                if (made.ErrorNumber is not (0 or ArangoError.DuplicateName))
                {
                    throw _connection.Refusal(made);
                }
            }

            await PrepareIndexesAsync(collection, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    public async ValueTask<StoredRecord?> ReadAsync(RecordKey key, CancellationToken cancellationToken)
    {
        var path = $"_api/document/{CollectionOf(key.Kind)}/{Uri.EscapeDataString(ArangoRecords.KeyOf(key.Id))}";
        var answer = await _connection.SendAsync(new(HttpMethod.Get, path), cancellationToken).ConfigureAwait(false);
        return answer.ErrorNumber == ArangoError.DocumentNotFound
            ? null
            : ArangoRecords.Read(key.Kind, _connection.Read(answer, ArangoJson.Default.Document), Description);
    }

    /// <inheritdoc/>
    public IAsyncEnumerable<StoredRecord> ListAsync(RecordKind kind, string from, string? before, CancellationToken cancellationToken) => QueryAsync(
        kind,
        "FOR d IN @@records FILTER d.order >= @first AND d.order < @last SORT d.order RETURN { _key: d._key, _rev: d._rev, data: d.data }",
        ArangoRecords.OrderOf(from),
        before is null ? ArangoRecords.AfterAll : ArangoRecords.OrderOf(before),
        cancellationToken);

    /// <inheritdoc/>
    public IAsyncEnumerable<StoredRecord> FindAsync(RecordKind kind, string first, string last, CancellationToken cancellationToken) => QueryAsync(
        kind,
        // one index for each way to match
        "FOR d IN @@records "
        + "FILTER (d.t0 >= @first AND d.t0 <= @last) OR (d.t1 >= @first AND d.t1 <= @last) OR (d.t2 >= @first AND d.t2 <= @last) OR (d.t3 >= @first AND d.t3 <= @last) "
        + "OR (d.t4 >= @first AND d.t4 <= @last) OR (d.t5 >= @first AND d.t5 <= @last) OR (d.t6 >= @first AND d.t6 <= @last) OR (d.t7 >= @first AND d.t7 <= @last) "
        + "FOR t IN [d.t0, d.t1, d.t2, d.t3, d.t4, d.t5, d.t6, d.t7] FILTER t >= @first AND t <= @last SORT t, d.order RETURN { _key: d._key, _rev: d._rev, data: d.data }",
        ArangoRecords.OrderOf(first),
        ArangoRecords.OrderOf(last),
        cancellationToken);

    /// <inheritdoc/>
    public async ValueTask<bool> WriteAsync(IReadOnlyList<RecordWrite> writes, CancellationToken cancellationToken)
    {
        RecordWrite.Require(writes, MaxDataLength);
        cancellationToken.ThrowIfCancellationRequested();

        // nothing to write, only to see
        return writes is [{ Expected: null, Data: null }]
            ? await IsAsExpectedAsync(writes, cancellationToken).ConfigureAwait(false)
            : await _writer.WriteAsync(writes, cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<RecordKey?> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var seen = await RevisionsAsync(cancellationToken).ConfigureAwait(false);
        yield return null;
        while (true)
        {
            var lastHeard = Stopwatch.GetTimestamp();
            await Task.Delay(BetweenLooks, _clock, cancellationToken).ConfigureAwait(false);
            string[] now;
            try
            {
                now = await RevisionsAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (StoreUnreachableException e)
            {
                e.LastHeard = lastHeard;
                throw;
            }

            if (!now.SequenceEqual(seen, StringComparer.Ordinal))
            {
                seen = now;
                yield return null;
            }
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        _connection.Dispose();
        return ValueTask.CompletedTask;
    }

    private static byte[] Json<T>(T value, JsonTypeInfo<T> type) => JsonSerializer.SerializeToUtf8Bytes(value, type);

    private string CollectionOf(RecordKind kind) => ArangoRecords.CollectionOf(kind, _address.Prefix);

    private async Task<T> GetAsync<T>(string path, JsonTypeInfo<T> type, CancellationToken cancellationToken) =>
        _connection.Read(await _connection.SendAsync(new(HttpMethod.Get, path), cancellationToken).ConfigureAwait(false), type);

    private async Task PrepareIndexesAsync(string collection, CancellationToken cancellationToken)
    {
        var there = await GetAsync($"_api/index?collection={collection}", ArangoJson.Default.IndexList, cancellationToken).ConfigureAwait(false);
        foreach (var (field, isSparse) in ArangoRecords.Indexed)
        {
            // one that another instance makes at the same time is the same one
            if (!there.Indexes.Exists(index => index.Type == "persistent" && index.Fields is [var only] && only == field))
            {
                var request = Json(new IndexRequest { Fields = [field], Sparse = isSparse }, ArangoJson.Default.IndexRequest);
                var made = await _connection.SendAsync(new(HttpMethod.Post, $"_api/index?collection={collection}") { Body = request }, cancellationToken).ConfigureAwait(false);
                if (made.ErrorNumber != 0)
                {
                    throw _connection.Refusal(made);
                }
            }
        }
    }

    private async ValueTask<bool> IsAsExpectedAsync(IReadOnlyList<RecordWrite> writes, CancellationToken cancellationToken)
    {
        foreach (var write in writes)
        {
            if ((await ReadAsync(write.Key, cancellationToken).ConfigureAwait(false))?.Revision != write.Expected)
            {
                return false;
            }
        }

        return true;
    }

    private async IAsyncEnumerable<StoredRecord> QueryAsync(
        RecordKind kind, string text, string first, string last, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var query = new Query
        {
            Text = text,
            BindVars = new(StringComparer.Ordinal) { ["@records"] = CollectionOf(kind), ["first"] = first, ["last"] = last },
            BatchSize = Page,
            Ttl = SecondsBetweenPages,
        };
        string? rest = null;
        try
        {
            var page = await PageAsync("_api/cursor", Json(query, ArangoJson.Default.Query), cancellationToken).ConfigureAwait(false);
            while (true)
            {
                rest = page.HasMore ? page.Id : null;
                foreach (var document in page.Result)
                {
                    yield return ArangoRecords.Read(kind, document, Description);
                }

                if (rest is null)
                {
                    break;
                }

                // by its number: were the page after the last that arrived asked for, one whose answer was lost would be left out
                page = await PageAsync($"_api/cursor/{Uri.EscapeDataString(rest)}/{page.NextBatchId}", null, cancellationToken).ConfigureAwait(false);
            }
        }
        finally
        {
            if (rest is not null)
            {
                await ForgetAsync(rest).ConfigureAwait(false);
            }
        }
    }

    private async Task<Batch> PageAsync(string path, byte[]? query, CancellationToken cancellationToken)
    {
        var answer = await _connection.SendAsync(new(HttpMethod.Post, path) { Body = query }, cancellationToken).ConfigureAwait(false);
        if (answer.ErrorNumber == ArangoError.CursorNotFound)
        {
            throw new SecretsException($"{Description} has given up a reading of which no page was asked for within {SecondsBetweenPages} seconds", "read again from the beginning");
        }

        var page = _connection.Read(answer, ArangoJson.Default.Batch);
        return page is { HasMore: false } or { Id: not null, NextBatchId: not null }
            ? page
            : throw new SecretsException($"{Description} does not number the pages of what it finds", "use ArangoDB 3.11.1 or later");
    }

    // the server forgets it by itself later
    private async Task ForgetAsync(string cursor)
    {
        try
        {
            await _connection.SendAsync(new(HttpMethod.Delete, $"_api/cursor/{Uri.EscapeDataString(cursor)}"), CancellationToken.None).ConfigureAwait(false);
        }
        catch (SecretsException)
        {
            // whoever reads has what he wants, or knows already that he has not
        }
    }

    private Task<string[]> RevisionsAsync(CancellationToken cancellationToken) => Task.WhenAll(ArangoRecords.Kinds.Where(static kind => kind != RecordKind.Audit).Select(
        async kind => (await GetAsync($"_api/collection/{CollectionOf(kind)}/revision", ArangoJson.Default.CollectionRevision, cancellationToken).ConfigureAwait(false)).Revision));
}
