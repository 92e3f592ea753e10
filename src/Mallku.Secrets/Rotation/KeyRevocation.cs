using System.Runtime.CompilerServices;
using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Rotation;

/// <summary>Retires what is past its grace, and revokes the keys that are not used any more, each by the rotator that made it.</summary>
/// <param name="store">Where it revokes.</param>
/// <param name="known">All stores of this machine, that one among them: a key may have been copied.</param>
/// <param name="keys">What <paramref name="store"/> records of it.</param>
/// <param name="rotators">Who makes and revokes keys.</param>
internal sealed class KeyRevocation(ISecretStore store, IReadOnlyList<ISecretStore> known, RetiredKeys keys, Rotators rotators)
{
    /// <summary>Does with one secret what there is to do.</summary>
    /// <exception cref="SecretsException">The store can't be opened or written.</exception>
    internal async ValueTask<IReadOnlyList<RotationEvent>> SettleAsync(string name, CancellationToken cancellationToken)
    {
        var now = store.Clock.GetUtcNow();
        var done = new List<RotationEvent>();
        if (await store.ReadLackingAsync(name, cancellationToken).ConfigureAwait(false) is not { } found)
        {
            return done;
        }

        done.AddRange(await LookAsync(found.Record, cancellationToken).ConfigureAwait(false));

        // what is to be revoked may be the only key that works
        if (found.Record.Current is { Revoked: not null })
        {
            return done;
        }

        if (found.Record.Versions.Exists(version => RetiredKeys.IsOver(version, now)))
        {
            foreach (var number in await keys.RetireAsync(name, cancellationToken).ConfigureAwait(false))
            {
                done.Add(new RotationEvent(name, RotationAction.Retired, number, found.Record.Policy?.Tell));
            }

            found = await store.ReadLackingAsync(name, cancellationToken).ConfigureAwait(false) ?? found;
        }

        foreach (var version in found.Record.Versions.Where(version => version.State == SecretVersionState.Retired && version.IsSpent(now)))
        {
            done.AddRange(await RevokeAsync(found.Record, version, now, cancellationToken).ConfigureAwait(false));
        }

        GC.KeepAlive(found.Owner);
        return done;
    }

    /// <summary>Deletes what was made and nobody has the value of, where it is time to look for it.</summary>
    /// <returns>What could not be looked for.</returns>
    internal async ValueTask<IReadOnlyList<RotationEvent>> LookAsync(SecretRecord record, CancellationToken cancellationToken)
    {
        var failed = new List<RotationEvent>();
        foreach (var lost in record.Lost)
        {
            if (lost.IsToBeSought(store.Clock.GetUtcNow()) && await LookAsync(record, lost, cancellationToken).ConfigureAwait(false) is { } fault)
            {
                failed.Add(fault);
            }
        }

        return failed;
    }

    // null where that succeeds
    private async ValueTask<RotationEvent?> LookAsync(SecretRecord record, LostKey lost, CancellationToken cancellationToken)
    {
        var began = store.Clock.GetUtcNow();
        await keys.BeginLookAsync(record.Name, lost).ConfigureAwait(false);
        try
        {
            var key = new RotatedKey(record.Name, lost.Number, lost.Id, lost.Key.Token, KeyId: null, AsMade(record, lost.Key));
            await rotators.Get(key.Policy.Rotator).DiscardAsync(key, cancellationToken).ConfigureAwait(false);
        }
        catch (SecretsException e)
        {
            await keys.RecordFailureAsync(record.Name, lost).ConfigureAwait(false);
            return new RotationEvent(record.Name, RotationAction.Failed, Version: null, record.Policy?.Tell, new SecretsException(
                $"a key of '{record.Name}' that was asked for as version {lost.Number}, and whose answer was lost, may be live and could not be looked for: {e.Problem}",
                $"{e.Remedy}; then try again: mallku rotate --due",
                e));
        }

        await keys.RecordLookAsync(record.Name, lost, began).ConfigureAwait(false);
        return null;
    }

    // nothing where it is not yet the time
    private async ValueTask<IReadOnlyList<RotationEvent>> RevokeAsync(SecretRecord record, VersionRecord version, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var dead = new List<RotationEvent>();
        try
        {
            var key = new RotatedKey(record.Name, version.Number, version.Id, version.Key!.Token, version.Key.Id, AsMade(record, version.Key)) { IsOwn = version.IsMadeBy(version.Key.RevokeBy!) };
            var rotator = FindMaker(key, version.Value is not null);
            RequireComparable(record, version, now);
            if (await MayComeBackAsync(record, version, now, cancellationToken).ConfigureAwait(false))
            {
                return [];
            }

            await keys.BeginRevokingAsync(record.Name, version.Number).ConfigureAwait(false);
            using var value = version.Value is null ? null : RotationSteps.Reveal(record, version);
            await rotator.RevokeAsync(key, value, cancellationToken).ConfigureAwait(false);

            // before it is recorded here, after which nobody would look for them any more
            await foreach (var (home, holder) in ReadHoldersAsync(record, version, CancellationToken.None).ConfigureAwait(false))
            {
                var other = holder.Record;
                if (await (home == store ? keys : new RetiredKeys(home)).DropAsync(other.Name, version).ConfigureAwait(false) is { } theirs)
                {
                    dead.Add(Dead(other, theirs));
                }
            }
        }
        catch (SecretsException e)
        {
            await keys.RecordFailureAsync(record.Name, version.Number).ConfigureAwait(false);
            return [new RotationEvent(record.Name, RotationAction.Failed, version.Number, record.Policy?.Tell, e), .. dead];
        }

        try
        {
            if (await keys.RecordRevokedAsync(record.Name, version).ConfigureAwait(false) is { } own)
            {
                dead.Add(Dead(record, own));
            }
        }
        catch (LedgerException e)
        {
            throw new LedgerException($"the key of version {version.Number} of '{record.Name}' was revoked, and that could not be recorded: {e.Fault}", e.Remedy, e);
        }

        return [new RotationEvent(record.Name, RotationAction.Revoked, version.Number, record.Policy?.Tell), .. dead];
    }

    // somebody has set the value while its key was revoked
    private static RotationEvent Dead(SecretRecord record, int version)
    {
        var fault = RotationReview.RevokedInUse(record.Name, version);
        return new RotationEvent(record.Name, RotationAction.Failed, Version: null, record.Policy?.Tell, fault);
    }

    // with what its maker was told then: the secret may be rotated in another way, or in another account, by now
    private static RotationPolicy AsMade(SecretRecord record, ProviderKey key)
    {
        var policy = record.Policy ?? new RotationPolicy { Rotator = key.RevokeBy! };
        return policy with
        {
            Rotator = key.RevokeBy!,
            Account = key.Account ?? policy.Account,
            Command = key.Command.Count > 0 ? key.Command : policy.Command,
        };
    }

    private IRotator FindMaker(RotatedKey key, bool isValueKnown)
    {
        var rotator = rotators.Get(key.Policy.Rotator);
        var obstacle = !rotator.CanRevoke ? $"the rotator '{rotator.Name}' can't revoke version {key.Version} of '{key.Secret}'"
            : !isValueKnown && (key.Token ?? key.KeyId) is null ? $"the value of version {key.Version} of '{key.Secret}' is gone, and with it what names its key"
            : null;
        return obstacle is null ? rotator : throw new SecretsException(obstacle, $"revoke the key at its provider, then say so: mallku rotate {key.Secret} --abandon");
    }

    // Where a value is lost, nobody can tell whether it is the one that is in use: here, in another secret, or in another place.
    private void RequireComparable(SecretRecord record, VersionRecord version, DateTimeOffset now)
    {
        if (version is { Value: null, Digest: null })
        {
            throw new SecretsException(
                $"the value of version {version.Number} of '{record.Name}' is gone, and nobody can tell whether its key is still in use",
                $"look at the provider, and revoke the key there unless it is in use; then say so: mallku rotate {record.Name} --abandon");
        }

        if (record.Versions.FindAll(used => used.IsLost && used.IsLive(now)) is { Count: > 0 } lost)
        {
            throw LostValues.Fault(store.Describe(), record, lost);
        }
    }

    // Whether a rollback of another secret could bring the key into use, since its version was replaced a little ago and perhaps
    // by mistake. Throws where the key is in use.
    private async ValueTask<bool> MayComeBackAsync(SecretRecord record, VersionRecord version, DateTimeOffset now, CancellationToken cancellationToken)
    {
        if (record.FindInUse(version, now) is { } own)
        {
            throw InUse(record, version, $"version {own.Number}");
        }

        var mayComeBack = false;
        await foreach (var (home, holder) in ReadHoldersAsync(record, version, cancellationToken).ConfigureAwait(false))
        {
            var other = holder.Record;
            if (other.FindInUse(version, now) is not null)
            {
                throw InUse(record, version, $"the secret '{SecretsException.Show(other.Name)}'{(home == store ? "" : $" in {home.Describe()}")}");
            }

            mayComeBack |= other.Versions.Exists(held => held.HasValueOf(version) && other.IsReplacedOfLate(held, now));
            GC.KeepAlive(holder.Owner);
        }

        return mayComeBack;
    }

    private async IAsyncEnumerable<(ISecretStore Home, StoredSecret Holder)> ReadHoldersAsync(
        SecretRecord record, VersionRecord version, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (var home in known)
        {
            await foreach (var holder in home.ReadHoldersAsync(version, except: home == store ? record.Name : null, cancellationToken).ConfigureAwait(false))
            {
                yield return (home, holder);
            }
        }
    }

    private static SecretsException InUse(SecretRecord record, VersionRecord version, string user) => new(
        $"version {version.Number} of '{record.Name}' is not revoked: {user} has the same value, and is in use",
        $"replace that too, or leave the key so: mallku rotate {record.Name} --abandon");
}
