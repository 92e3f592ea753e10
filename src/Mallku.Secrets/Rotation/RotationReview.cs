using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Rotation;

/// <summary>Where a secret stands between two rotations, from what the vault has and the time alone.</summary>
internal static class RotationReview
{
    /// <summary>Whether there is something to say of it: of what was removed, only what is still to be done.</summary>
    internal static bool IsOfInterest(SecretRecord record) =>
        record.Current is not null || record.Rotation is not null || record.Misread is not null || record.Lost.Count > 0 || record.Versions.Exists(static version => version.HasKeyToRevoke);

    /// <summary>Where every secret of a place stands, in the order of their names.</summary>
    /// <param name="place">Where they are.</param>
    /// <param name="faults">Told of each that can't be used, and goes on with the others; null to end at the first.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="SecretsException">It can't be told.</exception>
    internal static async ValueTask<IReadOnlyList<RotationStatus>> ReadAsync(ISecretStore place, Action<SecretsException>? faults, CancellationToken cancellationToken)
    {
        var now = place.Clock.GetUtcNow();
        var statuses = new List<RotationStatus>();
        await foreach (var secret in place.ReadAllAsync(faults, cancellationToken).ConfigureAwait(false))
        {
            if (IsOfInterest(secret.Record))
            {
                statuses.Add(Describe(secret.Record, now));
            }
        }

        statuses.Sort(static (one, other) => string.CompareOrdinal(one.Name, other.Name));
        return statuses;
    }

    internal static RotationStatus Describe(SecretRecord record, DateTimeOffset now)
    {
        var fault = FindMisread(record) ?? FindScheduleFault(record, now);
        var due = fault is null && record.Current is { } current ? RotationSchedule.GetDue(current.Created, record.Policy) : null;
        return new RotationStatus(
            record.Name,
            RotationSchedule.Judge(now, due),
            due,
            record.Versions.Count == 1 && record.Current is not null,
            record.Rotation?.Number,
            record.Rotation is { } rotation ? RotationFormat.ToText(rotation.Step) : null,
            record.Rotation?.Failure,
            [.. record.Versions.Where(version => version.IsSpent(now)).Select(static version => version.Number)],
            record.Policy)
        {
            Fault = fault,
            Unanswered = [.. record.Lost.Select(static lost => lost.Number).Distinct()],
            Dead = record.Current is { Revoked: not null, Number: var number } ? number : null,
            IsNeverReplacedForLong = record is { Policy: null, Current: { } only, Versions.Count: 1 } && now - only.Created > TimeSpan.FromDays(RotationStatus.LongDays),
        };
    }

    /// <summary>What to say where the vault's words on a secret's rotation are not of its format; null where they are.</summary>
    internal static SecretsException? FindMisread(SecretRecord record) => record.Misread is not { } member ? null : new(
        $"the '{member}' that the vault has of '{SecretsException.Show(record.Name)}' can't be read: another program wrote it",
        $"forget it: mallku rotate {SecretsException.Show(record.Name)} --abandon, and say anew how it is rotated");

    /// <summary>What to say where a version that is in use has the value of a key that was revoked.</summary>
    internal static SecretsException RevokedInUse(string name, int version) => new(
        $"version {version} of '{SecretsException.Show(name)}' is in use and does not work: it has the value of a key that was revoked when it was set, or before",
        $"set another value: mallku set {SecretsException.Show(name)}, or go back to one that works: mallku rollback {SecretsException.Show(name)}");

    private static SecretsException? FindScheduleFault(SecretRecord record, DateTimeOffset now)
    {
        try
        {
            if (record.Policy is { } policy)
            {
                RotationSchedule.Require(policy, now);
            }

            return null;
        }
        catch (SecretsException e)
        {
            return new SecretsException($"it is not known when '{SecretsException.Show(record.Name)}' is to be rotated: {e.Problem}", e.Remedy, e);
        }
    }
}
