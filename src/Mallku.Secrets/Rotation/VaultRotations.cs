using Mallku.Secrets.Ledger;
using Mallku.Secrets.Vault;

namespace Mallku.Secrets.Rotation;

/// <summary>What the vault records of rotations: each change is one write, durable when it returns, and in the ledger.</summary>
internal sealed class VaultRotations(FileVault vault)
{
    private DateTimeOffset Now => vault.Settings.Clock.GetUtcNow();

    /// <summary>Writes down that a version is to be made, before anybody is asked to make it.</summary>
    /// <param name="name">The name under which the vault has the secret.</param>
    /// <param name="from">The id of the version that is to be replaced.</param>
    /// <param name="policy">How it is rotated, from now on; null for what the vault has by then.</param>
    /// <param name="cancellationToken">Ends the wait for another writer.</param>
    internal ValueTask<IReadOnlyList<string>> BeginAsync(string name, string from, RotationPolicy? policy, CancellationToken cancellationToken) => vault.ChangeAsync(
        (opened, events) =>
        {
            var record = Find(opened, name);
            RequireNone(record);
            if (record.Current!.Id != from)
            {
                throw new SecretsException(
                    $"'{name}' was changed by another process meanwhile: version {record.Current.Number} is current; nothing was changed",
                    $"see what happened: mallku history {name}");
            }

            var used = policy ?? record.Policy ?? throw NoPolicy(name);
            record.Policy = used;
            record.Rotation = new RotationRecord
            {
                Token = VaultDocument.NewVersionId(),
                Rotator = used.Rotator,
                Number = record.Next++,
                Id = VaultDocument.NewVersionId(),
                From = from,
                Begun = Now,
            };
            events.Add(Event(LedgerKind.RotationBegun, record, record.Rotation.Number, used.Rotator));
            return opened.Absorbed;
        },
        cancellationToken);

    /// <summary>Keeps a value that was made, as the pending version, whatever else has changed meanwhile.</summary>
    internal async ValueTask KeepAsync(string name, string token, NewKey made)
    {
        await vault.ChangeAsync(
            (opened, events) =>
            {
                var (record, rotation) = FindRotation(opened, name, token);
                var version = new VersionRecord
                {
                    Number = rotation.Number,
                    Id = rotation.Id,
                    State = SecretVersionState.Pending,
                    Created = Now,
                    Source = rotation.Rotator,
                    Value = opened.Document.Own(JsonToken.Encode(made.Value)),
                    Token = rotation.Token,
                    KeyId = made.KeyId,
                };
                var place = record.Versions.FindIndex(other => other.Number > version.Number);
                record.Versions.Insert(place < 0 ? record.Versions.Count : place, version);
                (rotation.Step, rotation.Failure) = (RotationStep.Set, null);
                events.Add(Event(LedgerKind.RotationStep, record, version.Number, rotation.Rotator, "create"));
                return true;
            },
            CancellationToken.None).ConfigureAwait(false);
    }

    internal async ValueTask RecordStepAsync(string name, string token, RotationStep done)
    {
        await vault.ChangeAsync(
            (opened, events) =>
            {
                var (record, rotation) = FindRotation(opened, name, token);
                (rotation.Step, rotation.Failure) = (done + 1, null);
                events.Add(Event(LedgerKind.RotationStep, record, rotation.Number, rotation.Rotator, RotationFormat.ToText(done)));
                return true;
            },
            CancellationToken.None).ConfigureAwait(false);
    }

    internal async ValueTask RecordFailureAsync(string name, string token, string why)
    {
        await vault.ChangeAsync(
            (opened, events) =>
            {
                var (record, rotation) = FindRotation(opened, name, token);
                rotation.Failure = why;
                events.Add(Event(LedgerKind.RotationFailed, record, rotation.Number, rotation.Rotator, RotationFormat.ToText(rotation.Step)));
                return true;
            },
            CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>Makes the pending version the current one.</summary>
    /// <param name="name">The name under which the vault has the secret.</param>
    /// <param name="token">The rotation.</param>
    /// <param name="grace">How long the version that was current may still be used.</param>
    /// <param name="revokes">Whether its key is revoked at the provider then.</param>
    internal ValueTask<RotatedSecret> FinishAsync(string name, string token, TimeSpan grace, bool revokes) => vault.ChangeAsync(
        (opened, events) =>
        {
            var (record, rotation) = FindRotation(opened, name, token);
            RequireUnchanged(record, rotation);
            var replaced = record.Current!;
            record.Apply(VersionMoves.Finish(Now, record.Facts, grace));
            replaced.RevokeBy = revokes ? rotation.Rotator : null;
            record.Rotation = null;
            events.Add(Event(LedgerKind.Rotated, record, rotation.Number, rotation.Rotator));
            if (replaced.State == SecretVersionState.Retired)
            {
                events.Add(Event(LedgerKind.Retired, record, replaced.Number, replaced.RevokeBy));
            }

            return new RotatedSecret(name, rotation.Number, replaced.Number, Now + grace, [], opened.Absorbed);
        },
        CancellationToken.None);

    /// <summary>Gives the rotation up that is under way; its version is retired.</summary>
    /// <param name="name">The name under which the vault has the secret.</param>
    /// <param name="token">The rotation.</param>
    /// <param name="revokes">Whether there may be a key at the provider that is to be revoked.</param>
    /// <param name="notPutBack">Why the current value could not be put back where it is used; null where it was.</param>
    /// <param name="cancellationToken">Ends the wait for another writer.</param>
    internal async ValueTask AbandonAsync(string name, string token, bool revokes, string? notPutBack, CancellationToken cancellationToken)
    {
        await vault.ChangeAsync(
            (opened, events) =>
            {
                var (record, rotation) = FindRotation(opened, name, token);
                record.Apply(VersionMoves.Abandon(record.Facts));
                var version = record.Get(rotation.Number);
                if (version is null)
                {
                    version = new VersionRecord
                    {
                        Number = rotation.Number,
                        Id = rotation.Id,
                        State = SecretVersionState.Retired,
                        Created = rotation.Begun,
                        Source = rotation.Rotator,
                        Token = rotation.Token,
                    };
                    var place = record.Versions.FindIndex(other => other.Number > version.Number);
                    record.Versions.Insert(place < 0 ? record.Versions.Count : place, version);
                }

                version.RevokeBy = revokes ? rotation.Rotator : null;
                version.Value = revokes ? version.Value : null;
                record.Rotation = null;
                if (notPutBack is not null)
                {
                    // its words may name the secret
                    var why = opened.Document.UsesPseudonyms ? "" : $": {notPutBack}";
                    events.Add(Event(LedgerKind.RotationFailed, record, record.Current?.Number, rotation.Rotator, $"put back{why}"));
                }

                events.Add(Event(LedgerKind.RotationAbandoned, record, rotation.Number, rotation.Rotator));
                return true;
            },
            cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Records that the grace of versions is over.</summary>
    internal ValueTask<IReadOnlyList<int>> RetireAsync(string name, CancellationToken cancellationToken) => vault.ChangeAsync<IReadOnlyList<int>>(
        (opened, events) =>
        {
            var record = opened.Document.GetOrAdd(name);
            int[] over = [.. record.Versions.Where(version => version.State == SecretVersionState.Previous && version.GraceEnds <= Now).Select(version => version.Number)];
            record.Apply(VersionMoves.At(Now, record.Facts));
            foreach (var number in over)
            {
                events.Add(Event(LedgerKind.Retired, record, number, record.Get(number)!.RevokeBy));
            }

            return over;
        },
        cancellationToken);

    /// <summary>Records how the revoking of a key ended. The value of a key that is revoked is of no use, and dropped.</summary>
    /// <param name="name">The name under which the vault has the secret.</param>
    /// <param name="number">The version.</param>
    /// <param name="isRevoked">Whether it was revoked.</param>
    /// <param name="isGivenUp">Whether it is not tried again.</param>
    internal async ValueTask RecordRevokedAsync(string name, int number, bool isRevoked, bool isGivenUp = false)
    {
        await vault.ChangeAsync(
            (opened, events) =>
            {
                var record = opened.Document.GetOrAdd(name);
                if (record.Get(number) is { } version)
                {
                    events.Add(Event(isRevoked ? LedgerKind.Revoked : LedgerKind.RotationFailed, record, number, version.RevokeBy, isRevoked ? null : isGivenUp ? "revoke, given up" : "revoke"));
                    version.RevokeBy = isRevoked || isGivenUp ? null : version.RevokeBy;
                    version.Revoked = isRevoked ? Now : null;
                    version.Value = isRevoked ? null : version.Value;
                }

                return true;
            },
            CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>Makes the value of an earlier version the current one again, as a new version.</summary>
    /// <param name="name">The name under which the vault has the secret.</param>
    /// <param name="wanted">The earlier version.</param>
    /// <param name="grace">How long the version that was current may still be used; null for what the policy says.</param>
    /// <param name="revokes">Whether a rotator of a name revokes keys.</param>
    /// <param name="cancellationToken">Ends the wait for another writer.</param>
    internal ValueTask<RolledBack> RollBackAsync(string name, int wanted, TimeSpan? grace, Func<string, bool> revokes, CancellationToken cancellationToken) => vault.ChangeAsync(
        (opened, events) =>
        {
            var record = Find(opened, name);
            var replaced = record.Current!;
            var target = FindEarlier(record, wanted);
            var added = record.Add(
                opened.Document.Own(target.Value!.Value.ToArray()),
                VaultDocument.NewVersionId(),
                Now,
                VersionSources.Rollback,
                grace ?? record.Policy?.Grace ?? RotationPolicy.UsualGrace);

            // the key lives on in the new version: what would revoke it with the old one is gone
            (added.Token, added.KeyId) = (target.Token, target.KeyId);
            (target.Token, target.KeyId, target.RevokeBy, target.State, target.GraceEnds) = (null, null, null, SecretVersionState.Retired, null);
            replaced.RevokeBy = replaced.Token is not null && revokes(replaced.Source) ? replaced.Source : null;
            events.Add(Event(LedgerKind.RolledBack, record, added.Number, vault.Settings.Purpose, $"to the value of version {target.Number}"));
            return new RolledBack(name, added.Number, target.Number, replaced.Number, replaced.GraceEnds, opened.Absorbed);
        },
        cancellationToken);

    /// <summary>Writes down how a secret is rotated; null forgets it.</summary>
    internal ValueTask<IReadOnlyList<string>> SetPolicyAsync(string name, RotationPolicy? policy, CancellationToken cancellationToken) => vault.ChangeAsync(
        (opened, events) =>
        {
            var record = Find(opened, name);
            RequireNone(record);
            record.Policy = policy;
            events.Add(Event(LedgerKind.PolicySet, record, version: null, policy?.Rotator, policy is null ? "no policy any more" : null));
            return opened.Absorbed;
        },
        cancellationToken);

    internal static void RequireUnchanged(SecretRecord record, RotationRecord rotation)
    {
        if (record.Current?.Id != rotation.From)
        {
            var what = record.Current is { } current ? $"version {current.Number} was made current" : "it was removed";
            throw new SecretsException(
                $"the rotation of '{record.Name}' can't go on: {what} since it began", $"give it up: mallku rotate {record.Name} --abandon");
        }
    }

    internal static SecretsException NoPolicy(string name) => new(
        $"nobody has said how '{name}' is rotated", $"say it: mallku rotate {name} --with generate, or mallku rotate {name} -- COMMAND");

    private static void RequireNone(SecretRecord record)
    {
        if (record.Rotation is { } rotation)
        {
            throw new SecretsException(
                $"a rotation of '{record.Name}' is under way since {rotation.Begun.UtcDateTime:yyyy-MM-dd'T'HH:mm:ss'Z'}, and its next step is '{RotationFormat.ToText(rotation.Step)}'; nothing was changed",
                $"go on with it: mallku rotate {record.Name} --resume, or give it up: mallku rotate {record.Name} --abandon");
        }
    }

    private SecretRecord Find(OpenedVault opened, string name) =>
        opened.FindFileError(name) is { } error
            ? throw error
            : opened.Document.Find(name) ?? throw new SecretNotFoundException(name, vault.Describe());

    private static (SecretRecord Record, RotationRecord Rotation) FindRotation(OpenedVault opened, string name, string token) =>
        opened.Document.Secrets.GetValueOrDefault(name) is { Rotation: { } rotation } record && rotation.Token == token
            ? (record, rotation)
            : throw new SecretsException($"the rotation of '{name}' was ended by another process meanwhile", $"see what happened: mallku history {name}");

    /// <summary>The version whose value is to come back: the one that is wanted, else the newest before the current one.</summary>
    /// <exception cref="SecretsException">There is none, or it has no value that can come back.</exception>
    internal static VersionRecord FindEarlier(SecretRecord record, int? wanted) => wanted is { } number
        ? RequireUsable(record, number)
        : record.Versions.FindLast(version =>
            version.Number < record.Current!.Number && version.Value is not null
            && (version.State == SecretVersionState.Previous || version is { State: SecretVersionState.Retired, RevokeBy: null }))
        ?? throw new SecretsException($"no earlier version of '{record.Name}' has a value; nothing was changed", $"see what there is: mallku history {record.Name}");

    private static VersionRecord RequireUsable(SecretRecord record, int number)
    {
        var why = record.Get(number) switch
        {
            null => "is not kept",
            { State: SecretVersionState.Current } => "is the current one",
            { State: SecretVersionState.Pending } => "is pending",
            { Revoked: not null } => "was revoked at its provider",
            { State: SecretVersionState.Retired, RevokeBy: not null } => "is being revoked at its provider",
            { Value: null } => "has no value any more",
            _ => null,
        };
        return why is null
            ? record.Get(number)!
            : throw new SecretsException($"version {number} of '{record.Name}' {why}; nothing was changed", $"see what there is: mallku history {record.Name}");
    }

    private static LedgerEvent Event(LedgerKind kind, SecretRecord record, int? version, string? purpose, string? note = null) =>
        new(kind, record.Name, version, VaultEvents.Store, purpose, Note: note);
}
