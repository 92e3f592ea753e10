using Mallku.Secrets.Vault;

namespace Mallku.Secrets.Sources;

/// <summary>Decides where the vault is from what the caller says and, where he says nothing, from the environment.</summary>
internal static class VaultLocator
{
    internal const string DirectoryVariable = "MALLKU_SECRETS_DIR";
    internal const string KeyVariable = "MALLKU_ENCRYPTION_KEY";
    internal const string KeyFileVariable = "MALLKU_KEY_FILE";

    /// <exception cref="ArgumentException">The number of versions to keep is out of range.</exception>
    internal static VaultSettings Locate(SecretsOptions options)
    {
        if (options.KeepVersions is < VaultFormat.FewestKept or > VaultFormat.MostKept)
        {
            throw new ArgumentException($"KeepVersions must be from {VaultFormat.FewestKept} to {VaultFormat.MostKept}.", nameof(options));
        }

        var named = options.Directory ?? Read(DirectoryVariable);
        // a key that the caller names wins over the environment's, whichever form each has
        var key = options.Key ?? (options.KeyFile is null && Read(KeyVariable) is { } text ? SecretValue.FromString(text) : null);
        var keyFile = options.KeyFile ?? Read(KeyFileVariable);
        return new VaultSettings
        {
            Directory = named is null ? VaultSettings.Discover(Environment.CurrentDirectory, Read("HOME") ?? "/") : Path.TrimEndingDirectorySeparator(Path.GetFullPath(named)),
            IsDirectoryNamed = named is not null,
            Key = key,
            KeyFile = keyFile is null ? null : Path.GetFullPath(keyFile),
            KeepVersions = options.KeepVersions,
            Clock = options.TimeProvider,
        };
    }

    private static string? Read(string variable) => Environment.GetEnvironmentVariable(variable) is { Length: > 0 } value ? value : null;
}
