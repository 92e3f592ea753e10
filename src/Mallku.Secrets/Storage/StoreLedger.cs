using System.Runtime.CompilerServices;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Models;

namespace Mallku.Secrets.Storage;

/// <summary>An instance that uses a shared store, as far as it told the store of itself. Immutable.</summary>
/// <param name="Id">Its id in the store.</param>
/// <param name="PublicKey">The key of its ledger, as <see cref="SecretsLedger.GetPublicKeyAsync"/> gives it there.</param>
/// <param name="Host">The machine's name.</param>
/// <param name="User">Whose process it was that introduced it.</param>
/// <param name="Began">When it told the store something for the first time, by its clock, in UTC.</param>
/// <param name="Told">The same for the last time.</param>
/// <param name="Entries">How many entries the store has of it.</param>
public sealed record StoreInstance(string Id, string PublicKey, string Host, string User, DateTimeOffset Began, DateTimeOffset Told, long Entries);

/// <summary>An entry of an instance's ledger. Immutable.</summary>
/// <param name="Instance">Whose.</param>
/// <param name="Entry">What happened.</param>
public sealed record StoreLedgerEntry(StoreInstance Instance, LedgerEntry Entry);

/// <summary>What looking over what a store has of one instance's ledger has found. Immutable.</summary>
/// <param name="Instance">Which; null where the store has lost what it knew of it.</param>
/// <param name="Id">Its id in the store.</param>
/// <param name="Fault">The first thing that is wrong; null where every entry is as the instance signed it.</param>
/// <param name="NotSigned">
/// How many of the last entries it has not signed yet: while it tells the store of many at once, or where it was cut off.
/// </param>
public sealed record InstanceVerification(StoreInstance? Instance, string Id, LedgerFault? Fault, long NotSigned = 0)
{
    /// <summary>Since when it has not told of a change that it made: within seconds it does. A fault after five minutes. Null where all is told.</summary>
    public DateTimeOffset? SilentSince { get; internal init; }
}

/// <summary>
/// What the instances of a shared store have told it of their ledgers (docs/formats/store-v1.md): each use of one of the store's
/// secrets, and each change, signed by the instance. Safe for concurrent use.
/// </summary>
/// <remarks>An instance tells it within seconds, and nobody waits for it: the newest entries may not be here yet.</remarks>
public sealed class StoreLedger
{
    private readonly SealedStore _store;

    internal StoreLedger(SealedStore store) => _store = store;

    private AuditRecords Audit => _store.Root.Audit;

    /// <summary>Tells the store what this machine's ledger has and it does not know yet.</summary>
    /// <returns>How many entries that were.</returns>
    /// <exception cref="SecretsException">The ledger can't be read, the store does not answer, or the two do not fit.</exception>
    public ValueTask<long> TellAsync(CancellationToken cancellationToken = default) => _store.Shipper.ShipAsync(cancellationToken);

    /// <summary>The instances that have told the store of themselves, in the order of their ids.</summary>
    /// <exception cref="SecretsException">The store does not answer, or what it has does not authenticate.</exception>
    public async ValueTask<IReadOnlyList<StoreInstance>> ListInstancesAsync(CancellationToken cancellationToken = default)
    {
        var instances = new List<StoreInstance>();
        await foreach (var (id, head) in ReadHeadsAsync(cancellationToken).ConfigureAwait(false))
        {
            instances.Add(ToInstance(id, head));
        }

        return instances;
    }

    /// <summary>
    /// The entries of all instances in the order of their times, read as they are asked for; what is none of the store's business
    /// is left out. Where an instance's ledger has pseudonyms, they have the names that the store knows.
    /// </summary>
    /// <param name="since">Leaves out what was before.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="SecretsException">The store does not answer, or what it has does not authenticate.</exception>
    public async IAsyncEnumerable<StoreLedgerEntry> ReadAsync(DateTimeOffset? since = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var streams = new PriorityQueue<IAsyncEnumerator<StoreLedgerEntry>, DateTimeOffset>();
        var opened = new List<IAsyncEnumerator<StoreLedgerEntry>>();
        try
        {
            List<string>? names = null;
            await foreach (var (id, head) in ReadHeadsAsync(cancellationToken).ConfigureAwait(false))
            {
                KnownNames? known = null;
                if (head.Pseudonyms is { } key && NamePseudonyms.TryImportKey(key) is { } pseudonyms)
                {
                    names ??= await _store.ReadAllAsync(cancellationToken).Select(static secret => secret.Record.Name).ToListAsync(cancellationToken).ConfigureAwait(false);
                    known = new KnownNames(pseudonyms, names);
                }

                opened.Add(ReadAsync(ToInstance(id, head), known, since, cancellationToken).GetAsyncEnumerator(cancellationToken));
                await AdvanceAsync(streams, opened[^1]).ConfigureAwait(false);
            }

            while (streams.TryDequeue(out var earliest, out _))
            {
                yield return earliest.Current;
                await AdvanceAsync(streams, earliest).ConfigureAwait(false);
            }
        }
        finally
        {
            foreach (var stream in opened)
            {
                await stream.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    /// <summary>How each of the store's secrets was used by all instances, those included that never were, in the order of their names.</summary>
    /// <exception cref="SecretsException">The store does not answer, or what it has does not authenticate.</exception>
    public async ValueTask<IReadOnlyList<SecretUse>> ReportAsync(CancellationToken cancellationToken = default)
    {
        var secrets = await _store.ListAsync(cancellationToken).ConfigureAwait(false);
        var entries = new List<LedgerEntry>();
        await foreach (var told in ReadAsync(since: null, cancellationToken).ConfigureAwait(false))
        {
            if (AccessReport.IsUse(told.Entry))
            {
                entries.Add(told.Entry);
            }
        }

        return AccessReport.Make(entries, secrets);
    }

    /// <summary>
    /// Compares what the store has of each instance with what the instance has signed, with what this machine has seen, and with
    /// the ledgers' entries that the secrets name: that something was altered, is missing, was put back, or is not told is in the
    /// answer, and no exception.
    /// </summary>
    /// <param name="progress">Told how many entries are done, and how many there are.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="SecretsException">The store does not answer.</exception>
    public async ValueTask<IReadOnlyList<InstanceVerification>> VerifyAsync(
        IProgress<(long Done, long Total)>? progress = null, CancellationToken cancellationToken = default)
    {
        var results = new List<InstanceVerification>();
        var changes = await RecordedChanges.ReadAsync(_store, cancellationToken).ConfigureAwait(false);
        results.AddRange(changes.Faults.Select(static pair => new InstanceVerification(null, pair.Key, pair.Value)));
        var heads = new List<(string Id, InstanceHead Head)>();
        await foreach (var found in _store.Records.ListAsync(RecordKind.Instance, "", before: null, cancellationToken).ConfigureAwait(false))
        {
            try
            {
                heads.Add((found.Key.Id, Audit.OpenHead(found)));
            }
            catch (RecordOpenException)
            {
                results.Add(new InstanceVerification(null, found.Key.Id, StoreLedgerFault.Unopened(found.Key.Id)));
            }
        }

        results.AddRange(_store.SeenInstances.Ids.Except([.. heads.Select(static one => one.Id), .. results.Select(static one => one.Id)], StringComparer.Ordinal)
            .Select(id => new InstanceVerification(null, id, StoreLedgerFault.Lost(id, _store.SeenInstances))));
        var known = heads.Select(static one => one.Id).Concat(results.Select(static one => one.Id)).ToHashSet(StringComparer.Ordinal);
        await foreach (var (id, record) in InstanceCheck.FindHeadlessAsync(_store.Records, known, cancellationToken).ConfigureAwait(false))
        {
            results.Add(new InstanceVerification(null, id, StoreLedgerFault.Headless(record)));
        }

        var now = _store.Clock.GetUtcNow();
        var silent = changes.FindSilent(heads.ToDictionary(static one => one.Id, static one => one.Head.Size, StringComparer.Ordinal)).ToDictionary(static one => one.Id, StringComparer.Ordinal);
        results.AddRange(silent.Values.Where(one => one.IsOverdue(now) && !heads.Exists(head => head.Id == one.Id) && !results.Exists(found => found.Id == one.Id))
            .Select(static one => new InstanceVerification(null, one.Id, StoreLedgerFault.Unknown(one)) { SilentSince = one.Since }));
        var (done, total) = (0L, heads.Sum(static one => one.Head.Size));
        foreach (var (id, head) in heads)
        {
            var check = new InstanceCheck(Audit, id, head, changes.Of(id));
            var fault = await check.RunAsync(_store.Records, _store.SeenInstances, count => progress?.Report((done + count, total)), cancellationToken).ConfigureAwait(false);
            done += head.Size;
            var since = silent.GetValueOrDefault(id);
            results.Add(new InstanceVerification(ToInstance(id, head), id, fault ?? (since?.IsOverdue(now) == true ? StoreLedgerFault.Silent(head, since) : null), fault is null ? check.NotSigned : 0)
            {
                SilentSince = since?.Since,
            });
            if (fault is null)
            {
                _store.SeenInstances.Note(id, head.Size);
            }
        }

        return results;
    }

    private async IAsyncEnumerable<StoreLedgerEntry> ReadAsync(StoreInstance instance, KnownNames? known, DateTimeOffset? since, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var (from, before) = AuditRecords.BatchesOf(instance.Id);
        var read = 0L;
        await foreach (var found in _store.Records.ListAsync(RecordKind.Audit, from, before, cancellationToken).ConfigureAwait(false))
        {
            // told since, or by nobody: VerifyAsync says which
            if (read >= instance.Entries)
            {
                break;
            }

            foreach (var line in AuditLines.Split(Audit.OpenBatch(instance.Id, found).Lines))
            {
                read++;
                if (line.Span is not [AuditRecords.HashMark, ..] && EntryLine.Parse(line.Span) is { } entry && !(entry.Time < since))
                {
                    yield return new StoreLedgerEntry(instance, known?.Reveal(entry) ?? entry);
                }
            }
        }
    }

    private async IAsyncEnumerable<(string Id, InstanceHead Head)> ReadHeadsAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var found in _store.Records.ListAsync(RecordKind.Instance, "", before: null, cancellationToken).ConfigureAwait(false))
        {
            yield return (found.Key.Id, Audit.OpenHead(found));
        }
    }

    private static async ValueTask AdvanceAsync(PriorityQueue<IAsyncEnumerator<StoreLedgerEntry>, DateTimeOffset> streams, IAsyncEnumerator<StoreLedgerEntry> stream)
    {
        if (await stream.MoveNextAsync().ConfigureAwait(false))
        {
            streams.Enqueue(stream, stream.Current.Entry.Time);
        }
    }

    private static StoreInstance ToInstance(string id, InstanceHead head) => new(id, head.Key, head.Host, head.User, head.Began, head.Told, head.Size);
}
