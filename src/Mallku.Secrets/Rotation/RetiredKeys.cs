using Mallku.Secrets.Ledger;
using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Rotation;

/// <summary>
/// What a store records of versions that go out of use, and of their keys. Each change is one write, durable when it
/// returns, and in the ledger.
/// </summary>
internal sealed class RetiredKeys(ISecretStore store)
{
    private DateTimeOffset Now => store.Clock.GetUtcNow();

    /// <summary>Whether a version is to be retired: its grace is over, or nobody brought it back in time.</summary>
    internal static bool IsOver(VersionRecord version, DateTimeOffset now) =>
        version.State == SecretVersionState.Previous && (version.GraceEnds <= now || version.IsSpent(now));

    /// <summary>Records that the grace of versions is over.</summary>
    internal ValueTask<IReadOnlyList<int>> RetireAsync(string name, CancellationToken cancellationToken) => store.ChangeAsync<IReadOnlyList<int>>(
        name,
        edit =>
        {
            var record = edit.Record;
            var over = record.Versions.FindAll(version => IsOver(version, Now));
            foreach (var version in over)
            {
                (version.State, version.GraceEnds) = (SecretVersionState.Retired, null);
                edit.Tell(LedgerKind.Retired, version.Number, version.Key?.RevokeBy);
            }

            return over.ConvertAll(static version => version.Number);
        },
        cancellationToken);

    /// <summary>Records that a key was revoked: the value is of no use, whichever version has it, and dropped where that is not in use.</summary>
    /// <param name="name">The name under which the store has the secret.</param>
    /// <param name="revoked">The version whose key it was.</param>
    /// <returns>The version in use that has the value, since somebody has set it again meanwhile; null where none has.</returns>
    internal ValueTask<int?> RecordRevokedAsync(string name, VersionRecord revoked) => store.ChangeAsync(
        name,
        edit =>
        {
            var record = edit.Record;
            var version = record.Get(revoked.Number);
            edit.Tell(LedgerKind.Revoked, revoked.Number, revoked.Key?.RevokeBy, revoked.Value is null ? "without its value" : null);
            if (version is not null)
            {
                foreach (var same in record.Drop(version, Now))
                {
                    same.Revoked = Now;
                }

                version.Key = version.Key is { } key ? key with { RevokeBy = null } : null;
            }

            return NoteDead(record, revoked);
        },
        CancellationToken.None);

    /// <summary>Records of another secret that a key was revoked that versions of it have which are not in use.</summary>
    /// <param name="name">The name under which the store has that secret.</param>
    /// <param name="revoked">The version whose key it was.</param>
    /// <returns>The version of it that is in use and has the value, since somebody has set it meanwhile; null where none has.</returns>
    internal ValueTask<int?> DropAsync(string name, VersionRecord revoked) => store.ChangeAsync(
        name,
        edit =>
        {
            foreach (var version in edit.Record.Versions.Where(version => version.HasValueOf(revoked)).ToList())
            {
                edit.Tell(LedgerKind.Revoked, version.Number, revoked.Key?.RevokeBy, "with another secret");
                if (!version.IsLive(Now))
                {
                    foreach (var dropped in edit.Record.Drop(version, Now))
                    {
                        (dropped.Revoked, dropped.Key) = (Now, dropped.Key is { } key ? key with { RevokeBy = null } : null);
                    }
                }
            }

            return NoteDead(edit.Record, revoked);
        },
        CancellationToken.None);

    // it stays what it is, since nothing else is known to work, and is shown until it is replaced
    private int? NoteDead(SecretRecord record, VersionRecord revoked)
    {
        int? newest = null;
        foreach (var dead in record.Versions.Where(version => version.IsLive(Now) && version.HasValueOf(revoked)))
        {
            (dead.Revoked, dead.Key, newest) = (Now, null, dead.Number);
        }

        return newest;
    }

    /// <summary>Records that a key could not be revoked.</summary>
    internal async ValueTask RecordFailureAsync(string name, int number)
    {
        await store.ChangeAsync(
            name,
            edit =>
            {
                var record = edit.Record;
                var version = record.Get(number);
                edit.Tell(LedgerKind.RotationFailed, number, version?.Key?.RevokeBy, "revoke");
                version?.Revoking = null;
                return true;
            },
            CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>
    /// Leaves keys alone that are still to be revoked: somebody has done it otherwise, or they are to stay. A value that could
    /// not come back by then can't afterwards, since nobody can tell whether it works.
    /// </summary>
    /// <returns>Of which versions the keys stay.</returns>
    internal ValueTask<IReadOnlyList<RotationEvent>> GiveUpAsync(string name, CancellationToken cancellationToken) => store.ChangeAsync<IReadOnlyList<RotationEvent>>(
        name,
        edit =>
        {
            var record = edit.Record;
            var left = record.Versions.FindAll(version => version.HasKeyToRevoke && !version.IsLive(Now));
            if (left.Count == 0 && record.Lost.Count == 0)
            {
                throw Rotations.NothingUnderWay(name);
            }

            foreach (var version in left)
            {
                edit.Tell(LedgerKind.RotationFailed, version.Number, version.Key!.RevokeBy, "revoke, given up");
                if (version.IsSpent(Now))
                {
                    record.Drop(version, Now);
                }

                (version.Key, version.RevokeAfter, version.Digest) = (null, null, null);
            }

            foreach (var lost in record.Lost)
            {
                edit.Tell(LedgerKind.RotationFailed, lost.Number, lost.Key.RevokeBy, "discard, given up");
            }

            int[] numbers = [.. left.Select(static version => version.Number).Concat(record.Lost.Select(static lost => lost.Number)).Distinct().Order()];
            record.Lost.Clear();
            return [.. numbers.Select(number => new RotationEvent(name, RotationAction.KeyLeft, number, record.Policy?.Tell))];
        },
        cancellationToken);

    /// <summary>
    /// Says that a key is about to be revoked, before anybody is asked to: from then on the secret can't be set to the value
    /// again, since nobody can tell whether it works.
    /// </summary>
    /// <exception cref="SecretsException">It is in use, or not to be revoked any more.</exception>
    internal async ValueTask BeginRevokingAsync(string name, int number)
    {
        await store.ChangeAsync(
            name,
            edit =>
            {
                var (record, version) = (edit.Record, edit.Record.Get(number));
                if (version is not { State: SecretVersionState.Retired } || !version.IsSpent(Now) || record.FindInUse(version, Now) is not null)
                {
                    throw new SecretsException($"version {number} of '{name}' is not revoked: the secret was changed a moment ago", "try again: mallku rotate --due");
                }

                version.Revoking = Now;
                edit.Tell(LedgerKind.RotationStep, number, version.Key!.RevokeBy, Rotations.Begun("revoke"));
                return true;
            },
            CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>Says that a key is looked for that was asked for and never came.</summary>
    internal ValueTask BeginLookAsync(string name, LostKey lost) => TellLookAsync(name, lost, LedgerKind.RotationStep, Rotations.Begun("discard"), static (_, _) => { });

    /// <summary>Records that it could not be looked for.</summary>
    internal ValueTask RecordFailureAsync(string name, LostKey lost) => TellLookAsync(name, lost, LedgerKind.RotationFailed, "discard", static (_, _) => { });

    /// <summary>Records that what carried its token was deleted; nothing appears any more where the look began late enough.</summary>
    internal ValueTask RecordLookAsync(string name, LostKey lost, DateTimeOffset began) => TellLookAsync(name, lost, LedgerKind.RotationStep, "discard", (record, known) =>
    {
        known.Looked = began;
        if (known.IsGoneAfter(began))
        {
            record.Lost.Remove(known);
        }
    });

    private async ValueTask TellLookAsync(string name, LostKey lost, LedgerKind kind, string note, Action<SecretRecord, LostKey> change)
    {
        await store.ChangeAsync(
            name,
            edit =>
            {
                edit.Tell(kind, lost.Number, lost.Key.RevokeBy, note);

                // a person may have given it up meanwhile
                if (edit.Record.Lost.Find(known => known.Key.Token == lost.Key.Token) is { } known)
                {
                    change(edit.Record, known);
                }

                return true;
            },
            CancellationToken.None).ConfigureAwait(false);
    }
}
