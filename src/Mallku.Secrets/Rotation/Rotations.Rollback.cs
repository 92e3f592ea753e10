using Mallku.Secrets.Ledger;
using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Rotation;

/// <summary>The same of rollbacks.</summary>
internal sealed partial class Rotations
{
    /// <summary>
    /// Writes down that the value of an earlier version is to come back, as a rotation whose next step is to put it where it is
    /// used. Its key stays that version's until then.
    /// </summary>
    /// <param name="name">The name under which the store has the secret.</param>
    /// <param name="wanted">The earlier version.</param>
    /// <param name="rotator">Who puts it where it is used.</param>
    /// <param name="grace">How long the version that is current may still be used; null for what the policy says.</param>
    /// <param name="cancellationToken">Ends the wait for another writer.</param>
    internal ValueTask<IReadOnlyList<string>> BeginRollbackAsync(
        string name, int wanted, string rotator, TimeSpan? grace, CancellationToken cancellationToken) => store.ChangeAsync(
        name,
        edit =>
        {
            var (record, current) = (edit.Record, edit.RequireCurrent());
            RequireNone(record);
            var version = new VersionRecord
            {
                Number = record.Next++,
                Id = VersionRecord.NewId(),
                State = SecretVersionState.Pending,
                Created = Now,
                Source = VersionSources.Rollback,
                Value = edit.Own(EarlierVersion.Find(record, wanted, Now).Value!.Value.ToArray()),
            };
            record.Versions.Add(version);
            record.Rotation = new RotationRecord
            {
                Token = VersionRecord.NewId(),
                Rotator = rotator,
                Number = version.Number,
                Id = version.Id,
                From = current.Id,
                Begun = Now,
                Step = RotationStep.Set,
                Grace = grace,
            };
            edit.Tell(LedgerKind.RotationBegun, version.Number, rotator, $"to the value of version {wanted}");
            return edit.Absorbed;
        },
        cancellationToken);

    /// <summary>Makes the value of an earlier version the current one again, as a new version.</summary>
    /// <param name="name">The name under which the store has the secret.</param>
    /// <param name="wanted">The earlier version.</param>
    /// <param name="grace">How long the version that was current may still be used.</param>
    /// <param name="cancellationToken">Ends the wait for another writer.</param>
    internal ValueTask<RolledBack> RollBackAsync(string name, int wanted, TimeSpan grace, CancellationToken cancellationToken) => store.ChangeAsync(
        name,
        edit =>
        {
            var (record, replaced) = (edit.Record, edit.RequireCurrent());
            RequireNone(record);
            var target = EarlierVersion.Find(record, wanted, Now);
            var added = record.Add(edit.Own(target.Value!.Value.ToArray()), VersionRecord.NewId(), Now, VersionSources.Rollback, grace);
            TellRolledBack(edit, replaced, added);
            return new RolledBack(name, added.Number, wanted, replaced.Number, replaced.GraceEnds, edit.Absorbed);
        },
        cancellationToken);

    private static void TellRolledBack(SecretEdit edit, VersionRecord replaced, VersionRecord current)
    {
        var record = edit.Record;
        record.TakeOverKey(current);
        var restored = record.Versions.FindLast(version => version != current && version.HasValueOf(current));
        if (restored is not null)
        {
            (restored.State, restored.GraceEnds) = (SecretVersionState.Retired, null);
        }

        if (replaced.GraceEnds is null)
        {
            // somebody has said that it is not to be used any more
            (replaced.State, replaced.RevokeAfter) = (SecretVersionState.Retired, null);
        }

        edit.Tell(LedgerKind.RolledBack, current.Number, edit.Purpose, restored is null ? null : $"to the value of version {restored.Number}", graceEnds: replaced.GraceEnds);
    }
}
