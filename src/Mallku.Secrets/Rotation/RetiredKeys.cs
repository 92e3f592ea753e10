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

    /// <summary>Records that a key was revoked: the value is of no use, whichever version has it, and dropped.</summary>
    /// <param name="name">The name under which the store has the secret.</param>
    /// <param name="number">The version.</param>
    internal async ValueTask RecordRevokedAsync(string name, int number)
    {
        await store.ChangeAsync(
            name,
            edit =>
            {
                var record = edit.Record;
                var version = record.Get(number);
                edit.Tell(LedgerKind.Revoked, number, version?.Key?.RevokeBy, version is { Value: null } ? "without its value" : null);

                // where somebody has set the value again meanwhile, the key is that version's, which is in use
                if (version?.Key is { } key)
                {
                    foreach (var same in record.Drop(version, Now))
                    {
                        same.Revoked = Now;
                    }

                    version.Key = key with { RevokeBy = null };
                }

                return true;
            },
            CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>Records of another secret that a key was revoked that versions of it have which are not in use.</summary>
    /// <param name="name">The name under which the store has that secret.</param>
    /// <param name="revoked">The version whose key it was.</param>
    internal async ValueTask DropAsync(string name, VersionRecord revoked)
    {
        await store.ChangeAsync(
            name,
            edit =>
            {
                foreach (var version in edit.Record.Versions.Where(version => !version.IsLive(Now) && version.HasValueOf(revoked)).ToList())
                {
                    edit.Tell(LedgerKind.Revoked, version.Number, revoked.Key?.RevokeBy, "with another secret");
                    foreach (var dropped in edit.Record.Drop(version, Now))
                    {
                        (dropped.Revoked, dropped.Key) = (Now, dropped.Key is { } key ? key with { RevokeBy = null } : null);
                    }
                }

                return true;
            },
            CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>Records that a key could not be revoked.</summary>
    internal async ValueTask RecordFailureAsync(string name, int number)
    {
        await store.ChangeAsync(
            name,
            edit =>
            {
                var record = edit.Record;
                edit.Tell(LedgerKind.RotationFailed, number, record.Get(number)?.Key?.RevokeBy, "revoke");
                return true;
            },
            CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>
    /// Leaves keys alone that are still to be revoked: somebody has done it otherwise, or they are to stay. A value that could
    /// not come back by then can't afterwards, since nobody can tell whether it works.
    /// </summary>
    internal ValueTask<int> GiveUpAsync(string name, CancellationToken cancellationToken) => store.ChangeAsync(
        name,
        edit =>
        {
            var record = edit.Record;
            var left = record.Versions.FindAll(version => version.HasKeyToRevoke && !version.IsLive(Now));
            if (left.Count == 0)
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

            return left.Count;
        },
        cancellationToken);
}
