using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Rotation;

/// <summary>Rotates in one store. Safe for concurrent use.</summary>
internal sealed class StoreRotation
{
    private static readonly TimeSpan SoonSaid = TimeSpan.FromSeconds(1);
    private readonly ISecretStore _store;
    private readonly Rotators _rotators;
    private readonly Rotations _rotations;
    private readonly RotationSteps _steps;
    private readonly KeyRevocation _revocation;
    private readonly RetiredKeys _keys;

    /// <param name="store">Where it rotates.</param>
    /// <param name="known">All stores of this machine, that one among them.</param>
    /// <param name="rotators">Who makes and revokes keys.</param>
    internal StoreRotation(ISecretStore store, IReadOnlyList<ISecretStore> known, Rotators rotators)
    {
        _store = store;
        _rotators = rotators;
        _rotations = new Rotations(store);
        _steps = new RotationSteps(_rotations, _rotators);
        _keys = new RetiredKeys(store);
        _revocation = new KeyRevocation(store, known, _keys, _rotators);
    }

    /// <summary>Told why it does not begin yet.</summary>
    internal Action<string>? Waits { get; set; }

    internal async ValueTask<RotatedSecret> RotateAsync(string name, RotationPolicy? policy, CancellationToken cancellationToken)
    {
        var found = await _rotations.FindAsync(name, cancellationToken).ConfigureAwait(false);
        var (stored, current) = (found.Record.Name, found.Record.Current!);
        policy = policy is null ? null : ToKept(policy);
        LostValues.RequireKept(found.Record, current);
        Require(found, policy ?? found.Record.Policy ?? throw Rotations.NoPolicy(stored));
        await using var turn = (await TakeTurnAsync(cancellationToken).ConfigureAwait(false)).ConfigureAwait(false);
        RequireStartable(policy ?? found.Record.Policy!);
        var absorbed = await _rotations.BeginAsync(stored, current.Id, policy, cancellationToken).ConfigureAwait(false);
        var rotated = await RunAsync(stored, isResumed: false, cancellationToken).ConfigureAwait(false);
        return rotated with { Absorbed = [.. absorbed, .. rotated.Absorbed] };
    }

    internal async ValueTask<RotatedSecret> ResumeAsync(string name, CancellationToken cancellationToken)
    {
        var stored = (await _rotations.FindUnderWayAsync(name, cancellationToken).ConfigureAwait(false)).Record.Name;
        await using var turn = (await TakeTurnAsync(cancellationToken).ConfigureAwait(false)).ConfigureAwait(false);
        return await RunAsync(stored, isResumed: true, cancellationToken).ConfigureAwait(false);
    }

    internal async ValueTask<IReadOnlyList<RotationEvent>> AbandonAsync(string name, CancellationToken cancellationToken)
    {
        var meant = (await _rotations.FindAnyAsync(name, cancellationToken).ConfigureAwait(false)).Record.Rotation;
        await using var turn = (await TakeTurnAsync(cancellationToken).ConfigureAwait(false)).ConfigureAwait(false);
        var found = await _rotations.FindAnyAsync(name, cancellationToken).ConfigureAwait(false);
        var record = found.Record;
        RequireThere(meant, record);
        if (record.Misread is not null)
        {
            await _rotations.ForgetUnreadAsync(record.Name, cancellationToken).ConfigureAwait(false);
            return [];
        }

        if (record.Rotation is not { } rotation)
        {
            if (record.Lost.Exists(static lost => lost.Looked is null)
                && await _revocation.LookAsync(record, cancellationToken).ConfigureAwait(false) is [])
            {
                // whoever gave the rotation up was cut off before he had looked
                return [];
            }

            return await _keys.GiveUpAsync(record.Name, cancellationToken).ConfigureAwait(false);
        }

        SecretsException? notPut = null;
        if (rotation.Step > RotationStep.Create && record.Current is { } current)
        {
            await _rotations.TellPutBackAsync(record.Name, current.Number, rotation.Rotator).ConfigureAwait(false);
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

        await _rotations.AbandonAsync(
            record.Name,
            rotation.Token,
            _rotators.MayFind(rotation.Rotator),
            notPut is null ? null : RotationSteps.Shorten(notPut.Problem),
            cancellationToken).ConfigureAwait(false);
        return notPut is null
            ? await _revocation.SettleAsync(record.Name, cancellationToken).ConfigureAwait(false)
            : [NotPutBack(record, rotation.Number, notPut)];
    }

    internal async ValueTask<RolledBack> RollBackAsync(string name, int? version, TimeSpan? grace, CancellationToken cancellationToken)
    {
        RotationSchedule.RequireGrace(grace ?? TimeSpan.Zero);

        // while another revokes a key, nobody can tell whether it still works
        await using var turn = (await TakeTurnAsync(cancellationToken).ConfigureAwait(false)).ConfigureAwait(false);
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

    internal async ValueTask<RotationPolicy?> GetPolicyAsync(string name, CancellationToken cancellationToken) =>
        (await _rotations.FindAsync(name, cancellationToken).ConfigureAwait(false)).Record.Policy;

    internal async ValueTask SetPolicyAsync(string name, RotationPolicy? policy, CancellationToken cancellationToken)
    {
        var found = await _rotations.FindAsync(name, cancellationToken).ConfigureAwait(false);
        if (policy is not null)
        {
            policy = ToKept(policy);
            Require(found, policy);
        }

        await _rotations.SetPolicyAsync(found.Record.Name, policy, cancellationToken).ConfigureAwait(false);
    }

    internal async ValueTask<IReadOnlyList<RotationEvent>> RunDueAsync(CancellationToken cancellationToken)
    {
        var (statuses, failed) = await ReviewAsync(cancellationToken).ConfigureAwait(false);
        if (statuses is [])
        {
            return failed;
        }

        await using var turn = (await TakeTurnAsync(cancellationToken).ConfigureAwait(false)).ConfigureAwait(false);
        (statuses, failed) = await ReviewAsync(cancellationToken).ConfigureAwait(false);
        var done = new List<RotationEvent>();
        foreach (var status in statuses)
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

        return [.. done, .. failed];
    }

    // and those that can't be used: which secret that is, only the fault says
    private async ValueTask<(IReadOnlyList<RotationStatus> Statuses, List<RotationEvent> Failed)> ReviewAsync(CancellationToken cancellationToken)
    {
        var failed = new List<RotationEvent>();
        var statuses = await RotationReview.ReadAsync(
            _store, fault => failed.Add(new RotationEvent(_store.Describe(), RotationAction.Failed, Version: null, Error: fault)), cancellationToken).ConfigureAwait(false);
        return (statuses, failed);
    }

    private async ValueTask RunDueAsync(string name, List<RotationEvent> done, CancellationToken cancellationToken)
    {
        done.AddRange(await _revocation.SettleAsync(name, cancellationToken).ConfigureAwait(false));

        // as it is now: those before it may have taken long
        var found = await _store.ReadLackingAsync(name, cancellationToken).ConfigureAwait(false);
        if (found?.Record is not { } record || RotationReview.Describe(record, _rotations.Now) is not { } status)
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
            LostValues.RequireKept(record, record.Current);
            Require(found, status.Policy!);
            RequireStartable(status.Policy!);
            await _rotations.BeginAsync(status.Name, record.Current!.Id, policy: null, cancellationToken).ConfigureAwait(false);
        }

        var rotated = await RunAsync(status.Name, isResumed: status.Pending is not null, cancellationToken).ConfigureAwait(false);
        done.Add(new RotationEvent(status.Name, RotationAction.Rotated, rotated.Version, status.Policy?.Tell));
        done.AddRange(rotated.Settled);
    }

    private async ValueTask<RotatedSecret> RunAsync(string name, bool isResumed, CancellationToken cancellationToken)
    {
        var rotated = await _steps.RunAsync(name, isResumed, cancellationToken).ConfigureAwait(false);
        try
        {
            return rotated with { Settled = await _revocation.SettleAsync(name, cancellationToken).ConfigureAwait(false) };
        }
        catch (SecretsException e)
        {
            // the new version is current all the same
            var left = new SecretsException(
                $"what is left to do of '{rotated.Name}' could not be done: {(e as LedgerException)?.Fault ?? e.Problem}", $"{e.Remedy}; then: mallku rotate --due", e);
            return rotated with { Settled = [new RotationEvent(rotated.Name, RotationAction.Failed, Version: null, Error: left)] };
        }
    }

    // who asked saw a rotation, and another process has ended it while he waited for his turn: what it left is not what he meant
    private static void RequireThere(RotationRecord? meant, SecretRecord record)
    {
        if (meant is not null && record.Rotation?.Id != meant.Id && record.Misread is null)
        {
            var (how, current) = (record.Get(meant.Number) is { State: not SecretVersionState.Retired } ? "finished" : "ended", record.Current);
            throw new RotationOvertakenException(
                $"the rotation of '{record.Name}' was {how} by another process meanwhile{(current is null ? "" : $": version {current.Number} is current")}; nothing was given up",
                $"see what happened: mallku history {record.Name}");
        }
    }

    private static void RequireStartable(RotationPolicy policy)
    {
        if (policy is { Rotator: CommandRotator.RotatorName, Command: [var program, ..] })
        {
            StepProgram.Require(program);
        }
    }

    private static RotationEvent NotPutBack(SecretRecord record, int abandoned, SecretsException error)
    {
        var current = record.Current!.Number;
        return new RotationEvent(record.Name, RotationAction.NotPutBack, current, record.Policy?.Tell, new SecretsException(
            $"version {current} of '{record.Name}' could not be put back where it is used: {error.Problem}",
            $"put it there by hand, before the key of version {abandoned} is revoked by the next mallku rotate --due",
            error));
    }

    private void Require(StoredSecret secret, RotationPolicy policy)
    {
        var (record, current) = (secret.Record, secret.Record.Current!);
        using var value = current.Value is { } token && JsonToken.TryDecode(token.Span, borrowed: false, out var text) ? text : null;
        GC.KeepAlive(secret.Owner);
        _rotators.Require(
            new RotatedKey(record.Name, current.Number, current.Id, current.Key?.Token, current.Key?.Id, policy) { Current = value, IsOwn = current.IsMadeBy(policy.Rotator) },
            _rotations.Now);
    }

    // as the vault keeps it: in whole seconds, and a program as what it is from here
    private static RotationPolicy ToKept(RotationPolicy policy) => policy with
    {
        Grace = TimeSpan.FromSeconds((long)policy.Grace.TotalSeconds),
        Every = policy.Every is { } every ? TimeSpan.FromSeconds((long)every.TotalSeconds) : null,
        Command = policy.Command is [{ Length: > 0 } program, ..] ? [StepProgram.Find(program), .. policy.Command.Skip(1)] : policy.Command,
    };

    private async ValueTask<IAsyncDisposable> TakeTurnAsync(CancellationToken cancellationToken)
    {
        var taking = _store.TakeTurnAsync(cancellationToken).AsTask();
        if (Waits is { } say && await Task.WhenAny(taking, Task.Delay(SoonSaid, CancellationToken.None)).ConfigureAwait(false) != taking)
        {
            say($"waiting for another process that rotates in {_store.Describe()}; in a shared store, one that was killed is waited for, too, for half a minute");
        }

        return await taking.ConfigureAwait(false);
    }
}
