namespace Mallku.Secrets.Rotation;

/// <summary>What a rotation did. It is durable. Immutable.</summary>
/// <param name="Name">The name under which the secret is stored.</param>
/// <param name="Version">The version that is current now.</param>
/// <param name="Replaced">The version that was.</param>
/// <param name="GraceEnds">Until when that one may still be used.</param>
/// <param name="Settled">What was done with versions whose grace is over.</param>
/// <param name="Absorbed">Names of the <c>.secret</c> files that were taken into the vault and then removed.</param>
public sealed record RotatedSecret(
    string Name, int Version, int Replaced, DateTimeOffset GraceEnds, IReadOnlyList<RotationEvent> Settled, IReadOnlyList<string> Absorbed);

/// <summary>What a rollback did. It is durable. Immutable.</summary>
/// <param name="Name">The name under which the secret is stored.</param>
/// <param name="Version">The version that is current now.</param>
/// <param name="Restored">The version whose value it has.</param>
/// <param name="Replaced">The version that was current.</param>
/// <param name="GraceEnds">Until when that one may still be used; null where it may not.</param>
/// <param name="Absorbed">Names of the <c>.secret</c> files that were taken into the vault and then removed.</param>
public sealed record RolledBack(
    string Name, int Version, int Restored, int Replaced, DateTimeOffset? GraceEnds, IReadOnlyList<string> Absorbed);

/// <summary>What was done with one secret.</summary>
public enum RotationAction
{
    /// <summary>A new version is current.</summary>
    Rotated,

    /// <summary>The grace of a version is over.</summary>
    Retired,

    /// <summary>The key of a version was revoked at its provider.</summary>
    Revoked,

    /// <summary>Something failed, and is tried again the next time.</summary>
    Failed,

    /// <summary>It is to be rotated, and a person has to do it.</summary>
    NeedsPerson,

    /// <summary>A rotation was given up, and the current value could not be put back where it is used besides the vault.</summary>
    NotPutBack,

    /// <summary>The revoking of a version's key was given up: the key stays live, unless somebody has revoked it otherwise.</summary>
    KeyLeft,
}

/// <summary>Something that was done with one secret, or could not be. Immutable.</summary>
/// <param name="Name">The secret.</param>
/// <param name="Action">What.</param>
/// <param name="Version">Which version.</param>
/// <param name="Tell">Who is to be told, as the policy says it.</param>
/// <param name="Error">Why it could not be done.</param>
public sealed record RotationEvent(string Name, RotationAction Action, int? Version, string? Tell = null, SecretsException? Error = null);

/// <summary>Where a secret stands between two rotations. Immutable.</summary>
/// <param name="Name">The secret.</param>
/// <param name="Need">Whether it is to be rotated.</param>
/// <param name="Due">When; null where nobody has said.</param>
/// <param name="IsNeverReplaced">Whether its value is the first that it ever had.</param>
/// <param name="Pending">The version that a rotation under way is making, or null.</param>
/// <param name="PendingStep">What that rotation does next: <c>create</c>, <c>set</c>, <c>test</c> or <c>finish</c>.</param>
/// <param name="Failure">Why that step failed the last time.</param>
/// <param name="Unrevoked">Versions that are not used any more and whose keys are still to be revoked.</param>
/// <param name="Policy">How it is rotated; null where nobody has said.</param>
public sealed record RotationStatus(
    string Name,
    RotationNeed Need,
    DateTimeOffset? Due,
    bool IsNeverReplaced,
    int? Pending,
    string? PendingStep,
    string? Failure,
    IReadOnlyList<int> Unrevoked,
    RotationPolicy? Policy)
{
    internal const int LongDays = 90;

    /// <summary>Why it is not known how or when it is to be rotated, where the vault has words that say neither; else null.</summary>
    public SecretsException? Fault { get; init; }

    /// <summary>
    /// Versions whose key was asked for, and whose answer was lost: it may appear at the provider yet, and is looked for until it
    /// can't any more.
    /// </summary>
    public IReadOnlyList<int> Unanswered { get; init; } = [];

    /// <summary>The current version, where its value is of no use since its key was revoked while somebody set it; else null.</summary>
    public int? Dead { get; init; }

    /// <summary>Whether nobody has said when it is to be rotated, and it never was, for long.</summary>
    internal bool IsNeverReplacedForLong { get; init; }
}
