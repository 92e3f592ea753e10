namespace Mallku.Secrets.Storage;

/// <summary>
/// The key at a provider that a version's value is: how it is found there, and by whom it is revoked. It belongs to the
/// newest version that has the value. Immutable.
/// </summary>
internal sealed record ProviderKey
{
    /// <summary>The rotation that made it, as the key carries it in its name.</summary>
    internal string? Token { get; init; }

    /// <summary>What the provider calls it.</summary>
    internal string? Id { get; init; }

    /// <summary>The rotator that is to revoke it once the version is not used any more; null where nobody does.</summary>
    internal string? RevokeBy { get; init; }

    /// <summary>For that rotator: the account or project at the provider.</summary>
    internal string? Account { get; init; }

    /// <summary>For that rotator: the program and its arguments.</summary>
    internal IReadOnlyList<string> Command { get; init; } = [];

    /// <summary>A key that a rotator makes, or takes charge of, with what it was told of the provider.</summary>
    internal static ProviderKey Of(string rotator, RotationPolicy? policy, string? token = null, string? id = null) => new()
    {
        Token = token,
        Id = id,
        RevokeBy = rotator,
        Account = policy?.Account,
        Command = rotator == policy?.Rotator ? policy.Command : [],
    };
}
