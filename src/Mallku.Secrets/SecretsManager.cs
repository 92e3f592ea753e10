using Mallku.Secrets.Ledger;
using Mallku.Secrets.Rotation;
using Mallku.Secrets.Sources;
using Mallku.Secrets.Storage;
using Mallku.Secrets.Vault;

namespace Mallku.Secrets;

/// <summary>
/// Looks secrets up in an ordered list of sources, of which the first that has one wins: the environment, then the
/// encrypted vault. Safe for concurrent use; make one and keep it.
/// </summary>
/// <remarks>
/// <para>An exact match in any source comes before a loose one (case ignored, <c>-</c> as <c>_</c>). A source that fails
/// is an error, never "not found".</para>
/// <para>A value that was found is kept until its source changes: asking for it again takes no lock and allocates
/// nothing. A change of the environment is seen after at most 100 ms, one of the vault by another process within a
/// second, and either at once after <see cref="RefreshAsync"/>.</para>
/// </remarks>
public sealed class SecretsManager
{
    private readonly SourceChain _sources;
    private readonly FileVault? _vault;
    private readonly SealedStore? _store;
    private readonly TimeProvider _clock;
    private readonly LedgerKind _handingOut;
    private readonly bool _isNamed;
    private readonly AccessCounts _counts;
    private readonly AccessTrail? _trail;
    private readonly SecretLookup _lookup;

    /// <summary>A manager over sources of the caller's choice, in their order; it can't set or remove.</summary>
    /// <exception cref="ArgumentException">The list or one of its sources is null.</exception>
    public SecretsManager(IEnumerable<ISecretSource> sources)
        : this(new SourceChain(sources), vault: null, store: null, TimeProvider.System, LedgerKind.Read, purpose: null, isNamed: false)
    {
    }

    private SecretsManager(SourceChain sources, FileVault? vault, SealedStore? store, TimeProvider clock, LedgerKind handingOut, string? purpose, bool isNamed)
    {
        _sources = sources;
        _vault = vault;
        _store = store;
        _clock = clock;
        _handingOut = handingOut;
        _isNamed = isNamed;
        _counts = new AccessCounts(clock, isNamed);
        _trail = vault is null ? null : new AccessTrail(vault, _counts, handingOut, purpose);
        _lookup = new SecretLookup(sources, _counts, _trail, isNamed);
    }

    /// <summary>
    /// A manager over the environment and the vault. Reads nothing yet; the vault is opened by the first lookup that
    /// needs it, and need not exist unless its folder is named.
    /// </summary>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    public static SecretsManager Open(SecretsOptions? options = null) => Open(options ?? new SecretsOptions(), LedgerKind.Read);

    /// <summary>The same, with what the ledger calls it when a value is handed out.</summary>
    internal static SecretsManager Open(SecretsOptions options, LedgerKind handingOut)
    {
        var settings = VaultLocator.Locate(options);
        if (options.Store is null)
        {
            return Open(settings, handingOut, options.NamesInTelemetry);
        }

        return SharedStore.IsSupported
            ? OpenWithStore(settings, options, handingOut)
            : throw new NotSupportedException("This program was compiled without shared stores (Mallku.Secrets.SharedStore).");
    }

    /// <summary>The same, where the vault's place is decided.</summary>
    internal static SecretsManager Open(VaultSettings settings, LedgerKind handingOut, bool namesInTelemetry = false)
    {
        var vault = new FileVault(settings);
        return new SecretsManager(new SourceChain([new EnvironmentSource(), new VaultSource(vault)]), vault, store: null, settings.Clock, handingOut, settings.Purpose, namesInTelemetry);
    }

    // a process has one ledger: that of the vault, where there is one
    private static SecretsManager OpenWithStore(VaultSettings settings, SecretsOptions options, LedgerKind handingOut)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(options.StoreStaleness, TimeSpan.Zero, nameof(options));
        var key = StoreLocator.ReadKey(options);
        var folder = StoreLocator.MakeFolder(key.StoreId);
        var hasVault = settings.IsDirectoryNamed || new FileVault(settings).IsMade;
        var vault = new FileVault(hasVault ? settings with { HasStore = true } : StoreLocator.HomeOf(settings, key, folder));
        var use = new StoreUse(
            settings.Clock,
            settings.Purpose,
            async (events, cancellationToken) =>
            {
                var (checkpoint, fault) = await vault.RecordAsync(events, cancellationToken).ConfigureAwait(false);
                return fault is null ? checkpoint : throw fault;
            },
            async cancellationToken =>
            {
                await vault.EnsureMadeAsync(cancellationToken).ConfigureAwait(false);
                return (await vault.OpenAsync(cancellationToken).ConfigureAwait(false)).Document.UsesPseudonyms;
            },
            new SeenGenerations(Path.Combine(folder, "seen")),
            options.StoreStaleness,
            Follows: options.FollowsStore)
        {
            OpenLedger = vault.ViewLedgerAsync,
            KeepVersions = options.KeepVersions,
            SeenInstances = new SeenGenerations(Path.Combine(folder, "seen-instances")),
            SeenRoot = new SeenGenerations(Path.Combine(folder, "seen-store")),
        };
        var store = new SealedStore(options.Store!, key, use);
        ISecretSource[] sources = hasVault ? [new EnvironmentSource(), new VaultSource(vault), new StoreSource(store)] : [new EnvironmentSource(), new StoreSource(store)];
        return new SecretsManager(new SourceChain(sources), vault, store, settings.Clock, handingOut, settings.Purpose, options.NamesInTelemetry);
    }

    /// <summary>
    /// The same sources for another purpose, as the ledger says it. Has counts of its own; what the sources hold is shared.
    /// </summary>
    /// <param name="purpose">The name of a job, an adapter, a part of the program. At most 300 characters.</param>
    /// <exception cref="ArgumentException">It is longer.</exception>
    public SecretsManager WithPurpose(string purpose)
    {
        ArgumentNullException.ThrowIfNull(purpose);
        return purpose.Length <= SecretsOptions.MostWords
            ? new SecretsManager(_sources, _vault, _store, _clock, _handingOut, purpose, _isNamed)
            : throw new ArgumentException($"A purpose has at most {SecretsOptions.MostWords} characters.", nameof(purpose));
    }

    /// <summary>The vault that this manager writes to.</summary>
    /// <exception cref="InvalidOperationException">It was made over sources alone.</exception>
    internal FileVault Vault => _vault ?? throw new InvalidOperationException("This manager was made over sources that can't be written.");

    /// <summary>What was recorded of the uses and changes of the vault's secrets.</summary>
    /// <exception cref="InvalidOperationException">The manager was made over sources alone.</exception>
    public SecretsLedger Ledger => new(Vault);

    /// <summary>Closes the shared store, where there is one: nothing of this manager goes on in the background from then on.</summary>
    internal ValueTask CloseStoreAsync() => SharedStore.IsSupported && _store is not null ? _store.DisposeAsync() : ValueTask.CompletedTask;

    /// <summary>What all instances of the shared store have told it of their ledgers; null without a store.</summary>
    public StoreLedger? StoreLedger => SharedStore.IsSupported && _store is not null ? new(_store) : null;

    /// <summary>The value of a secret, or null where no source has it.</summary>
    /// <param name="name">The secret's name.</param>
    /// <param name="cancellationToken">Ends the lookup.</param>
    /// <returns>A borrowed value: disposing it does nothing.</returns>
    /// <exception cref="SecretNameException">No secret can have this name, and none does.</exception>
    /// <exception cref="AmbiguousSecretNameException">Several names match loosely.</exception>
    /// <exception cref="SecretsException">A source failed.</exception>
    public ValueTask<SecretValue?> GetAsync(string name, CancellationToken cancellationToken = default)
    {
        return _lookup.TryFindKnown(name, cancellationToken, out var found) ? new(found!.Value) : Ask(this, name, cancellationToken);

        static async ValueTask<SecretValue?> Ask(SecretsManager manager, string name, CancellationToken cancellationToken) =>
            (await manager._lookup.FindAfreshAsync(name, cancellationToken).ConfigureAwait(false))?.Value;
    }

    /// <summary>The value of a secret, or <paramref name="defaultValue"/> where no source has it.</summary>
    /// <inheritdoc cref="GetAsync(string, CancellationToken)"/>
    public async ValueTask<SecretValue> GetOrDefaultAsync(string name, SecretValue defaultValue, CancellationToken cancellationToken = default) =>
        await GetAsync(name, cancellationToken).ConfigureAwait(false) ?? defaultValue;

    /// <summary>The value of a secret that must be there.</summary>
    /// <exception cref="SecretNotFoundException">No source has it.</exception>
    /// <inheritdoc cref="GetAsync(string, CancellationToken)"/>
    public ValueTask<SecretValue> GetRequiredAsync(string name, CancellationToken cancellationToken = default)
    {
        return _lookup.TryFindKnown(name, cancellationToken, out var found) ? new(found!.Value) : Ask(this, name, cancellationToken);

        static async ValueTask<SecretValue> Ask(SecretsManager manager, string name, CancellationToken cancellationToken) =>
            (await manager._lookup.FindAfreshAsync(name, cancellationToken).ConfigureAwait(false))?.Value ?? throw manager.NotFound(name);
    }

    /// <summary>A secret with its version and source, or null where no source has it.</summary>
    /// <inheritdoc cref="GetAsync(string, CancellationToken)"/>
    public ValueTask<FoundSecret?> FindAsync(string name, CancellationToken cancellationToken = default) =>
        _lookup.TryFindKnown(name, cancellationToken, out var found) ? new(found) : _lookup.FindAfreshAsync(name, cancellationToken);

    /// <summary>
    /// The secret of the first of several names that a source has, or null. An exact match of any of the names comes before
    /// a loose one.
    /// </summary>
    /// <param name="names">The names, at least one, the most wanted first.</param>
    /// <param name="cancellationToken">Ends the lookup.</param>
    /// <exception cref="SecretNameException">No secret can have one of the names.</exception>
    /// <exception cref="AmbiguousSecretNameException">Several secrets match one of the names loosely.</exception>
    /// <exception cref="SecretsException">A source failed.</exception>
    public async ValueTask<FoundSecret?> FindFirstAsync(IReadOnlyList<string> names, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(names);
        ArgumentOutOfRangeException.ThrowIfZero(names.Count, nameof(names));
        cancellationToken.ThrowIfCancellationRequested();
        SecretName[] parsed = [.. names.Select(SecretName.Parse)];
        return (await _lookup.FindFirstAsync(parsed, cancellationToken).ConfigureAwait(false)).Entry?.Found;
    }

    /// <summary>A lookup for the first of several names that is made again and again.</summary>
    internal RepeatedLookup Repeat(IReadOnlyList<string> names, bool keepsNone) => new(_lookup, names, keepsNone);

    /// <summary>
    /// The same without handing it out: for who may yet have to refuse it. Before a value leaves the process, it goes through
    /// <see cref="HandOutAsync(IEnumerable{FoundSecret}, CancellationToken)"/>.
    /// </summary>
    internal ValueTask<FoundSecret?> LookUpAsync(string name, CancellationToken cancellationToken) => _lookup.LookUpAsync(name, cancellationToken);

    /// <summary>Records that they are handed out, all with one flush of the ledger.</summary>
    /// <exception cref="SecretsException">It can't be recorded: none may be used.</exception>
    internal async ValueTask HandOutAsync(IEnumerable<FoundSecret> found, CancellationToken cancellationToken) =>
        await Task.WhenAll(found.Distinct().Select(one => _lookup.HandOutAsync(one, cancellationToken).AsTask())).ConfigureAwait(false);

    /// <summary>
    /// What may work now, after a fresh look: the current version, then those before it that are still within their grace,
    /// the newest first. For who was refused with a version and wants to know whether there is another. Each counts as
    /// handed out.
    /// </summary>
    /// <inheritdoc cref="GetAsync(string, CancellationToken)"/>
    public async ValueTask<IReadOnlyList<FoundSecret>> FindLiveAsync(string name, CancellationToken cancellationToken = default)
    {
        await RefreshAsync(cancellationToken).ConfigureAwait(false);
        if (await FindAsync(name, cancellationToken).ConfigureAwait(false) is not { } current)
        {
            return [];
        }

        List<FoundSecret> live = [current];
        var earlier = _sources.Find(current.Source) switch
        {
            VaultSource vault => await vault.FindPreviousAsync(current.Name, cancellationToken).ConfigureAwait(false),
            StoreSource store => await store.FindPreviousAsync(current.Name, cancellationToken).ConfigureAwait(false),
            _ => [],
        };
        foreach (var previous in earlier)
        {
            // what was the current one a moment ago is not handed out twice
            if (previous.Version < current.Version)
            {
                await _lookup.HandOutAsync(previous, cancellationToken).ConfigureAwait(false);
                live.Add(previous);
            }
        }

        return live;
    }

    /// <summary>
    /// Another number when an answer may be another one than before: for who keeps something that was made of one. Looks at
    /// a source as seldom as a lookup does; takes no lock and allocates nothing while nothing changed.
    /// </summary>
    public long GetChangeStamp() => _sources.GetChangeStamp(Environment.TickCount64);

    /// <summary>
    /// Writes a new version of a secret to where it lives, and a new one as <see cref="SetOptions.Into"/> says. It is durable
    /// when the task completes.
    /// </summary>
    /// <param name="name">The name; a secret that matches it loosely is updated under its own name.</param>
    /// <param name="value">Up to 1 MiB; stays the caller's.</param>
    /// <param name="options">How it is set.</param>
    /// <param name="cancellationToken">
    /// Ends the wait for another writer; one that is cancelled before the write begins changes nothing, and a write that has
    /// begun is finished.
    /// </param>
    /// <exception cref="ArgumentException">The grace is out of its range.</exception>
    /// <exception cref="SecretNameException">The name breaks the rules.</exception>
    /// <exception cref="AmbiguousSecretNameException">Several names match loosely.</exception>
    /// <exception cref="SecretsException">
    /// The value is not allowed, or the vault can't be opened or written. Nothing changed, unless the message says so.
    /// </exception>
    /// <exception cref="InvalidOperationException">The manager was made over sources alone.</exception>
    public async ValueTask<SecretChange> SetAsync(
        string name, SecretValue value, SetOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(value);
        options ??= new SetOptions();
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Grace, TimeSpan.Zero, nameof(options));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.Grace, VersionMoves.LongestGrace, nameof(options));
        var parsed = SecretName.Parse(name);
        _ = Vault;
        using var activity = Telemetry.Start(Telemetry.Set);
        try
        {
            SecretChanges.RequireValue(parsed, value, options);
            var home = await FindHomeAsync(parsed, options.Into, cancellationToken).ConfigureAwait(false);
            var change = await home.SetAsync(parsed, value, options, cancellationToken).ConfigureAwait(false);
            Telemetry.Changed(activity, change, change.Created ? "created" : "updated", _isNamed);
            return change;
        }
        catch (Exception e)
        {
            Telemetry.ChangeFailed(activity, Telemetry.Set, e);
            throw;
        }
    }

    /// <summary>Removes a secret from where it lives: its values are dropped, its numbers are never used again.</summary>
    /// <exception cref="SecretNotFoundException">The vault does not have it.</exception>
    /// <exception cref="AmbiguousSecretNameException">Several names match loosely.</exception>
    /// <exception cref="SecretsException">The vault can't be opened or written. Nothing changed, unless the message says so.</exception>
    /// <exception cref="InvalidOperationException">The manager was made over sources alone.</exception>
    public async ValueTask<SecretChange> RemoveAsync(string name, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(name);
        _ = Vault;
        using var activity = Telemetry.Start(Telemetry.Remove);
        try
        {
            var existing = SecretName.Existing(name);
            var home = await FindHomeAsync(existing, into: null, cancellationToken).ConfigureAwait(false);
            var change = await home.RemoveAsync(existing, cancellationToken).ConfigureAwait(false);
            Telemetry.Changed(activity, change, "removed", _isNamed);
            return change;
        }
        catch (Exception e)
        {
            Telemetry.ChangeFailed(activity, Telemetry.Remove, e);
            throw;
        }
    }

    /// <summary>The secrets that the sources know, without values, in the order of their names.</summary>
    /// <exception cref="SecretsException">A source failed.</exception>
    public ValueTask<IReadOnlyList<SecretFacts>> ListAsync(CancellationToken cancellationToken = default) => _sources.ListAsync(cancellationToken);

    /// <summary>
    /// The versions of a secret where it lives, else where it lived, without values; null where neither the vault nor the
    /// shared store ever had it. A name that matches loosely is taken for the secret's own.
    /// </summary>
    /// <exception cref="AmbiguousSecretNameException">Several names match loosely.</exception>
    /// <exception cref="VaultOpenException">The vault can't be opened.</exception>
    /// <exception cref="InvalidOperationException">The manager was made over sources alone.</exception>
    public async ValueTask<SecretHistory?> GetHistoryAsync(string name, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(name);
        var existing = SecretName.Existing(name);
        var home = Stores is [var only] ? only
            : (await SecretHome.FindAsync(Stores, existing, cancellationToken).ConfigureAwait(false))?.Store
            ?? await SecretHome.FindFormerAsync(Stores, existing, static _ => true, cancellationToken).ConfigureAwait(false);
        return home is null ? null : await home.GetHistoryAsync(existing, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>
    /// What every source says about a secret, and what a lookup would end with: the one that it takes, or the error, also
    /// where its use can't be recorded. A source that fails is in the answer. Hands nothing out, and records nothing.
    /// </summary>
    public ValueTask<SecretExplanation> ExplainAsync(string name, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(name);
        return _lookup.ExplainAsync(name, cancellationToken);
    }

    /// <summary>What rotates the secrets of the vault and of the shared store.</summary>
    /// <param name="rotators">Rotators besides <c>generate</c> and <c>command</c>; one of the same name takes their place.</param>
    /// <exception cref="InvalidOperationException">The manager was made over sources alone.</exception>
    public RotationRunner CreateRotationRunner(params IEnumerable<IRotator> rotators)
    {
        ArgumentNullException.ThrowIfNull(rotators);
        return new RotationRunner(Stores, rotators);
    }

    /// <summary>Looks at every source now, so that the next lookup sees what changed.</summary>
    public ValueTask RefreshAsync(CancellationToken cancellationToken = default) => _sources.RefreshAsync(cancellationToken);

    /// <summary>
    /// Writes into the ledger now what it is to know of further uses of values that it has seen handed out. It happens by
    /// itself within a quarter of a second, and at the end of the process.
    /// </summary>
    /// <exception cref="SecretsException">It can't be written; it is tried again.</exception>
    public ValueTask FlushAsync(CancellationToken cancellationToken = default) => _trail?.ReportAsync(cancellationToken) ?? ValueTask.CompletedTask;

    /// <summary>How often each secret was handed out by this manager, and when last.</summary>
    public IReadOnlyList<SecretAccess> GetAccessCounts() => _counts.ToList();

    /// <summary>What to say where a lookup has found nothing: which sources were asked, and for what.</summary>
    internal SecretNotFoundException NotFound(string name)
    {
        if (SecretName.MayBeValue(name))
        {
            // what a source looks for would repeat it
            return new SecretNotFoundException(name, _sources.DescribeNames());
        }

        var asked = _sources.DescribeLookup(SecretName.Existing(name));
        return _store is null && _vault is { IsMade: false }
            ? new SecretNotFoundException(name, asked, $"make a vault, then set it: {_vault.Settings.InitCommand} && mallku set {name}")
            : new SecretNotFoundException(name, asked);
    }

    /// <summary>Whether secrets are looked up in the vault, and it does not only keep the ledger of a machine that has no vault of its own.</summary>
    internal bool HasVault => !Vault.Settings.IsMadeWhenNeeded;

    /// <summary>The shared store; null for none.</summary>
    internal SealedStore? Store => SharedStore.IsSupported ? _store : null;

    /// <summary>What can be written, in the order of a lookup.</summary>
    internal ISecretStore[] Stores => !SharedStore.IsSupported || _store is null ? [Vault] : HasVault ? [Vault, _store] : [_store];

    // where a secret lives now, and a new one in the store where there is one
    private async ValueTask<ISecretStore> FindHomeAsync(SecretName name, SecretPlace? into, CancellationToken cancellationToken) => into switch
    {
        SecretPlace.Store => _store ?? throw new SecretsException(
            "no shared store is named, so that nothing can be written there; nothing was changed", "name one by SecretsOptions.Store"),
        SecretPlace.Vault when _store is not null && !HasVault => throw new SecretsException(
            "there is no vault to write to; nothing was changed", $"make one: {Vault.Settings.InitCommand}"),
        SecretPlace.Vault => Vault,
        _ => Stores is [var only] ? only : (await SecretHome.FindAsync(Stores, name, cancellationToken).ConfigureAwait(false))?.Store ?? _store!,
    };
}
