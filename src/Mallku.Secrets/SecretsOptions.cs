namespace Mallku.Secrets;

/// <summary>Where a <see cref="SecretsManager"/> finds its vault. What is null comes from the environment.</summary>
public sealed record SecretsOptions
{
    /// <summary>
    /// The vault's folder. Null: <c>MALLKU_SECRETS_DIR</c>, else <c>./.secrets</c>, else the nearest one upwards within
    /// the repository.
    /// </summary>
    public string? Directory { get; init; }

    /// <summary>
    /// The file that holds the data key. Null: <c>MALLKU_KEY_FILE</c>, else <c>.encryption.key</c> in the vault's
    /// folder.
    /// </summary>
    public string? KeyFile { get; init; }

    /// <summary>The data key itself. Null: <c>MALLKU_ENCRYPTION_KEY</c>, else a file.</summary>
    public SecretValue? Key { get; init; }

    /// <summary>
    /// How many versions of each secret the vault keeps, from 2 to 1000. The next write records it in the vault, so that
    /// every program keeps as many. Null: what the vault says, else 10.
    /// </summary>
    public int? KeepVersions { get; init; }

    /// <summary>The clock of versions' times.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;
}
