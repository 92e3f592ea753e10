namespace Mallku.Secrets;

/// <summary>How and how often a secret is rotated; kept with it in the vault. Immutable.</summary>
public sealed record RotationPolicy
{
    /// <summary>How long a version is kept in use beside the one that has replaced it, unless somebody says otherwise: a day.</summary>
    public static readonly TimeSpan UsualGrace = TimeSpan.FromDays(1);

    /// <summary>Letters, digits, <c>-</c> and <c>_</c>.</summary>
    public const string UsualAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    /// <summary>The characters of a generated value, without its prefix: with the usual alphabet, 258 bits.</summary>
    public const int UsualLength = 43;

    /// <summary>The name of the rotator that makes new versions, such as <c>generate</c> or <c>command</c>.</summary>
    public required string Rotator { get; init; }

    /// <summary>How old a version becomes before it is to be replaced; null where nobody has said, or <see cref="Cron"/> says it.</summary>
    public TimeSpan? Every { get; init; }

    /// <summary>When a version is to be replaced, as a cron expression of five fields in UTC; null where nobody has said so.</summary>
    public string? Cron { get; init; }

    /// <summary>
    /// How long a version that was replaced may still be used, from zero to 366 days; then it is retired, and its key revoked
    /// at the provider.
    /// </summary>
    public TimeSpan Grace { get; init; } = UsualGrace;

    /// <summary>For the rotator <c>command</c>: the program and its arguments.</summary>
    public IReadOnlyList<string> Command { get; init; } = [];

    /// <summary>For the rotator <c>generate</c>: how many characters, from 8 to 4096.</summary>
    public int Length { get; init; } = UsualLength;

    /// <summary>For the rotator <c>generate</c>: the printable ASCII characters to choose from, at least two.</summary>
    public string Alphabet { get; init; } = UsualAlphabet;

    /// <summary>For the rotator <c>generate</c>: what every value begins with.</summary>
    public string Prefix { get; init; } = "";

    /// <summary>For a rotator that asks a provider: the account or project there in which keys are made.</summary>
    public string? Account { get; init; }

    /// <summary>Who is to be told of what happens, in any words: what reports of rotations say.</summary>
    public string? Tell { get; init; }

    /// <summary>Whether both say the same.</summary>
    public bool Equals(RotationPolicy? other) => other is not null
        && (Rotator, Every, Cron, Grace) == (other.Rotator, other.Every, other.Cron, other.Grace)
        && (Length, Alphabet, Prefix, Account, Tell) == (other.Length, other.Alphabet, other.Prefix, other.Account, other.Tell)
        && Command.SequenceEqual(other.Command, StringComparer.Ordinal);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Rotator, Every, Cron, Grace, Account, Command.Count);
}
