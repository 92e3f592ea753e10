namespace Mallku.Secrets.Rotation;

/// <summary>
/// Makes and revokes the values of secrets in one way, such as a provider's administration API. Every step may be asked for
/// again: after a kill, nobody knows whether it was done. Safe for concurrent use.
/// </summary>
/// <remarks>
/// A step that can't be done throws a <see cref="SecretsException"/>, whose text goes into the vault and the ledger: it holds
/// no value. Any other exception is a failure of the step too, unless the caller has cancelled it; its text goes nowhere.
/// </remarks>
public interface IRotator
{
    /// <summary>What policies call it.</summary>
    string Name { get; }

    /// <summary>Whether it can revoke a key, so that what it made is revoked when it is not used any more.</summary>
    bool CanRevoke { get; }

    /// <summary>Whether a person must be there, so that no timer can run it.</summary>
    bool NeedsPerson { get; }

    /// <summary>
    /// Throws where a secret can't be rotated so: its policy lacks what this rotator needs, or the secret is none for it; asked
    /// before anything is changed.
    /// </summary>
    /// <param name="current">The version that is to be replaced.</param>
    /// <exception cref="SecretsException">It can't.</exception>
    void Require(RotatedKey current);

    /// <summary>Makes a new key that carries the token in its name, where a provider is to find it again.</summary>
    ValueTask<NewKey> CreateAsync(RotatedKey key, CancellationToken cancellationToken);

    /// <summary>Puts the new value where it is used, besides the vault.</summary>
    ValueTask SetAsync(RotatedKey key, SecretValue value, CancellationToken cancellationToken);

    /// <summary>Tries the new value.</summary>
    /// <exception cref="SecretsException">It does not work.</exception>
    ValueTask TestAsync(RotatedKey key, SecretValue value, CancellationToken cancellationToken);

    /// <summary>
    /// Deletes every key that carries the token, of which nobody has seen the value: its creation was asked for, and the
    /// answer was lost. There may be none.
    /// </summary>
    ValueTask DiscardAsync(RotatedKey key, CancellationToken cancellationToken);

    /// <summary>Revokes a key that is not used any more; one that is gone already is no error.</summary>
    /// <param name="key">Which; with the account and the command that it was made with.</param>
    /// <param name="value">Its value; null where the vault does not have it any more: the key's id or the token is known then.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="SecretsException">
    /// It may be live: it could not be revoked, or not be found by what is known of it. Whoever returns says that it is not.
    /// </exception>
    ValueTask RevokeAsync(RotatedKey key, SecretValue? value, CancellationToken cancellationToken);
}

/// <summary>Which key a step is about. Immutable.</summary>
/// <param name="Secret">The secret's name.</param>
/// <param name="Version">The number of the version.</param>
/// <param name="VersionId">The id of the version.</param>
/// <param name="Token">32 hexadecimal digits that name the rotation; null for a version that no rotation made.</param>
/// <param name="KeyId">What the provider calls the key, where it has said so.</param>
/// <param name="Policy">How the secret is rotated.</param>
public sealed record RotatedKey(string Secret, int Version, string VersionId, string? Token, string? KeyId, RotationPolicy Policy)
{
    /// <summary>The id of the version that a rotation of the secret is making, where that is another one.</summary>
    internal string? UnderWay { get; init; }

    /// <summary>Where a version is to be replaced: its value, unless that is no text; the runner's.</summary>
    internal SecretValue? Current { get; init; }

    /// <summary>Whether the value that is known of it was made by the rotator that the policy names.</summary>
    internal bool IsOwn { get; init; }
}

/// <summary>A key that was made.</summary>
/// <param name="Value">Its value, which the runner disposes of.</param>
/// <param name="KeyId">What the provider calls it, or null.</param>
public sealed record NewKey(SecretValue Value, string? KeyId = null);
