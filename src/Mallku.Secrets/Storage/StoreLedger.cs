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
/// <param name="Entries">How many entries the store has of it, as its key has signed them.</param>
public sealed record StoreInstance(string Id, string PublicKey, string Host, string User, DateTimeOffset Began, DateTimeOffset Told, long Entries);

/// <summary>An entry of an instance's ledger. Immutable.</summary>
/// <param name="Instance">Whose.</param>
/// <param name="Entry">What happened.</param>
public sealed record StoreLedgerEntry(StoreInstance Instance, LedgerEntry Entry);

/// <summary>What looking over what a store has of one instance's ledger has found. Immutable.</summary>
/// <param name="Instance">Which; null where the store has lost what it knew of it.</param>
/// <param name="Id">Its id in the store; empty where it is this machine's, whose own ledger can't be read.</param>
/// <param name="Fault">The first thing that is wrong; null where every entry is as the instance signed it.</param>
/// <param name="NotSigned">How many entries there are in its name that it has not signed: they are none of its, or not yet.</param>
public sealed record InstanceVerification(StoreInstance? Instance, string Id, LedgerFault? Fault, long NotSigned = 0)
{
    /// <summary>Since when it has not told of a change that it made: within seconds it does. A fault after five minutes. Null where all is told.</summary>
    public DateTimeOffset? SilentSince { get; internal init; }

    /// <summary>What is odd and may be no fault, each in a line: a version of a secret that another machine says to have made, too.</summary>
    public IReadOnlyList<string> Oddities { get; internal init; } = [];
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
    public ValueTask<IReadOnlyList<StoreInstance>> ListInstancesAsync(CancellationToken cancellationToken = default) => ListInstancesAsync(static fault => throw fault, cancellationToken);

    /// <summary>The same; one that does not authenticate is told, and passed over.</summary>
    internal async ValueTask<IReadOnlyList<StoreInstance>> ListInstancesAsync(Action<SecretsException> faults, CancellationToken cancellationToken)
    {
        var instances = new List<StoreInstance>();
        await foreach (var (id, head) in ReadHeadsAsync(cancellationToken).ConfigureAwait(false))
        {
            if (head is null)
            {
                faults(new RecordOpenException(new SealContext("instance", id)));
            }
            else
            {
                instances.Add(ToInstance(id, head, SignedOf(id, head)));
            }
        }

        return instances;
    }

    /// <summary>
    /// The entries of all instances in the order of their times, read as they are asked for; what is none of the store's business
    /// is left out, as is what the instance has not signed. Where an instance's ledger has pseudonyms, they have the names that
    /// the store knows.
    /// </summary>
    /// <param name="since">Leaves out what was before.</param>
    /// <param name="problems">Told of each instance of which something is left out, or gone, and why.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="SecretsException">The store does not answer, or names that are needed can't be read.</exception>
    public async IAsyncEnumerable<StoreLedgerEntry> ReadAsync(
        DateTimeOffset? since = null, IProgress<InstanceVerification>? problems = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var streams = new PriorityQueue<IAsyncEnumerator<StoreLedgerEntry>, DateTimeOffset>();
        var opened = new List<IAsyncEnumerator<StoreLedgerEntry>>();
        try
        {
            var names = new List<string>();
            await foreach (var (id, head) in ReadHeadsAsync(cancellationToken).ConfigureAwait(false))
            {
                if (head is null || Audit.VerifierOf(id, head) is not { } verifier)
                {
                    problems?.Report(new InstanceVerification(null, id, StoreLedgerFault.Unopened(id)));
                    continue;
                }

                var known = await FindNamesAsync(head, names, cancellationToken).ConfigureAwait(false);
                opened.Add(ReadAsync(id, head, verifier, known, since, problems, cancellationToken).GetAsyncEnumerator(cancellationToken));
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
    /// <param name="problems">Told of each instance of which something is left out, or gone, and why.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="SecretsException">The store does not answer, or its secrets can't be read.</exception>
    public async ValueTask<IReadOnlyList<SecretUse>> ReportAsync(IProgress<InstanceVerification>? problems = null, CancellationToken cancellationToken = default)
    {
        var secrets = await _store.ListAsync(cancellationToken).ConfigureAwait(false);
        var entries = new List<LedgerEntry>();
        await foreach (var told in ReadAsync(since: null, problems, cancellationToken).ConfigureAwait(false))
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
        var (results, names) = (new List<InstanceVerification>(), new List<string>());
        var changes = await RecordedChanges.ReadAsync(_store, cancellationToken).ConfigureAwait(false);
        results.AddRange(changes.Faults.Select(static pair => new InstanceVerification(null, pair.Key, pair.Value)));

        // before the look: other processes of this machine go on to tell, and to see what is told
        var seen = _store.SeenInstances.Ids.ToDictionary(static id => id, _store.SeenInstances.Get, StringComparer.Ordinal);
        var heads = new List<(string Id, InstanceHead Head)>();
        await foreach (var (id, head) in ReadHeadsAsync(cancellationToken).ConfigureAwait(false))
        {
            if (head is null)
            {
                results.Add(new InstanceVerification(null, id, StoreLedgerFault.Unopened(id)));
            }
            else
            {
                heads.Add((id, head));
            }
        }

        results.AddRange(seen.Keys.Except([.. heads.Select(static one => one.Id), .. results.Select(static one => one.Id)], StringComparer.Ordinal)
            .Select(id => new InstanceVerification(null, id, StoreLedgerFault.Lost(id, seen[id], _store.SeenInstances.WayOn))));
        var known = heads.Select(static one => one.Id).Concat(results.Select(static one => one.Id)).ToHashSet(StringComparer.Ordinal);
        await foreach (var (id, record) in InstanceCheck.FindHeadlessAsync(_store.Records, known, cancellationToken).ConfigureAwait(false))
        {
            results.Add(new InstanceVerification(null, id, StoreLedgerFault.Headless(record)));
        }

        var (done, total, signed) = (0L, heads.Sum(static one => one.Head.Size), new Dictionary<string, long>(StringComparer.Ordinal));
        var made = new MadeVersions();
        var own = await _store.Shipper.FindFaultAsync(cancellationToken).ConfigureAwait(false);
        foreach (var (id, head) in heads)
        {
            var (instance, pseudonyms) = (ToInstance(id, head, SignedOf(id, head)), await FindNamesAsync(head, names, cancellationToken).ConfigureAwait(false));
            var check = new InstanceCheck(Audit, id, head, changes.Of(id)) { Told = entry => made.Add(instance, pseudonyms?.Reveal(entry) ?? entry) };
            var fault = await check.RunAsync(_store.Records, seen.GetValueOrDefault(id), _store.SeenInstances.WayOn, count => progress?.Report((done + count, total)), cancellationToken).ConfigureAwait(false);
            done += head.Size;
            signed.Add(id, fault is null ? check.Signed : head.Size);
            if (fault is null)
            {
                _store.SeenInstances.Note(id, check.Signed);
            }

            results.Add(new InstanceVerification(ToInstance(id, head, check.Signed), id, fault ?? (own?.Id == id ? own.Value.Fault : null), check.NotSigned));
        }

        if (own is { Id: null } unread)
        {
            results.Add(new InstanceVerification(null, "", unread.Fault));
        }

        Complain(results, changes, signed);
        var doubled = made.FindDoubled();
        return [.. results.Select(found => doubled[found.Id].ToList() is [_, ..] oddities ? found with { Oddities = oddities } : found)];
    }

    // of an instance whose ledger has pseudonyms; null for one that has none
    private async ValueTask<KnownNames?> FindNamesAsync(InstanceHead head, List<string> names, CancellationToken cancellationToken)
    {
        if (head.Pseudonyms is not { } key || NamePseudonyms.TryImportKey(key) is not { } pseudonyms)
        {
            return null;
        }

        if (names.Count == 0)
        {
            await foreach (var secret in _store.ReadHeadsAsync(static (_, _) => { }, cancellationToken).ConfigureAwait(false))
            {
                names.Add(secret.Record.Name);
            }
        }

        return new KnownNames(pseudonyms, names);
    }

    // of who has changed secrets and does not tell of it
    private void Complain(List<InstanceVerification> results, RecordedChanges changes, Dictionary<string, long> signed)
    {
        var now = _store.Clock.GetUtcNow();
        foreach (var silent in changes.FindSilent(signed))
        {
            var known = results.FindIndex(found => found.Id == silent.Id);
            if (known < 0 && silent.IsOverdue(now))
            {
                results.Add(new InstanceVerification(null, silent.Id, StoreLedgerFault.Unknown(silent)) { SilentSince = silent.Since });
            }
            else if (known >= 0 && results[known] is { Instance: { } instance } found)
            {
                results[known] = found with { SilentSince = silent.Since, Fault = found.Fault ?? (silent.IsOverdue(now) ? StoreLedgerFault.Silent(instance, silent) : null) };
            }
        }
    }

    private async IAsyncEnumerable<StoreLedgerEntry> ReadAsync(
        string id, InstanceHead head, NoteVerifier verifier, KnownNames? known, DateTimeOffset? since, IProgress<InstanceVerification>? problems, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var instance = ToInstance(id, head, SignedOf(id, head));
        var trail = new InstanceTrail(Audit, id, verifier);
        await foreach (var lines in trail.ReadAsync(_store.Records, cancellationToken).ConfigureAwait(false))
        {
            foreach (var line in lines)
            {
                if (AuditLines.Read(line.Span) is { } entry && !(entry.Time < since))
                {
                    yield return new StoreLedgerEntry(instance, known?.Reveal(entry) ?? entry);
                }
            }
        }

        if (trail.FindFault(head, seen: 0) is { } fault)
        {
            problems?.Report(new InstanceVerification(instance, id, fault, trail.NotSigned));
        }
    }

    // null where it does not open
    private async IAsyncEnumerable<(string Id, InstanceHead? Head)> ReadHeadsAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var found in _store.Records.ListAsync(RecordKind.Instance, "", before: null, cancellationToken).ConfigureAwait(false))
        {
            InstanceHead? head = null;
            try
            {
                head = Audit.OpenHead(found);
            }
            catch (RecordOpenException)
            {
                // its caller says so
            }

            yield return (found.Key.Id, head);
        }
    }

    private static async ValueTask AdvanceAsync(PriorityQueue<IAsyncEnumerator<StoreLedgerEntry>, DateTimeOffset> streams, IAsyncEnumerator<StoreLedgerEntry> stream)
    {
        if (await stream.MoveNextAsync().ConfigureAwait(false))
        {
            streams.Enqueue(stream, stream.Current.Entry.Time);
        }
    }

    // whoever has the store's key can write any number there
    private long SignedOf(string id, InstanceHead head) =>
        head.Checkpoint is { } note && Audit.VerifierOf(id, head) is { } verifier ? SignedTree.Open(note, verifier)?.Size ?? 0 : 0;

    private static StoreInstance ToInstance(string id, InstanceHead head, long entries) => new(id, head.Key, head.Host, head.User, head.Began, head.Told, entries);
}
