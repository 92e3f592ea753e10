using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Rotation;

/// <summary>
/// Replaces the values of secrets: makes a new one, puts it where it is used, tries it, and only then makes it the current
/// version; the one before stays in use for its grace, and then its key is revoked. Safe for concurrent use.
/// </summary>
/// <remarks>
/// The outcome of each step is durable before the next begins, so that whoever is cut off goes on from there. One process
/// rotates in a store at a time; another waits for it, and is told if it takes long.
/// </remarks>
public sealed class RotationRunner
{
    private readonly ISecretStore[] _stores;
    private readonly StoreRotation[] _rotations;

    internal RotationRunner(ISecretStore store, IEnumerable<IRotator> rotators)
        : this([store], rotators)
    {
    }

    /// <summary>Told why a rotation does not begin yet, where it waits for another process for more than a second.</summary>
    internal Action<string>? Waits
    {
        set => Array.ForEach(_rotations, rotation => rotation.Waits = value);
    }

    /// <param name="stores">In the order of a lookup.</param>
    /// <param name="rotators">Rotators besides those of the library.</param>
    internal RotationRunner(ISecretStore[] stores, IEnumerable<IRotator> rotators)
    {
        var known = new Rotators(rotators);
        _stores = stores;
        _rotations = Array.ConvertAll(stores, store => new StoreRotation(store, stores, known));
    }

    /// <summary>Rotates a secret.</summary>
    /// <param name="name">The secret; a name that matches it loosely is taken for its own.</param>
    /// <param name="policy">How, from now on; null for what the store has.</param>
    /// <param name="cancellationToken">Ends a step; what was done stays done, and <see cref="ResumeAsync"/> goes on.</param>
    /// <exception cref="SecretNotFoundException">No store has it.</exception>
    /// <exception cref="SecretsException">A rotation is under way already, or a step failed: the current version stays in use.</exception>
    public async ValueTask<RotatedSecret> RotateAsync(string name, RotationPolicy? policy = null, CancellationToken cancellationToken = default) =>
        await (await FindAsync(name, cancellationToken).ConfigureAwait(false)).RotateAsync(name, policy, cancellationToken).ConfigureAwait(false);

    /// <summary>Goes on with a rotation that was cut off or failed.</summary>
    /// <inheritdoc cref="RotateAsync"/>
    public async ValueTask<RotatedSecret> ResumeAsync(string name, CancellationToken cancellationToken = default) =>
        await (await FindAsync(name, cancellationToken).ConfigureAwait(false)).ResumeAsync(name, cancellationToken).ConfigureAwait(false);

    /// <summary>
    /// Gives up the rotation that is under way: its version is retired, and its key revoked at the provider. Where none is
    /// under way, gives up what was not revoked: somebody has done it otherwise, or the key is to stay. And what another
    /// program wrote of the secret's rotation, where it can't be read, is forgotten.
    /// </summary>
    /// <remarks>
    /// The current value is put back where it is used. Where that fails, the rotation ends all the same, and the new key is
    /// revoked at the next <see cref="RunDueAsync(CancellationToken)"/> only, since it may be in use there.
    /// </remarks>
    /// <returns>What became of the keys; those that are left alone are named.</returns>
    /// <exception cref="SecretsException">
    /// There is nothing to give up, or another process has ended the rotation while this one waited for its turn.
    /// </exception>
    public async ValueTask<IReadOnlyList<RotationEvent>> AbandonAsync(string name, CancellationToken cancellationToken = default) =>
        await (await FindAsync(name, cancellationToken).ConfigureAwait(false)).AbandonAsync(name, cancellationToken).ConfigureAwait(false);

    /// <summary>Makes the value of an earlier version the current one again, as a new version.</summary>
    /// <param name="name">The secret; a name that matches it loosely is taken for its own.</param>
    /// <param name="version">The earlier version; null for the newest before the current one.</param>
    /// <param name="grace">How long the version that was current may still be used; null for what the policy says.</param>
    /// <param name="cancellationToken">Ends the wait for another writer.</param>
    /// <exception cref="SecretNotFoundException">No store has it.</exception>
    /// <exception cref="SecretsException">
    /// There is no such version, or it has no value, or its key is being revoked or was, or a rotation is under way, or another
    /// process rotates for long: nothing was changed. Or the value can't be put where it is used, or does not work: the current
    /// version stays in use, and the rollback is gone on with or given up as a rotation is.
    /// </exception>
    public async ValueTask<RolledBack> RollBackAsync(string name, int? version = null, TimeSpan? grace = null, CancellationToken cancellationToken = default) =>
        await (await FindAsync(name, cancellationToken).ConfigureAwait(false)).RollBackAsync(name, version, grace, cancellationToken).ConfigureAwait(false);

    /// <summary>How a secret is rotated; null where nobody has said.</summary>
    /// <exception cref="SecretNotFoundException">No store has it.</exception>
    public async ValueTask<RotationPolicy?> GetPolicyAsync(string name, CancellationToken cancellationToken = default) =>
        await (await FindAsync(name, cancellationToken).ConfigureAwait(false)).GetPolicyAsync(name, cancellationToken).ConfigureAwait(false);

    /// <summary>Writes down how and how often a secret is rotated, without rotating it; null forgets it.</summary>
    /// <exception cref="SecretNotFoundException">No store has it.</exception>
    /// <exception cref="SecretsException">The policy lacks something, or a rotation is under way.</exception>
    public async ValueTask SetPolicyAsync(string name, RotationPolicy? policy, CancellationToken cancellationToken = default) =>
        await (await FindAsync(name, cancellationToken).ConfigureAwait(false)).SetPolicyAsync(name, policy, cancellationToken).ConfigureAwait(false);

    /// <summary>
    /// Rotates what is due, goes on with what was cut off, retires and revokes what is past its grace. One secret that fails
    /// keeps no other from its turn, and neither does a store: where one of two can't be used, that is the last event, with the
    /// store in words for a name.
    /// </summary>
    /// <exception cref="SecretsException">No store can be opened or written.</exception>
    public async ValueTask<IReadOnlyList<RotationEvent>> RunDueAsync(CancellationToken cancellationToken = default)
    {
        var done = new List<RotationEvent>();
        var failed = new List<RotationEvent>();
        foreach (var (store, rotation) in _stores.Zip(_rotations))
        {
            try
            {
                done.AddRange(await rotation.RunDueAsync(cancellationToken).ConfigureAwait(false));
            }
            catch (SecretsException e) when (_stores.Length > 1 && failed.Count < _stores.Length - 1)
            {
                failed.Add(new RotationEvent(store.Describe(), RotationAction.Failed, Version: null, Error: e));
            }
        }

        return [.. done, .. failed];
    }

    /// <summary>Where every secret stands, in the order of their names.</summary>
    /// <exception cref="SecretsException">A store can't be opened.</exception>
    public async ValueTask<IReadOnlyList<RotationStatus>> GetStatusAsync(CancellationToken cancellationToken = default)
    {
        var statuses = new List<RotationStatus>();
        foreach (var store in _stores)
        {
            statuses.AddRange(await RotationReview.ReadAsync(store, faults: null, cancellationToken).ConfigureAwait(false));
        }

        return [.. statuses.OrderBy(static status => status.Name, StringComparer.Ordinal)];
    }

    // where the secret lives, else where there is something left to do of it; who has it nowhere is told so by the last
    private async ValueTask<StoreRotation> FindAsync(string name, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (_stores.Length == 1)
        {
            return _rotations[0];
        }

        var existing = SecretName.Existing(name);
        var home = (await SecretHome.FindAsync(_stores, existing, cancellationToken).ConfigureAwait(false))?.Store
            ?? await SecretHome.FindFormerAsync(_stores, existing, RotationReview.IsOfInterest, cancellationToken).ConfigureAwait(false);
        return _rotations[home is null ? ^1 : Array.IndexOf(_stores, home)];
    }
}
