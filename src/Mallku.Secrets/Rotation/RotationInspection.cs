using Mallku.Secrets.Storage;
using Mallku.Secrets.Vault;

namespace Mallku.Secrets.Rotation;

/// <summary>What rotations have left to do, as findings.</summary>
internal static class RotationInspection
{
    private const string Check = "rotation";

    /// <summary>What is to be done, the most pressing first; one finding that all is well where there is nothing.</summary>
    internal static IReadOnlyList<Finding> Inspect(IReadOnlyList<RotationStatus> statuses)
    {
        List<Finding> findings =
        [
            .. statuses.Where(status => status.Dead is not null).Select(Dead),
            .. statuses.Where(status => status.Fault is not null).Select(status => Warn(status.Fault!.Problem, status.Fault.Remedy)),
            .. statuses.Where(status => status.Pending is not null).Select(Pending),
            .. statuses.Where(status => status is { Pending: null, Need: RotationNeed.Overdue or RotationNeed.Due }).Select(Due),
            .. statuses.Where(status => status.Unrevoked.Count > 0).Select(Unrevoked),
            .. statuses.Where(status => status.Unanswered.Count > 0).Select(Unanswered),
        ];
        string[] old = [.. statuses.Where(status => status.IsNeverReplacedForLong).Select(status => SecretsException.Show(status.Name))];
        if (old.Length > 0)
        {
            findings.Add(Warn(
                $"never replaced in more than {RotationStatus.LongDays} days: {string.Join(", ", old)}",
                "replace what may be known to others by now: mallku help rotate"));
        }

        return findings.Count > 0 ? findings : [new Finding(FindingLevel.Ok, Check, "no rotation is due or under way", Remedy: null)];
    }

    private static Finding Pending(RotationStatus status)
    {
        var name = SecretsException.Show(status.Name);
        return Warn(
            $"a rotation of '{name}' is under way, and its next step is '{status.PendingStep}'{(status.Failure is { } failure ? $", which failed: {failure}" : "")}",
            $"go on with it: mallku rotate {name} --resume, or give it up: mallku rotate {name} --abandon");
    }

    private static Finding Due(RotationStatus status)
    {
        var name = SecretsException.Show(status.Name);
        return Warn($"'{name}' is {(status.Need == RotationNeed.Overdue ? "overdue" : "due")} to be rotated", $"rotate it: mallku rotate {name}, or all that is due: mallku rotate --due");
    }

    private static Finding Unrevoked(RotationStatus status)
    {
        var name = SecretsException.Show(status.Name);
        return Warn(
            $"a key of '{name}' that is not used any more is not revoked: version {string.Join(", ", status.Unrevoked)}",
            $"try again: mallku rotate --due, or revoke it at its provider and say so: mallku rotate {name} --abandon");
    }

    private static Finding Unanswered(RotationStatus status)
    {
        var name = SecretsException.Show(status.Name);
        return Warn(
            $"a key of '{name}' was asked for, and its answer was lost: it may appear at its provider yet: version {string.Join(", ", status.Unanswered)}",
            $"let it be looked for: mallku rotate --due, for the last time {LostKey.Longest.TotalMinutes:0} minutes after it was asked for");
    }

    private static Finding Dead(RotationStatus status)
    {
        var fault = RotationReview.RevokedInUse(status.Name, status.Dead!.Value);
        return Warn(fault.Problem, fault.Remedy);
    }

    private static Finding Warn(string what, string remedy) => new(FindingLevel.Warning, Check, what, remedy);
}
