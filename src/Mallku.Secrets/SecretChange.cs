namespace Mallku.Secrets;

/// <summary>How a value is set.</summary>
public sealed record SetOptions
{
    /// <summary>Lets the value be empty, which is refused otherwise.</summary>
    public bool AllowEmpty { get; init; }

    /// <summary>Who or what writes it, as history shows it: <c>set</c> by default.</summary>
    public string Source { get; init; } = "set";

    /// <summary>
    /// How long the version that was current may still be used, as <see cref="SecretsManager.FindLiveAsync"/> does; from
    /// zero, which is the default, to a year. Who sets a value says that this is the one: falling back to another would
    /// hide that it does not work.
    /// </summary>
    public TimeSpan Grace { get; init; }

    /// <summary>Where it is written. Null: to where the secret lives now, and a new one to the shared store where there is one, else to the vault.</summary>
    public SecretPlace? Into { get; init; }
}

/// <summary>Where a secret can be written.</summary>
public enum SecretPlace
{
    /// <summary>The encrypted vault in a folder.</summary>
    Vault,

    /// <summary>The shared store.</summary>
    Store,
}

/// <summary>What a change did. It is durable. Immutable.</summary>
/// <param name="Name">The name under which the secret is stored, which differs from the given one after a loose match.</param>
/// <param name="Version">The number of the version that was written, or that was current when the secret was removed.</param>
/// <param name="Store">The store that was written, such as <c>vault</c>.</param>
/// <param name="Created">Whether the name was new.</param>
/// <param name="Absorbed">Names of the <c>.secret</c> files that were taken into the vault and then removed.</param>
public sealed record SecretChange(string Name, int Version, string Store, bool Created, IReadOnlyList<string> Absorbed);

/// <summary>The versions of a secret, without values. Immutable.</summary>
/// <param name="Name">The name.</param>
/// <param name="Removed">When it was removed, or null while it exists.</param>
/// <param name="Versions">The kept versions, the newest first.</param>
public sealed record SecretHistory(string Name, DateTimeOffset? Removed, IReadOnlyList<SecretVersion> Versions);

/// <summary>How often a secret was handed out by this process. Immutable.</summary>
/// <param name="Name">The name under which the source has it.</param>
/// <param name="Source">The source.</param>
/// <param name="Version">The version, where the source has versions.</param>
/// <param name="Count">How often.</param>
/// <param name="LastAccess">When it was handed out last, in UTC, as coarse as the system's tick (some milliseconds).</param>
public sealed record SecretAccess(string Name, string Source, int? Version, long Count, DateTimeOffset LastAccess);
