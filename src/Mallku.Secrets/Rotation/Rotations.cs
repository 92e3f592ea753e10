using Mallku.Secrets.Ledger;
using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Rotation;

/// <summary>What a store knows of rotations. Each change is one write, durable when it returns, and in the ledger.</summary>
internal sealed partial class Rotations(ISecretStore store)
{
    internal DateTimeOffset Now => store.Clock.GetUtcNow();

    /// <summary>A secret as the store has it now; a name that matches it loosely is taken for its own.</summary>
    /// <exception cref="SecretNotFoundException">The store does not have it.</exception>
    /// <exception cref="SecretsException">What the store says of its rotation can't be read.</exception>
    internal async ValueTask<StoredSecret> FindAsync(string name, CancellationToken cancellationToken)
    {
        var found = await ReadAsync(name, static record => record.Current is not null, cancellationToken).ConfigureAwait(false);
        return found.Record.Current is null ? throw new SecretNotFoundException(name, store.Describe()) : RequireRead(found);
    }

    /// <summary>The same, and a removed secret of exactly that name of which something is left to do.</summary>
    /// <inheritdoc cref="FindAsync"/>
    internal ValueTask<StoredSecret> FindAnyAsync(string name, CancellationToken cancellationToken) =>
        ReadAsync(name, RotationReview.IsOfInterest, cancellationToken);

    /// <summary>A secret whose rotation is under way.</summary>
    /// <inheritdoc cref="FindAsync"/>
    internal async ValueTask<StoredSecret> FindUnderWayAsync(string name, CancellationToken cancellationToken)
    {
        var found = await FindAnyAsync(name, cancellationToken).ConfigureAwait(false);
        return RequireRead(found).Record.Rotation is null ? throw NothingUnderWay(found.Record.Name) : found;
    }

    // the one of exactly that name where it will do, else the one that matches loosely
    private async ValueTask<StoredSecret> ReadAsync(string name, Func<SecretRecord, bool> willDo, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (await store.ReadLackingAsync(name, cancellationToken).ConfigureAwait(false) is { } exact && willDo(exact.Record))
        {
            return exact;
        }

        return await store.FindAsync(SecretName.Existing(name), cancellationToken).ConfigureAwait(false) is { Record: { Current: not null } match }
            && await store.ReadLackingAsync(match.Name, cancellationToken).ConfigureAwait(false) is { } found
            ? found
            : throw new SecretNotFoundException(name, store.Describe());
    }

    /// <summary>Writes down that a version is to be made, before anybody is asked to make it.</summary>
    /// <param name="name">The name under which the store has the secret.</param>
    /// <param name="from">The id of the version that is to be replaced.</param>
    /// <param name="policy">How it is rotated, from now on; null for what the store has by then.</param>
    /// <param name="cancellationToken">Ends the wait for another writer.</param>
    internal ValueTask<IReadOnlyList<string>> BeginAsync(string name, string from, RotationPolicy? policy, CancellationToken cancellationToken) => store.ChangeAsync(
        name,
        edit =>
        {
            edit.RequireCurrent();
            var record = edit.Record;
            RequireNone(record);
            if (record.Current!.Id != from)
            {
                throw new SecretsException(
                    $"'{name}' was changed by another process meanwhile: version {record.Current.Number} is current; nothing was changed",
                    $"see what happened: mallku history {name}");
            }

            var used = policy ?? record.Policy ?? throw NoPolicy(name);
            if (used != record.Policy)
            {
                record.Policy = used;
                edit.Tell(LedgerKind.PolicySet, version: null, used.Rotator);
            }

            record.Rotation = new RotationRecord
            {
                Token = VersionRecord.NewId(),
                Rotator = used.Rotator,
                Number = record.Next++,
                Id = VersionRecord.NewId(),
                From = from,
                Begun = Now,
            };
            edit.Tell(LedgerKind.RotationBegun, record.Rotation.Number, used.Rotator);
            return edit.Absorbed;
        },
        cancellationToken);

    /// <summary>Keeps a value that was made, as the pending version, whatever else has changed meanwhile.</summary>
    /// <param name="name">The name under which the store has the secret.</param>
    /// <param name="token">The rotation.</param>
    /// <param name="made">The value.</param>
    /// <param name="revokes">Whether its rotator revokes it when it is not used any more.</param>
    internal async ValueTask KeepAsync(string name, string token, NewKey made, bool revokes)
    {
        await store.ChangeAsync(
            name,
            edit =>
            {
                var (record, rotation) = FindRotation(edit, token, RotationStep.Create);
                var version = new VersionRecord
                {
                    Number = rotation.Number,
                    Id = rotation.Id,
                    State = SecretVersionState.Pending,
                    Created = Now,
                    Source = rotation.Rotator,
                    Value = edit.Own(JsonToken.Encode(made.Value)),
                    Key = revokes ? ProviderKey.Of(rotation.Rotator, record.Policy, rotation.Token, made.KeyId) : null,
                };
                Insert(record, version);
                record.TakeOverKey(version);
                (rotation.Step, rotation.Failure) = (RotationStep.Set, null);
                edit.Tell(LedgerKind.RotationStep, version.Number, rotation.Rotator, "create");
                return true;
            },
            CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>
    /// Says that a step of a rotation is about to be taken by who did not begin it: nothing is handed to a rotator before the
    /// ledger has it. Where the step is to make a key, one may have been made, or may be yet, and that is kept in mind.
    /// </summary>
    /// <param name="name">The name under which the store has the secret.</param>
    /// <param name="token">The rotation.</param>
    /// <param name="step">Its next step.</param>
    /// <param name="mayFind">Whether its rotator finds by the token what it made.</param>
    internal async ValueTask GoOnAsync(string name, string token, RotationStep step, bool mayFind)
    {
        await store.ChangeAsync(
            name,
            edit =>
            {
                var (record, rotation) = FindRotation(edit, token, step);
                if (step == RotationStep.Create && mayFind)
                {
                    record.NoteLost(rotation, Now);
                }

                edit.Tell(LedgerKind.RotationStep, rotation.Number, rotation.Rotator, Begun(RotationFormat.ToText(step)));
                return true;
            },
            CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>Gives a rotation another token, when what carried the one before was deleted: what carries that yet is nobody's.</summary>
    /// <param name="name">The name under which the store has the secret.</param>
    /// <param name="token">The token before.</param>
    /// <param name="looked">When the look for that began.</param>
    internal async ValueTask RenewAsync(string name, string token, DateTimeOffset looked)
    {
        await store.ChangeAsync(
            name,
            edit =>
            {
                var (record, rotation) = FindRotation(edit, token, RotationStep.Create);
                rotation.Token = VersionRecord.NewId();
                foreach (var lost in record.Lost.Where(lost => lost.Key.Token == token))
                {
                    lost.Looked = looked;
                }

                edit.Tell(LedgerKind.RotationStep, rotation.Number, rotation.Rotator, "discard");
                return true;
            },
            CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>Says that the value of a version that is current is about to be put where it is used.</summary>
    internal async ValueTask TellPutBackAsync(string name, int version, string rotator)
    {
        await store.ChangeAsync(
            name,
            edit =>
            {
                edit.Tell(LedgerKind.RotationStep, version, rotator, Begun("put back"));
                return true;
            },
            CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>What the ledger says of a step that is about to be taken.</summary>
    internal static string Begun(string step) => $"begun: {step}";

    internal async ValueTask RecordStepAsync(string name, string token, RotationStep done)
    {
        await store.ChangeAsync(
            name,
            edit =>
            {
                var (_, rotation) = FindRotation(edit, token, done);
                (rotation.Step, rotation.Failure) = (done + 1, null);
                edit.Tell(LedgerKind.RotationStep, rotation.Number, rotation.Rotator, RotationFormat.ToText(done));
                return true;
            },
            CancellationToken.None).ConfigureAwait(false);
    }

    internal async ValueTask RecordFailureAsync(string name, string token, RotationStep failed, string why)
    {
        await store.ChangeAsync(
            name,
            edit =>
            {
                var (_, rotation) = FindRotation(edit, token, failed);
                rotation.Failure = why;
                edit.Tell(LedgerKind.RotationFailed, rotation.Number, rotation.Rotator, RotationFormat.ToText(rotation.Step));
                return true;
            },
            CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>Makes the pending version the current one.</summary>
    /// <param name="name">The name under which the store has the secret.</param>
    /// <param name="token">The rotation.</param>
    /// <param name="grace">How long the version that was current may still be used.</param>
    /// <param name="revokes">Whether the rotator revokes its key at the provider then, where nobody else is to.</param>
    internal ValueTask<RotatedSecret> FinishAsync(string name, string token, TimeSpan grace, bool revokes) => store.ChangeAsync(
        name,
        edit =>
        {
            var (record, rotation) = FindRotation(edit, token, RotationStep.Finish);
            RequireUnchanged(record, rotation);
            LostValues.RequireKept(record, record.Get(rotation.Number));
            var replaced = record.Current!;
            record.Apply(VersionMoves.Finish(Now, record.Facts, grace));
            record.Rotation = null;
            var finished = record.Current!;
            if (finished.IsRollback)
            {
                TellRolledBack(edit, replaced, finished);
            }
            else
            {
                if (revokes && replaced is { HasKeyToRevoke: false, Revoked: null })
                {
                    replaced.Key = ProviderKey.Of(rotation.Rotator, record.Policy, replaced.Key?.Token, replaced.Key?.Id);
                }

                edit.Tell(LedgerKind.Rotated, rotation.Number, rotation.Rotator, graceEnds: replaced.GraceEnds);
            }

            if (replaced.State == SecretVersionState.Retired)
            {
                edit.Tell(LedgerKind.Retired, replaced.Number, replaced.Key?.RevokeBy);
            }

            return new RotatedSecret(name, rotation.Number, replaced.Number, VersionMoves.Later(Now, grace), [], edit.Absorbed);
        },
        CancellationToken.None);

    /// <summary>Gives the rotation up that is under way; its version is retired.</summary>
    /// <param name="name">The name under which the store has the secret.</param>
    /// <param name="token">The rotation.</param>
    /// <param name="mayFind">Whether its rotator finds by the token what it made and nobody has the value of.</param>
    /// <param name="notPutBack">Why the current value could not be put back where it is used; null where it was.</param>
    /// <param name="cancellationToken">Ends the wait for another writer.</param>
    internal async ValueTask AbandonAsync(
        string name, string token, bool mayFind, string? notPutBack, CancellationToken cancellationToken)
    {
        await store.ChangeAsync(
            name,
            edit =>
            {
                var (record, rotation) = FindRotation(edit, token);
                record.Apply(VersionMoves.Abandon(record.Facts));
                if (record.Get(rotation.Number) is { } made)
                {
                    made.Value = made.HasKeyToRevoke ? made.Value : null;
                    made.RevokeAfter = null;
                }
                else
                {
                    Insert(record, new VersionRecord
                    {
                        Number = rotation.Number,
                        Id = rotation.Id,
                        State = SecretVersionState.Retired,
                        Created = rotation.Begun,
                        Source = rotation.Rotator,
                    });
                    if (mayFind)
                    {
                        record.NoteLost(rotation, Now);
                    }
                }

                record.Rotation = null;
                if (notPutBack is not null)
                {
                    // its words may name the secret
                    var why = edit.HidesNames ? "" : $": {notPutBack}";
                    edit.Tell(LedgerKind.RotationFailed, record.Current?.Number, rotation.Rotator, $"put back{why}");
                }

                edit.Tell(LedgerKind.RotationAbandoned, rotation.Number, rotation.Rotator);
                return true;
            },
            cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Forgets what can't be read of a secret's rotation; a version that is pending is retired.</summary>
    internal ValueTask<string> ForgetUnreadAsync(string name, CancellationToken cancellationToken) => store.ChangeAsync(
        name,
        edit =>
        {
            var record = edit.Record;
            var what = record.Misread ?? "";
            foreach (var version in record.Versions.Where(version => version.State == SecretVersionState.Pending))
            {
                version.State = SecretVersionState.Retired;
                version.Value = version.HasKeyToRevoke ? version.Value : null;
            }

            record.Unread.Clear();
            record.Misread = null;
            edit.Tell(LedgerKind.RotationAbandoned, version: null, purpose: null, $"a {what} that could not be read");
            return what;
        },
        cancellationToken);

    /// <summary>Writes down how a secret is rotated; null forgets it.</summary>
    internal ValueTask<IReadOnlyList<string>> SetPolicyAsync(string name, RotationPolicy? policy, CancellationToken cancellationToken) => store.ChangeAsync(
        name,
        edit =>
        {
            edit.RequireCurrent();
            var record = edit.Record;
            RequireNone(record);
            record.Policy = policy;
            edit.Tell(LedgerKind.PolicySet, version: null, policy?.Rotator, policy is null ? "no policy any more" : null);
            return edit.Absorbed;
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

    internal static SecretsException NothingUnderWay(string name) =>
        new($"no rotation of '{SecretsException.Show(name)}' is under way", $"begin one: mallku rotate {SecretsException.Show(name)}");

    private static StoredSecret RequireRead(StoredSecret found) => RotationReview.FindMisread(found.Record) is { } fault ? throw fault : found;

    private static void RequireNone(SecretRecord record)
    {
        if (RotationReview.FindMisread(record) is { } fault)
        {
            throw fault;
        }

        if (record.Rotation is { } rotation)
        {
            throw new SecretsException(
                $"a rotation of '{record.Name}' is under way since {rotation.Begun.UtcDateTime:yyyy-MM-dd'T'HH:mm:ss'Z'}, and its next step is '{RotationFormat.ToText(rotation.Step)}'; nothing was changed",
                $"go on with it: mallku rotate {record.Name} --resume, or give it up: mallku rotate {record.Name} --abandon");
        }
    }

    // the one that whoever changes it has seen, and at the step that he has taken
    private static (SecretRecord Record, RotationRecord Rotation) FindRotation(SecretEdit edit, string token, RotationStep? taken = null)
    {
        var name = edit.Record.Name;
        return edit.Record.Rotation is not { } rotation || rotation.Token != token
            ? throw new RotationOvertakenException($"the rotation of '{name}' was ended by another process meanwhile", $"see what happened: mallku history {name}")
            : taken is { } step && rotation.Step != step
            ? throw new RotationOvertakenException(
                $"another process has gone on with the rotation of '{name}', whose next step is '{RotationFormat.ToText(rotation.Step)}' now", $"see what happens: mallku list, or mallku history {name}")
            : (edit.Record, rotation);
    }

    private static void Insert(SecretRecord record, VersionRecord version)
    {
        var place = record.Versions.FindIndex(other => other.Number > version.Number);
        record.Versions.Insert(place < 0 ? record.Versions.Count : place, version);
    }
}
