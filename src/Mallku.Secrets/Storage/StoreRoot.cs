using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text.Json.Serialization;
using Mallku.Secrets.Crypto;
using Mallku.Secrets.Models;

namespace Mallku.Secrets.Storage;

/// <summary>What a shared store holds of itself: its data keys, wrapped by what its root key gives, and how many versions are kept.</summary>
internal sealed record StoreHead
{
    /// <summary>The data keys, the newest last.</summary>
    [Secured(Obfuscation.Encrypted)]
    public required IReadOnlyList<WrappedKey> Keys { get; init; }

    /// <summary>How many versions of a secret are kept.</summary>
    [Secured(Obfuscation.Encrypted)]
    public required int Keep { get; init; }

    /// <summary>The data key under which everything was found to be when the last reseal ended; null where there was none.</summary>
    [Secured(Obfuscation.Encrypted)]
    public string? Resealed { get; init; }

    /// <summary>One more at each change; 0 where an older program has written it.</summary>
    [Secured(Obfuscation.Encrypted)]
    public long Generation { get; init; }

    /// <summary>Whether records may still be under an older key than the newest: a reseal has begun, and did not end yet.</summary>
    [JsonIgnore]
    internal bool IsResealing => Keys.Count > 1 && Resealed != Keys[^1].Id;

    /// <summary>Whether it is what this program writes.</summary>
    [JsonIgnore]
    internal bool IsWhole => Keys.Count > 0 && Keys.All(static key => key?.Key.Length == AesGcmSealing.KeyLength) && Keep > 0 && StoreSealing.IsCount(Generation);

    /// <summary>How many keys were replaced, from the oldest on: a reseal has ended, and nothing opens with them any more.</summary>
    [JsonIgnore]
    internal int Replaced => Math.Max(0, Keys.ToList().FindIndex(key => key.Id == Resealed));
}

/// <summary>A data key, in the clear only within what wraps it.</summary>
/// <param name="Id">By which documents name it.</param>
/// <param name="Created">When it was made.</param>
/// <param name="Key">256 random bits.</param>
internal sealed record WrappedKey(string Id, DateTimeOffset Created, byte[] Key);

/// <summary>
/// The one record that a shared store begins with, and what its root key opens: everything else is under the data keys in it.
/// Safe for concurrent use.
/// </summary>
[SuppressMessage("Design", "CA1001", Justification = "A semaphore whose wait handle nobody asks for holds nothing to dispose of.")]
internal sealed class StoreRoot
{
    internal static readonly RecordKey Record = new(RecordKind.Store, "store");
    private static readonly SealContext Place = new("store", "store");

    // who is told of changes looks sooner: so long may a key that was replaced open what somebody else has written under it
    private static readonly TimeSpan LongestUnlooked = TimeSpan.FromSeconds(10);

    private readonly IRecordStore _records;
    private readonly StoreKey _key;
    private readonly SeenGenerations? _seen;
    private readonly TimeProvider _clock;
    private readonly IndexKey _index;
    private readonly SecuredModel<StoreHead> _model;
    private readonly SemaphoreSlim _opening = new(1, 1);
    private volatile Opened? _opened;
    private long _forgotten;

    /// <param name="records">Where it lies.</param>
    /// <param name="key">By what it opens.</param>
    /// <param name="seen">What this machine has seen of it; null for who looks only once.</param>
    /// <param name="clock">By which what was read grows old; null for the system's.</param>
    internal StoreRoot(IRecordStore records, StoreKey key, SeenGenerations? seen = null, TimeProvider? clock = null)
    {
        (_records, _key, _seen, _clock) = (records, key, seen, clock ?? TimeProvider.System);
        var (index, wrapping) = (key.Derive("mallku/v1/store-index"u8), key.Derive("mallku/v1/store-key-wrapping"u8));
        _index = new IndexKey(index);
        Audit = new AuditRecords(key, _index);
        var ring = new DataKeyRing(new SealingKey("root", new AesGcmSealing(wrapping)));
        CryptographicOperations.ZeroMemory(index);
        CryptographicOperations.ZeroMemory(wrapping);
        _model = new SecuredModel<StoreHead>("store", StoreJson.Default.StoreHead, new Deployment(key.StoreId, _index, ring));
    }

    /// <summary>What seals what instances tell the store.</summary>
    internal AuditRecords Audit { get; }

    /// <summary>The store that the key is for.</summary>
    internal string StoreId => _key.StoreId;

    /// <summary>How many versions of a secret are kept, as the store said when it was opened.</summary>
    internal int Keep { get; private set; } = SecretFormat.UsuallyKept;

    /// <summary>Makes the store, with its first data key. Of any number who do so at the same time, one succeeds.</summary>
    /// <exception cref="SecretsException">There is one already, or it can't be made.</exception>
    internal async ValueTask CreateAsync(TimeProvider clock, CancellationToken cancellationToken)
    {
        await _records.PrepareAsync(cancellationToken).ConfigureAwait(false);
        await RequireEmptyAsync(cancellationToken).ConfigureAwait(false);
        var head = new StoreHead { Keys = [NewKey(clock)], Keep = SecretFormat.UsuallyKept, Generation = 1 };
        if (!await WriteAsync(head, revision: null, cancellationToken).ConfigureAwait(false))
        {
            throw IsThere();
        }
    }

    // the secrets of a store that has lost its own record would be taken for none, and never open again
    private async ValueTask RequireEmptyAsync(CancellationToken cancellationToken)
    {
        foreach (var kind in new[] { RecordKind.Secret, RecordKind.Version, RecordKind.Instance, RecordKind.Audit })
        {
            if (await _records.ListAsync(kind, "", before: null, cancellationToken).AnyAsync(cancellationToken).ConfigureAwait(false))
            {
                // in this order: another one may have made it, and used it, meanwhile
                throw await _records.ReadAsync(Record, cancellationToken).ConfigureAwait(false) is not null ? IsThere() : new SecretsException(
                    $"there are records of a store in '{_records.Description}', and its own, without which none of them opens, is gone; nothing was made",
                    "put it back from a backup; where it is gone for good, remove the other records, or make the store in another place: another schema, prefix or database in the URL");
            }
        }
    }

    private SecretsException IsThere() => new($"there is a store in '{_records.Description}' already; nothing was changed", "use it with the key that was made for it: mallku store join");

    /// <summary>What seals and opens records.</summary>
    /// <exception cref="SecretsException">There is no store, or another one, or it does not answer.</exception>
    internal async ValueTask<StoreSealing> OpenAsync(CancellationToken cancellationToken) => (await FindOpenedAsync(cancellationToken).ConfigureAwait(false)).Sealing;

    /// <summary>
    /// Opens a record as it is now. One that does not open is looked at once more: it may have been sealed anew since it was
    /// read, and the key that it was under replaced.
    /// </summary>
    /// <param name="found">The record.</param>
    /// <param name="open">Opens it.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>Null where it is gone by now.</returns>
    /// <exception cref="RecordOpenException">It does not open, and is what is there.</exception>
    internal ValueTask<T?> OpenAsync<T>(StoredRecord found, Func<StoreSealing, StoredRecord, T> open, CancellationToken cancellationToken)
        where T : class
    {
        if (Known is { } known)
        {
            try
            {
                return new(open(known.Sealing, found));
            }
            catch (RecordOpenException)
            {
                // it may be under a newer key
            }
        }

        return OpenAfreshAsync(found, open, cancellationToken);
    }

    private async ValueTask<T?> OpenAfreshAsync<T>(StoredRecord found, Func<StoreSealing, StoredRecord, T> open, CancellationToken cancellationToken)
        where T : class
    {
        while (true)
        {
            var sealing = await OpenAsync(found, cancellationToken).ConfigureAwait(false);
            try
            {
                return open(sealing, found);
            }
            catch (RecordOpenException e)
            {
                if (await _records.ReadAsync(found.Key, cancellationToken).ConfigureAwait(false) is not { } again)
                {
                    return null;
                }

                if (again.Revision == found.Revision)
                {
                    throw sealing.IsReplaced(found) ? RecordOpenException.OfReplacedKey(found.Key.Id, e) : e;
                }

                found = again;
            }
        }
    }

    // with the data key that a record names, which may be newer than what is known
    private async ValueTask<StoreSealing> OpenAsync(StoredRecord record, CancellationToken cancellationToken)
    {
        var opened = await FindOpenedAsync(cancellationToken).ConfigureAwait(false);
        if (DocumentSeal.FindKeyId(record.Data) is not { } id || opened.Sealing.Knows(id))
        {
            return opened.Sealing;
        }

        // what another one has loaded meanwhile may be from before that key too
        opened = await LoadAsync(opened, cancellationToken).ConfigureAwait(false);
        return opened.Sealing.Knows(id) ? opened.Sealing : (await LoadAsync(opened, cancellationToken).ConfigureAwait(false)).Sealing;
    }

    /// <summary>Makes the next call look at the store.</summary>
    internal void Forget()
    {
        Interlocked.Increment(ref _forgotten);
        _opened = null;
    }

    /// <summary>Whether the key is the store's, and nobody has altered what it holds of itself.</summary>
    /// <exception cref="SecretsException">There is no store, or it does not answer.</exception>
    internal async ValueTask<bool> IsOpenedAsync(CancellationToken cancellationToken)
    {
        try
        {
            await ReadAsync(cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (VaultOpenException e) when (e.InnerException is RecordOpenException)
        {
            return false;
        }
    }

    /// <summary>What the store holds of itself, and its revision.</summary>
    internal async ValueTask<(StoreHead Head, string Revision)> ReadAsync(CancellationToken cancellationToken)
    {
        // before the look: what another one here sees or writes meanwhile does not make the answer an old one
        var seen = _seen?.Get(StoreId) ?? 0;
        var found = await FindAsync(seen, cancellationToken).ConfigureAwait(false)
            ?? throw (seen > 0 ? Gone(seen) : new VaultOpenException($"there is no store in '{_records.Description}'", "make one, or check the URL: mallku store init"));
        try
        {
            var head = _model.Open(found.Data, Place);
            if (!head.IsWhole)
            {
                throw new RecordOpenException(Place);
            }

            if (head.Generation < seen)
            {
                throw new VaultOpenException(
                    $"the store in '{_records.Description}' holds of itself what it did at generation {head.Generation}, and this machine has seen it at {seen}: an older state was put back, and a data key may be in it that was replaced",
                    $"put the newer state of its own record back; {_seen!.WayOn}");
            }

            _seen?.Note(StoreId, head.Generation);
            return (head, found.Revision);
        }
        catch (RecordOpenException e)
        {
            throw new VaultOpenException(
                $"the store in '{_records.Description}' does not open: it is another one than the key is for, or was altered", "take the key that was made for it: mallku store join", e);
        }
    }

    // whatever keeps its own record from being read keeps the store from being opened
    private async ValueTask<StoredRecord?> FindAsync(long seen, CancellationToken cancellationToken)
    {
        try
        {
            return await _records.ReadAsync(Record, cancellationToken).ConfigureAwait(false);
        }
        catch (SecretsException e) when (e is not (StoreUnreachableException or VaultOpenException))
        {
            throw e.IsNothingPrepared && seen > 0 ? Gone(seen, e) : new VaultOpenException(e.Problem, e.Remedy, e);
        }
    }

    private VaultOpenException Gone(long seen, SecretsException? cause = null) => new(
        $"the store in '{_records.Description}' is gone: this machine has seen at generation {seen} what it holds of itself, and that is not there",
        $"check the URL, and put the store back from a backup; {_seen!.WayOn}",
        cause);

    /// <summary>Changes what the store holds of itself, as it is now.</summary>
    internal async ValueTask ChangeAsync(Func<StoreHead, StoreHead> change, CancellationToken cancellationToken)
    {
        var tries = new WriteTries("its own record", $"the store '{_records.Description}'");
        while (true)
        {
            var (head, revision) = await ReadAsync(cancellationToken).ConfigureAwait(false);
            var next = change(head) with { Generation = head.Generation + 1 };
            try
            {
                if (await WriteAsync(next, revision, cancellationToken).ConfigureAwait(false))
                {
                    _seen?.Note(StoreId, next.Generation);
                    Forget();
                    return;
                }
            }
            catch (StoreUnreachableException e) when (e.Refusal is not null)
            {
                if (await IsAtAsync(revision, cancellationToken).ConfigureAwait(false))
                {
                    tries.NoteNotMade(e);
                }

                throw;
            }

            tries.NoteRefused(await IsAtAsync(revision, cancellationToken).ConfigureAwait(false));
            await tries.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    private async ValueTask<bool> IsAtAsync(string revision, CancellationToken cancellationToken) =>
        (await _records.ReadAsync(Record, cancellationToken).ConfigureAwait(false))?.Revision == revision;

    /// <summary>The record whose presence says that nothing new is sealed under a data key any more, since a reseal has begun to replace it.</summary>
    internal static RecordKey ReplacementOf(string keyId) => new(RecordKind.Store, "replaced." + keyId);

    internal static WrappedKey NewKey(TimeProvider clock) =>
        new(Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8)), clock.GetUtcNow(), RandomNumberGenerator.GetBytes(AesGcmSealing.KeyLength));

    private async ValueTask<bool> WriteAsync(StoreHead head, string? revision, CancellationToken cancellationToken)
    {
        var document = _model.Seal(head, Place);
        return await _records.WriteAsync([new RecordWrite(Record, revision, document.Json)], cancellationToken).ConfigureAwait(false);
    }

    private Opened? Known => _opened is { } opened && _clock.GetElapsedTime(opened.Looked) < LongestUnlooked ? opened : null;

    private ValueTask<Opened> FindOpenedAsync(CancellationToken cancellationToken) => Known is { } known ? new(known) : LoadAsync(_opened, cancellationToken);

    private async ValueTask<Opened> LoadAsync(Opened? known, CancellationToken cancellationToken)
    {
        await _opening.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (_opened is { } byAnother && byAnother != known)
            {
                return byAnother;
            }

            var (looked, forgotten) = (_clock.GetTimestamp(), Volatile.Read(ref _forgotten));
            var (head, _) = await ReadAsync(cancellationToken).ConfigureAwait(false);
            var keys = head.Keys.Select(ToSealing).ToList();
            var ring = new DataKeyRing(keys[^1]);
            keys[head.Replaced..].ForEach(ring.Add);
            Keep = head.Keep;
            var opened = _opened = new Opened(new StoreSealing(new Deployment(_key.StoreId, _index, ring), [.. keys[..head.Replaced].Select(static key => key.Id)]), looked);
            if (Volatile.Read(ref _forgotten) != forgotten)
            {
                // what was read may be from before what it was forgotten for
                _opened = null;
            }

            return opened;
        }
        finally
        {
            _opening.Release();
        }
    }

    private static SealingKey ToSealing(WrappedKey wrapped)
    {
        var key = new SealingKey(wrapped.Id, new AesGcmSealing(wrapped.Key));
        CryptographicOperations.ZeroMemory(wrapped.Key);
        return key;
    }

    private sealed record Opened(StoreSealing Sealing, long Looked);
}

/// <summary>The JSON of what is sealed in a shared store.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(StoreHead))]
[JsonSerializable(typeof(SecretHead))]
internal sealed partial class StoreJson : JsonSerializerContext;
