namespace Mallku.Secrets.Storage;

/// <summary>What a rotation does next.</summary>
internal enum RotationStep
{
    /// <summary>The provider makes the new key. Where this was tried, there may be one whose value nobody has seen.</summary>
    Create,

    /// <summary>The new value is put where it is used.</summary>
    Set,

    /// <summary>The new value is tried.</summary>
    Test,

    /// <summary>The new version becomes the current one.</summary>
    Finish,
}

/// <summary>A rotation that is under way.</summary>
internal sealed class RotationRecord
{
    /// <summary>
    /// Names the rotation for the provider, so that a key is found again whose value was never seen. Another one for each time that
    /// a key is asked for: so one that comes late is told from the one that is in use.
    /// </summary>
    internal required string Token { get; set; }

    internal required string Rotator { get; init; }

    /// <summary>The number that its version has or will have.</summary>
    internal required int Number { get; init; }

    /// <summary>The id that its version has or will have.</summary>
    internal required string Id { get; init; }

    /// <summary>The id of the version that it replaces.</summary>
    internal required string From { get; init; }

    internal required DateTimeOffset Begun { get; init; }

    internal RotationStep Step { get; set; }

    /// <summary>How long the version that it replaces may still be used; null for what the policy says.</summary>
    internal TimeSpan? Grace { get; init; }

    /// <summary>Why the step failed when it was tried last.</summary>
    internal string? Failure { get; set; }

    /// <summary>Members that this version of the program does not know, to be written back as they are.</summary>
    internal List<RawMember> Others { get; init; } = [];
}
