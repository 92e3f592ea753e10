namespace Mallku.Secrets.Storage;

/// <summary>
/// A key that was asked for, and whose answer nobody has: its provider may have it, or may make it yet. It is looked for until
/// a look that began after any request has ended.
/// </summary>
internal sealed class LostKey
{
    /// <summary>Longer than any request for a key goes on at a provider after whoever sent it has given it up.</summary>
    internal static readonly TimeSpan Longest = TimeSpan.FromMinutes(10);

    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMinutes(1);

    /// <summary>The number of the version that it would have been.</summary>
    internal required int Number { get; init; }

    /// <summary>The id of that version.</summary>
    internal required string Id { get; init; }

    /// <summary>The token that it carries, and who looks for it.</summary>
    internal required ProviderKey Key { get; init; }

    /// <summary>When it was asked for at the latest.</summary>
    internal required DateTimeOffset Asked { get; set; }

    /// <summary>When the last look began that deleted what there was.</summary>
    internal DateTimeOffset? Looked { get; set; }

    /// <summary>Members that this version of the program does not know, to be written back as they are.</summary>
    internal List<RawMember> Others { get; init; } = [];

    /// <summary>Whether it is time for a look.</summary>
    internal bool IsToBeSought(DateTimeOffset now) => Looked is not { } looked || now >= VersionMoves.Later(looked, BetweenLooks);

    /// <summary>Whether nothing appears any more after a look that begins then.</summary>
    internal bool IsGoneAfter(DateTimeOffset look) => look >= VersionMoves.Later(Asked, Longest);
}
