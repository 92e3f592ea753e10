namespace Mallku.Secrets.Storage;

/// <summary>
/// How the versions of a secret move between their states, as pure functions of the time and of what there is: the oldest
/// version first, in and out. Numbers only grow, at most one version is pending, and where there is a value one is current.
/// </summary>
internal static class VersionMoves
{
    internal static readonly TimeSpan LongestGrace = TimeSpan.FromDays(366);

    /// <summary>So long after a time, or the last one that there is.</summary>
    internal static DateTimeOffset Later(DateTimeOffset time, TimeSpan span) =>
        time > DateTimeOffset.MaxValue - span ? DateTimeOffset.MaxValue : time + span;

    /// <summary>Where each version stands now: a previous one whose grace is over is retired, also where nobody has recorded that.</summary>
    internal static IReadOnlyList<SecretVersion> At(DateTimeOffset now, IReadOnlyList<SecretVersion> versions) =>
        [.. versions.Select(version => version.GraceEnds <= now ? version with { State = SecretVersionState.Retired, GraceEnds = null } : version)];

    /// <summary>The current version, then those before it that are within their grace, the newest first.</summary>
    internal static IEnumerable<SecretVersion> Live(DateTimeOffset now, IReadOnlyList<SecretVersion> versions) =>
        versions.Where(version => version.State == SecretVersionState.Current)
            .Concat(versions.Reverse().Where(version => version.State == SecretVersionState.Previous && version.GraceEnds > now));

    /// <summary>A new version is the current one at once; the one that was becomes previous.</summary>
    internal static IReadOnlyList<SecretVersion> Add(DateTimeOffset now, IReadOnlyList<SecretVersion> versions, SecretVersion added, TimeSpan grace) =>
        [.. Replace(now, versions, grace > TimeSpan.Zero ? Later(now, grace) : null), added with { State = SecretVersionState.Current }];

    /// <summary>The pending version becomes the current one; the one that was becomes previous, or retired where it gets no grace.</summary>
    /// <exception cref="InvalidOperationException">None is pending, or a newer one is current.</exception>
    internal static IReadOnlyList<SecretVersion> Finish(DateTimeOffset now, IReadOnlyList<SecretVersion> versions, TimeSpan grace)
    {
        var pending = versions.Single(version => version.State == SecretVersionState.Pending);
        return versions.Any(version => version.State == SecretVersionState.Current && version.Number > pending.Number)
            ? throw new InvalidOperationException($"Version {pending.Number} is older than the current one.")
            : [.. At(now, Replace(now, versions, Later(now, grace))).Select(version => version.State == SecretVersionState.Pending ? version with { State = SecretVersionState.Current } : version)];
    }

    /// <summary>The pending version, if there is one, is given up.</summary>
    internal static IReadOnlyList<SecretVersion> Abandon(IReadOnlyList<SecretVersion> versions) =>
        [.. versions.Select(version => version.State == SecretVersionState.Pending ? version with { State = SecretVersionState.Retired } : version)];

    // A previous version without a grace was only the one before the current, and gives way to that.
    private static IReadOnlyList<SecretVersion> Replace(DateTimeOffset now, IReadOnlyList<SecretVersion> versions, DateTimeOffset? graceEnds) =>
    [
        .. At(now, versions).Select(version => version switch
        {
            { State: SecretVersionState.Current } => version with { State = SecretVersionState.Previous, GraceEnds = graceEnds },
            { State: SecretVersionState.Previous, GraceEnds: null } => version with { State = SecretVersionState.Retired },
            _ => version,
        }),
    ];
}
