using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Rotation;

/// <summary>Takes the steps of a rotation that is under way. What each has done is in the store before the next begins.</summary>
internal sealed class RotationSteps(Rotations rotations, Rotators rotators)
{
    private const int MostWords = 300;

    /// <summary>All steps that are left.</summary>
    /// <exception cref="SecretsException">A step failed, which is recorded, or what it is about was changed.</exception>
    internal async ValueTask<RotatedSecret> RunAsync(string name, bool isResumed, CancellationToken cancellationToken)
    {
        while (true)
        {
            var found = await rotations.FindUnderWayAsync(name, cancellationToken).ConfigureAwait(false);
            var (record, rotation) = (found.Record, found.Record.Rotation!);
            Rotations.RequireUnchanged(record, rotation);
            LostValues.RequireKept(record, record.Get(rotation.Number));
            var policy = record.Policy ?? new RotationPolicy { Rotator = rotation.Rotator };
            try
            {
                if (rotation.Step == RotationStep.Finish)
                {
                    return await rotations.FinishAsync(name, rotation.Token, rotation.Grace ?? policy.Grace, rotators.MayRevoke(rotation.Rotator)).ConfigureAwait(false);
                }

                var rotator = rotators.Get(rotation.Rotator);
                if (isResumed)
                {
                    await GoOnAsync(record, rotation, rotator, policy, cancellationToken).ConfigureAwait(false);
                    isResumed = false;
                }
                else
                {
                    await TakeAsync(record, rotation, rotator, policy, cancellationToken).ConfigureAwait(false);
                }
            }
            catch (LedgerException e)
            {
                // what it says was not done, that may be: the step, which is not known to be
                throw new LedgerException($"{Stopped(record, rotation)}: {e.Fault}; {Stays(record)}", WaysOn(record, e.Remedy), e);
            }
            catch (SecretsException e) when (e is not (VaultOpenException or StoreUnreachableException or RotationOvertakenException))
            {
                throw await FailAsync(record, rotation, e).ConfigureAwait(false);
            }
            catch (RotationOvertakenException) when (rotation.Step == RotationStep.Set)
            {
                await PutBackAsync(name, rotation, cancellationToken).ConfigureAwait(false);
                throw;
            }

            // its values are wiped when nobody holds it, and the store may have forgotten it meanwhile
            GC.KeepAlive(found.Owner);
        }
    }

    /// <summary>Puts the value of a version that is not pending where it is used.</summary>
    /// <exception cref="SecretsException">That failed, or nobody here knows the rotator.</exception>
    internal async ValueTask PutAsync(StoredSecret secret, string rotator, VersionRecord version, CancellationToken cancellationToken)
    {
        var record = secret.Record;
        var policy = record.Policy ?? new RotationPolicy { Rotator = rotator };
        var key = new RotatedKey(record.Name, version.Number, version.Id, version.Key?.Token, version.Key?.Id, policy) { UnderWay = record.Rotation?.Id };
        using var value = Reveal(record, version);
        GC.KeepAlive(secret.Owner);
        await rotators.Get(rotator).SetAsync(key, value, cancellationToken).ConfigureAwait(false);
    }

    /// <exception cref="SecretsException">It is lost, or no text.</exception>
    internal static SecretValue Reveal(SecretRecord record, VersionRecord version)
    {
        LostValues.RequireKept(record, version);
        return JsonToken.TryDecode(version.Value!.Value.Span, borrowed: false, out var value)
            ? value
            : throw new SecretsException($"the value of '{SecretsException.Show(record.Name)}' is no text", $"set it first: mallku set {record.Name}");
    }

    internal static string Shorten(string words) => words.Length <= MostWords ? words : words[..MostWords];

    private async ValueTask GoOnAsync(
        SecretRecord record, RotationRecord rotation, IRotator rotator, RotationPolicy policy, CancellationToken cancellationToken)
    {
        var mayFind = rotators.MayFind(rotator.Name);
        await rotations.GoOnAsync(record.Name, rotation.Token, rotation.Step, mayFind).ConfigureAwait(false);
        if (rotation.Step == RotationStep.Create)
        {
            // the answer may have been lost, and the key that it brought is live
            var looked = rotations.Now;
            await rotator.DiscardAsync(new RotatedKey(record.Name, rotation.Number, rotation.Id, rotation.Token, KeyId: null, policy), cancellationToken).ConfigureAwait(false);
            if (mayFind)
            {
                await rotations.RenewAsync(record.Name, rotation.Token, looked).ConfigureAwait(false);
            }
        }
    }

    private async ValueTask TakeAsync(
        SecretRecord record, RotationRecord rotation, IRotator rotator, RotationPolicy policy, CancellationToken cancellationToken)
    {
        var pending = record.Get(rotation.Number);
        var key = new RotatedKey(record.Name, rotation.Number, rotation.Id, rotation.Token, pending?.Key?.Id, policy)
        {
            // what is brought back takes its key over when it becomes current
            IsOwn = pending is not null && record.Versions.Exists(version => version.IsMadeBy(rotation.Rotator) && version.HasValueOf(pending)),
        };
        if (rotation.Step == RotationStep.Create)
        {
            using var current = Reveal(record, record.Current!);
            var made = await rotator.CreateAsync(key with { Current = current, IsOwn = record.Current!.IsMadeBy(rotation.Rotator) }, cancellationToken).ConfigureAwait(false);
            using (made.Value)
            {
                RequireNew(record, made.Value);
                try
                {
                    await rotations.KeepAsync(record.Name, rotation.Token, made, rotator.CanRevoke).ConfigureAwait(false);
                }
                catch (RotationOvertakenException) when (rotator.CanRevoke)
                {
                    // nobody else will ever know of it
                    await rotator.RevokeAsync(key with { KeyId = made.KeyId }, made.Value, CancellationToken.None).ConfigureAwait(false);
                    throw;
                }
            }

            return;
        }

        using var value = Reveal(record, pending!);
        if (rotation.Step == RotationStep.Set)
        {
            await rotator.SetAsync(key, value, cancellationToken).ConfigureAwait(false);
        }
        else
        {
            await rotator.TestAsync(key, value, cancellationToken).ConfigureAwait(false);
        }

        await rotations.RecordStepAsync(record.Name, rotation.Token, rotation.Step).ConfigureAwait(false);
    }

    // who was overtaken may have put a value last that another has given up meanwhile
    private async ValueTask PutBackAsync(string name, RotationRecord rotation, CancellationToken cancellationToken)
    {
        var found = await rotations.FindAnyAsync(name, cancellationToken).ConfigureAwait(false);
        if (found.Record is { Rotation: null, Current: { } current } && current.Id != rotation.Id)
        {
            await rotations.TellPutBackAsync(found.Record.Name, current.Number, rotation.Rotator).ConfigureAwait(false);
            await PutAsync(found, rotation.Rotator, current, cancellationToken).ConfigureAwait(false);
        }
    }

    private async ValueTask<SecretsException> FailAsync(SecretRecord record, RotationRecord rotation, SecretsException error)
    {
        try
        {
            await rotations.RecordFailureAsync(record.Name, rotation.Token, rotation.Step, Shorten(error.Problem)).ConfigureAwait(false);
        }
        catch (SecretsException e) when (e is not (LedgerException or VaultOpenException or StoreUnreachableException or RotationOvertakenException))
        {
            // the disk that is full for the one is so for the other
        }

        return new SecretsException($"{Stopped(record, rotation)}: {error.Problem}; {Stays(record)}", WaysOn(record, error.Remedy), error);
    }

    private static string Stopped(SecretRecord record, RotationRecord rotation) =>
        $"the {(record.Get(rotation.Number) is { IsRollback: true } ? "rollback" : "rotation")} of '{record.Name}' stopped at the step '{RotationFormat.ToText(rotation.Step)}'";

    private static string Stays(SecretRecord record) => $"version {record.Current!.Number} stays in use";

    private static string WaysOn(SecretRecord record, string remedy) =>
        $"{remedy}; then go on: mallku rotate {record.Name} --resume, or give it up: mallku rotate {record.Name} --abandon";

    private static void RequireNew(SecretRecord record, SecretValue made)
    {
        if (made.Length is 0 or > SecretChanges.MaxValueLength)
        {
            throw new SecretsException("the new value is empty or longer than 1 MiB", "see to it that the rotator makes a key and nothing else");
        }

        using var current = Reveal(record, record.Current!);
        if (current == made)
        {
            throw new SecretsException("the new value is the current one", "see to it that the rotator makes a new key");
        }
    }
}
