namespace Mallku.Secrets.Storage;

/// <summary>
/// Opaque records that many machines share: bytes under a key, with compare-and-swap and a watch. It never sees what is in
/// them. Safe for concurrent use.
/// </summary>
/// <remarks>
/// <para>Reads see every write that was acknowledged before they began, by whomever. A call ends in bounded time.</para>
/// <para>Where the medium does not answer, a call throws <see cref="StoreUnreachableException"/>; for any other fault,
/// a <see cref="SecretsException"/>. Neither has a password, a key or a record's bytes in its text. Nothing is tried again
/// here: whoever stands above knows what may be.</para>
/// </remarks>
public interface IRecordStore : IAsyncDisposable
{
    /// <summary>Where it is, for a person: engine, host, database. Without a password.</summary>
    string Description { get; }

    /// <summary>The most bytes that one record's data may have.</summary>
    int MaxDataLength { get; }

    /// <summary>
    /// Makes what the records need, such as tables, where it is not there yet. Any number of instances may do so at the
    /// same time.
    /// </summary>
    ValueTask PrepareAsync(CancellationToken cancellationToken);

    /// <summary>The record under a key, or null.</summary>
    /// <exception cref="SecretsException">It can't be told, or nothing was prepared there.</exception>
    ValueTask<StoredRecord?> ReadAsync(RecordKey key, CancellationToken cancellationToken);

    /// <summary>The records of one kind whose ids lie in a range, in the ordinal order of the ids; read in pages.</summary>
    /// <param name="kind">Which records.</param>
    /// <param name="from">The first id; empty for the first of all.</param>
    /// <param name="before">The id at which it ends, which is left out; null for all.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    IAsyncEnumerable<StoredRecord> ListAsync(RecordKind kind, string from, string? before, CancellationToken cancellationToken);

    /// <summary>The records of one kind that were written with a term in a range, in the ordinal order of the terms.</summary>
    /// <param name="kind">Which records.</param>
    /// <param name="first">The first term.</param>
    /// <param name="last">The last term; the same as the first for exactly that.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    IAsyncEnumerable<StoredRecord> FindAsync(RecordKind kind, string first, string last, CancellationToken cancellationToken);

    /// <summary>
    /// Writes all of the records, or none: only where each is as the caller has seen it. What was written is durable.
    /// </summary>
    /// <param name="writes">1 to <see cref="RecordWrite.MostAtOnce"/>, each of another key.</param>
    /// <param name="cancellationToken">
    /// Ends the wait. Where it, or a fault, comes when the write was sent already, it may have been made:
    /// <see cref="StoreUnreachableException.MayBeWritten"/>.
    /// </param>
    /// <returns>False where one of the records was not as expected; nothing was written then.</returns>
    ValueTask<bool> WriteAsync(IReadOnlyList<RecordWrite> writes, CancellationToken cancellationToken);

    /// <summary>
    /// What changes, from the first answer on, which comes as soon as nothing can be missed any more and has no key. A key
    /// that is null later says that anything may have changed. It ends with <see cref="StoreUnreachableException"/> where
    /// the medium is lost; whoever watches anew asks for everything afresh.
    /// </summary>
    /// <remarks>
    /// The same change may be told twice, and one by the watcher itself is told too. Those of instances and audit records may
    /// be left out: they come often, and nobody waits for them.
    /// </remarks>
    IAsyncEnumerable<RecordKey?> WatchAsync(CancellationToken cancellationToken);
}
