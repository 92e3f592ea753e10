namespace Mallku.Secrets;

/// <summary>Where a version stands in the life of its secret.</summary>
public enum SecretVersionState
{
    /// <summary>Made by a rotation that is not finished; not handed out.</summary>
    Pending,

    /// <summary>The one that is handed out.</summary>
    Current,

    /// <summary>One before the current; still in use where it has a grace.</summary>
    Previous,

    /// <summary>Older than that; kept for its history until it is pruned.</summary>
    Retired,
}

/// <summary>The facts of one version of a secret, without its value. Immutable.</summary>
/// <param name="Number">From 1 up; never used again for the same name, also not after a removal.</param>
/// <param name="Id">32 hexadecimal digits that name this version for good.</param>
/// <param name="State">Where it stands.</param>
/// <param name="Created">When it was written, in UTC; for a change from outside, when the file says so.</param>
/// <param name="Source">Who wrote it: <c>set</c>, <c>generate</c>, <c>import</c>, or <c>external</c> for another program.</param>
public sealed record SecretVersion(int Number, string Id, SecretVersionState State, DateTimeOffset Created, string Source)
{
    /// <summary>
    /// Until when a previous version may still be used, in UTC; null where it may not, and in every other state. Then it is
    /// retired, whether or not somebody has recorded that yet.
    /// </summary>
    public DateTimeOffset? GraceEnds { get; init; }
}

/// <summary>What a list shows of a secret. Immutable.</summary>
/// <param name="Name">The name.</param>
/// <param name="Source">The source whose value wins, such as <c>environment</c> or <c>vault</c>.</param>
/// <param name="Version">The number of the version that wins, or null where the source has no versions.</param>
/// <param name="Created">When that version was written, in UTC, or null where the source does not know.</param>
/// <param name="Shadowed">The sources that also have it and are not asked, because an earlier one wins.</param>
public sealed record SecretFacts(
    string Name, string Source, int? Version, DateTimeOffset? Created, IReadOnlyList<string> Shadowed);

/// <summary>A secret as it was found. Immutable; safe for concurrent use.</summary>
/// <param name="Name">The name under which the source has it, which differs from the asked one after a loose match.</param>
/// <param name="Value">The value, borrowed from its owner: disposing it does nothing.</param>
/// <param name="Source">The source that has it, such as <c>environment</c> or <c>vault</c>.</param>
/// <param name="Version">The number of the version, or null where the source has no versions.</param>
/// <param name="Created">When that version was written, in UTC, or null where the source does not know.</param>
public sealed record FoundSecret(string Name, SecretValue Value, string Source, int? Version, DateTimeOffset? Created);
