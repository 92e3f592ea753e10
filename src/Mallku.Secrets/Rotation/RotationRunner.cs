using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Rotation;

/// <summary>
/// Replaces the values of secrets: makes a new one, puts it where it is used, tries it, and only then makes it the current
/// version; the one before stays in use for its grace, and then its key is revoked. Safe for concurrent use.
/// </summary>
/// <remarks>
/// The outcome of each step is durable before the next begins, so that whoever is cut off goes on from there. One process
/// rotates in a vault at a time; another waits for it, and is told if it takes long.
/// </remarks>
public sealed class RotationRunner
{
    private readonly ISecretStore _store;
    private readonly Rotators _rotators;
    private readonly Rotations _rotations;
    private readonly RotationSteps _steps;
    private readonly KeyRevocation _revocation;
    private readonly RetiredKeys _keys;

    internal RotationRunner(ISecretStore store, IEnumerable<IRotator> rotators)
    {
        _store = store;
        _rotators = new Rotators(rotators);
        _rotations = new Rotations(store);
        _steps = new RotationSteps(_rotations, _rotators);
        _keys = new RetiredKeys(store);
        _revocation = new KeyRevocation(store, _keys, _rotators);
    }

    /// <summary>Rotates a secret.</summary>
    /// <param name="name">The secret; a name that matches it loosely is taken for its own.</param>
    /// <param name="policy">How, from now on; null for what the vault has.</param>
    /// <param name="cancellationToken">Ends a step; what was done stays done, and <see cref="ResumeAsync"/> goes on.</param>
    /// <exception cref="SecretNotFoundException">The vault does not have it.</exception>
    /// <exception cref="SecretsException">A rotation is under way already, or a step failed: the current version stays in use.</exception>
    public async ValueTask<RotatedSecret> RotateAsync(string name, RotationPolicy? policy = null, CancellationToken cancellationToken = default)
    {
        var before = (await _rotations.FindAsync(name, cancellationToken).ConfigureAwait(false)).Record;
        var (stored, current) = (before.Name, before.Current!);
        policy = policy is null ? null : ToKept(policy);
        Require(policy ?? before.Policy ?? throw Rotations.NoPolicy(stored));
        await using var turn = (await _store.TakeTurnAsync(cancellationToken).ConfigureAwait(false)).ConfigureAwait(false);
        var absorbed = await _rotations.BeginAsync(stored, current.Id, policy, cancellationToken).ConfigureAwait(false);
        var rotated = await RunAsync(stored, isResumed: false, cancellationToken).ConfigureAwait(false);
        return rotated with { Absorbed = [.. absorbed, .. rotated.Absorbed] };
    }

    /// <summary>Goes on with a rotation that was cut off or failed.</summary>
    /// <inheritdoc cref="RotateAsync"/>
    public async ValueTask<RotatedSecret> ResumeAsync(string name, CancellationToken cancellationToken = default)
    {
        var stored = (await _rotations.FindUnderWayAsync(name, cancellationToken).ConfigureAwait(false)).Record.Name;
        await using var turn = (await _store.TakeTurnAsync(cancellationToken).ConfigureAwait(false)).ConfigureAwait(false);
        return await RunAsync(stored, isResumed: true, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>
    /// Gives up the rotation that is under way: its version is retired, and its key revoked at the provider. Where none is
    /// under way, gives up what was not revoked: somebody has done it otherwise, or the key is to stay. And what another
    /// program wrote of the secret's rotation, where it can't be read, is forgotten.
    /// </summary>
    /// <remarks>
    /// The current value is put back where it is used. Where that fails, the rotation ends all the same, and the new key is
    /// revoked at the next <see cref="RunDueAsync(CancellationToken)"/> only, since it may be in use there.
    /// </remarks>
    /// <returns>What became of the keys.</returns>
    /// <exception cref="SecretsException">There is nothing to give up.</exception>
    public async ValueTask<IReadOnlyList<RotationEvent>> AbandonAsync(string name, CancellationToken cancellationToken = default)
    {
        await _rotations.FindAnyAsync(name, cancellationToken).ConfigureAwait(false);
        await using var turn = (await _store.TakeTurnAsync(cancellationToken).ConfigureAwait(false)).ConfigureAwait(false);
        var found = await _rotations.FindAnyAsync(name, cancellationToken).ConfigureAwait(false);
        var record = found.Record;
        if (record.Misread is not null)
        {
            await _rotations.ForgetUnreadAsync(record.Name, cancellationToken).ConfigureAwait(false);
            return [];
        }

        if (record.Rotation is not { } rotation)
        {
            await _keys.GiveUpAsync(record.Name, cancellationToken).ConfigureAwait(false);
            return [];
        }

        SecretsException? notPut = null;
        if (rotation.Step > RotationStep.Create && record.Current is { } current)
        {
            try
            {
                // the new value may be in use elsewhere by now, and is about to be revoked
                await _steps.PutAsync(found, rotation.Rotator, current, cancellationToken).ConfigureAwait(false);
            }
            catch (SecretsException e)
            {
                notPut = e;
            }
        }

        var isDiscarded = false;
        try
        {
            isDiscarded = await _steps.DiscardAsync(record, rotation, cancellationToken).ConfigureAwait(false);
        }
        catch (SecretsException)
        {
            // it is tried again, and said, as what is to be revoked
        }

        await _rotations.AbandonAsync(
            record.Name,
            rotation.Token,
            isDiscarded,
            _rotators.MayRevoke(rotation.Rotator),
            notPut is null ? null : RotationSteps.Shorten(notPut.Problem),
            cancellationToken).ConfigureAwait(false);
        return notPut is null
            ? await _revocation.SettleAsync(record.Name, cancellationToken).ConfigureAwait(false)
            : [NotPutBack(record, rotation.Number, notPut)];
    }

    /// <summary>Makes the value of an earlier version the current one again, as a new version.</summary>
    /// <param name="name">The secret; a name that matches it loosely is taken for its own.</param>
    /// <param name="version">The earlier version; null for the newest before the current one.</param>
    /// <param name="grace">How long the version that was current may still be used; null for what the policy says.</param>
    /// <param name="cancellationToken">Ends the wait for another writer.</param>
    /// <exception cref="SecretNotFoundException">The vault does not have it.</exception>
    /// <exception cref="SecretsException">
    /// There is no such version, or it has no value, or its key is being revoked or was, or a rotation is under way, or another
    /// process rotates for long: nothing was changed. Or the value can't be put where it is used, or does not work: the current
    /// version stays in use, and the rollback is gone on with or given up as a rotation is.
    /// </exception>
    public async ValueTask<RolledBack> RollBackAsync(string name, int? version = null, TimeSpan? grace = null, CancellationToken cancellationToken = default)
    {
        RotationSchedule.RequireGrace(grace ?? TimeSpan.Zero);

        // while another revokes a key, nobody can tell whether it still works
        await using var turn = (await _store.TakeTurnAsync(cancellationToken).ConfigureAwait(false)).ConfigureAwait(false);
        var found = await _rotations.FindAsync(name, cancellationToken).ConfigureAwait(false);
        var record = found.Record;
        var wanted = EarlierVersion.Find(record, version, _rotations.Now);
        if (record.Policy is not { } policy)
        {
            return await _rotations.RollBackAsync(record.Name, wanted.Number, grace ?? RotationPolicy.UsualGrace, cancellationToken).ConfigureAwait(false);
        }

        // it is used elsewhere too: what is done there is written down before, for whoever is cut off
        _rotators.Get(policy.Rotator);
        var absorbed = await _rotations.BeginRollbackAsync(record.Name, wanted.Number, policy.Rotator, grace, cancellationToken).ConfigureAwait(false);
        var back = await _steps.RunAsync(record.Name, isResumed: false, cancellationToken).ConfigureAwait(false);
        DateTimeOffset? ends = back.GraceEnds > _rotations.Now ? back.GraceEnds : null;
        return new RolledBack(record.Name, back.Version, wanted.Number, back.Replaced, ends, [.. absorbed, .. back.Absorbed]);
    }

    /// <summary>How a secret is rotated; null where nobody has said.</summary>
    /// <exception cref="SecretNotFoundException">The vault does not have it.</exception>
    public async ValueTask<RotationPolicy?> GetPolicyAsync(string name, CancellationToken cancellationToken = default) =>
        (await _rotations.FindAsync(name, cancellationToken).ConfigureAwait(false)).Record.Policy;

    /// <summary>Writes down how and how often a secret is rotated, without rotating it; null forgets it.</summary>
    /// <exception cref="SecretNotFoundException">The vault does not have it.</exception>
    /// <exception cref="SecretsException">The policy lacks something, or a rotation is under way.</exception>
    public async ValueTask SetPolicyAsync(string name, RotationPolicy? policy, CancellationToken cancellationToken = default)
    {
        var record = (await _rotations.FindAsync(name, cancellationToken).ConfigureAwait(false)).Record;
        if (policy is not null)
        {
            policy = ToKept(policy);
            Require(policy);
        }

        await _rotations.SetPolicyAsync(record.Name, policy, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>
    /// Rotates what is due, goes on with what was cut off, retires and revokes what is past its grace. One secret that fails
    /// keeps no other from its turn.
    /// </summary>
    /// <exception cref="SecretsException">The vault can't be opened or written.</exception>
    public async ValueTask<IReadOnlyList<RotationEvent>> RunDueAsync(CancellationToken cancellationToken = default)
    {
        if (await GetStatusAsync(cancellationToken).ConfigureAwait(false) is [])
        {
            return [];
        }

        await using var turn = (await _store.TakeTurnAsync(cancellationToken).ConfigureAwait(false)).ConfigureAwait(false);
        var done = new List<RotationEvent>();
        foreach (var status in await GetStatusAsync(cancellationToken).ConfigureAwait(false))
        {
            try
            {
                await RunDueAsync(status.Name, done, cancellationToken).ConfigureAwait(false);
            }
            catch (SecretsException e)
            {
                done.Add(new RotationEvent(status.Name, RotationAction.Failed, status.Pending, status.Policy?.Tell, e));
            }
        }

        return done;
    }

    /// <summary>Where every secret of the vault stands, in the order of their names.</summary>
    /// <exception cref="VaultOpenException">The vault can't be opened.</exception>
    public async ValueTask<IReadOnlyList<RotationStatus>> GetStatusAsync(CancellationToken cancellationToken = default)
    {
        var now = _rotations.Now;
        var statuses = new List<RotationStatus>();
        await foreach (var secret in _store.ReadAllAsync(cancellationToken).ConfigureAwait(false))
        {
            if (RotationReview.IsOfInterest(secret.Record))
            {
                statuses.Add(RotationReview.Describe(secret.Record, now));
            }
        }

        statuses.Sort(static (one, other) => string.CompareOrdinal(one.Name, other.Name));
        return statuses;
    }

    private async ValueTask RunDueAsync(string name, List<RotationEvent> done, CancellationToken cancellationToken)
    {
        done.AddRange(await _revocation.SettleAsync(name, cancellationToken).ConfigureAwait(false));

        // as it is now: those before it may have taken long
        var record = (await _store.ReadAsync(name, cancellationToken).ConfigureAwait(false))?.Record;
        if (record is null || RotationReview.Describe(record, _rotations.Now) is not { } status)
        {
            return;
        }

        if (status.Fault is { } fault && status.Pending is null)
        {
            throw fault;
        }

        if (status is { Pending: null, Need: not (RotationNeed.Due or RotationNeed.Overdue) })
        {
            return;
        }

        if (_rotators.Get(record.Rotation?.Rotator ?? status.Policy!.Rotator).NeedsPerson)
        {
            done.Add(new RotationEvent(status.Name, RotationAction.NeedsPerson, status.Pending, status.Policy?.Tell));
            return;
        }

        if (status.Pending is null)
        {
            Require(status.Policy!);
            await _rotations.BeginAsync(status.Name, record.Current!.Id, policy: null, cancellationToken).ConfigureAwait(false);
        }

        var rotated = await RunAsync(status.Name, isResumed: status.Pending is not null, cancellationToken).ConfigureAwait(false);
        done.Add(new RotationEvent(status.Name, RotationAction.Rotated, rotated.Version, status.Policy?.Tell));
        done.AddRange(rotated.Settled);
    }

    private async ValueTask<RotatedSecret> RunAsync(string name, bool isResumed, CancellationToken cancellationToken)
    {
        var rotated = await _steps.RunAsync(name, isResumed, cancellationToken).ConfigureAwait(false);
        return rotated with { Settled = await _revocation.SettleAsync(name, cancellationToken).ConfigureAwait(false) };
    }

    private static RotationEvent NotPutBack(SecretRecord record, int abandoned, SecretsException error)
    {
        var current = record.Current!.Number;
        return new RotationEvent(record.Name, RotationAction.NotPutBack, current, record.Policy?.Tell, new SecretsException(
            $"version {current} of '{record.Name}' could not be put back where it is used: {error.Problem}",
            $"put it there by hand, before the key of version {abandoned} is revoked by the next mallku rotate --due",
            error));
    }

    private void Require(RotationPolicy policy) => _rotators.Require(policy, _rotations.Now);

    // as the vault keeps it: in whole seconds, and a program as what it is from here
    private static RotationPolicy ToKept(RotationPolicy policy) => policy with
    {
        Grace = TimeSpan.FromSeconds((long)policy.Grace.TotalSeconds),
        Every = policy.Every is { } every ? TimeSpan.FromSeconds((long)every.TotalSeconds) : null,
        Command = policy.Command is [{ Length: > 0 } program, ..] ? [StepProgram.Find(program), .. policy.Command.Skip(1)] : policy.Command,
    };
}
