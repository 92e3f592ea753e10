using Cronos;
using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Rotation;

/// <summary>Whether a version is to be replaced.</summary>
public enum RotationNeed
{
    /// <summary>Nobody has said when.</summary>
    Unplanned,

    /// <summary>Not yet.</summary>
    Fresh,

    /// <summary>Now.</summary>
    Due,

    /// <summary>More than a day ago.</summary>
    Overdue,
}

/// <summary>When a version is to be replaced, from its age and the policy alone.</summary>
internal static class RotationSchedule
{
    internal static readonly TimeSpan Shortest = TimeSpan.FromMinutes(1), Longest = TimeSpan.FromDays(3660);
    private static readonly TimeSpan Late = TimeSpan.FromDays(1);

    /// <summary>When a version is to be replaced; null where nobody has said.</summary>
    internal static DateTimeOffset? GetDue(DateTimeOffset created, RotationPolicy? policy) => policy switch
    {
        { Every: { } every } => VersionMoves.Later(created, every),
        { Cron: { } cron } when CronExpression.TryParse(cron, out var expression) => expression.GetNextOccurrence(created, TimeZoneInfo.Utc),
        _ => null,
    };

    internal static RotationNeed Judge(DateTimeOffset now, DateTimeOffset? due) => due switch
    {
        null => RotationNeed.Unplanned,
        { } time when time <= now - Late => RotationNeed.Overdue,
        { } time when time <= now => RotationNeed.Due,
        _ => RotationNeed.Fresh,
    };

    /// <exception cref="SecretsException">It says no time, or several, or a grace that is none.</exception>
    internal static void Require(RotationPolicy policy, DateTimeOffset now)
    {
        RequireGrace(policy.Grace);
        if (policy.Every is { } every && (every < Shortest || every > Longest))
        {
            throw new SecretsException("a secret is rotated every minute at most, and every ten years at least", "write it as: --every 90d");
        }

        if (policy.Every is not null && policy.Cron is not null)
        {
            throw new SecretsException("a secret is rotated every so often or by a cron expression, not both", "leave one of them out");
        }

        if (policy.Cron is { } cron && !CronExpression.TryParse(cron, out _))
        {
            throw new SecretsException("that is no cron expression of five fields", "write it as: --cron '0 3 1 * *', for 03:00 UTC on the first of each month");
        }

        if (policy.Cron is not null && GetDue(now, policy) is null)
        {
            throw new SecretsException("the time of the cron expression never comes", "write it as: --cron '0 3 1 * *', for 03:00 UTC on the first of each month");
        }
    }

    /// <exception cref="SecretsException">It is below zero, or too long.</exception>
    internal static void RequireGrace(TimeSpan grace)
    {
        if (grace < TimeSpan.Zero || grace > VersionMoves.LongestGrace)
        {
            throw new SecretsException($"a grace is from zero to {VersionMoves.LongestGrace.Days} days", "write it as: --grace 24h");
        }
    }
}
