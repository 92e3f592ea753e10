using System.Security.Cryptography;
using Mallku.Cli.Native;
using Mallku.Cli.Terminal;
using Mallku.Secrets.Files;
using Mallku.Secrets.Sources;
using Mallku.Secrets.Storage;
using Mallku.Secrets.Stores;
using Mallku.Secrets.Vault;

namespace Mallku.Cli.Commands;

/// <summary>A shared store as the command opens it: by a URL, a password that is no part of a command line, and a key that is kept.</summary>
internal static class OpenedStore
{
    internal const string PasswordVariable = "MALLKU_STORE_PASSWORD", PasswordFileVariable = PasswordVariable + "_FILE", PasswordSecretVariable = PasswordVariable + "_SECRET";

    /// <summary>The options of a manager that asks the store too. Connects only where keys of several stores are kept, and it is not known which one opens it.</summary>
    /// <exception cref="SecretsException">The URL is none, or there is no key for the store.</exception>
    internal static async ValueTask<SecretsOptions> AddAsync(SecretsOptions options, string url, CancellationToken cancellationToken)
    {
        var records = await OpenRecordsAsync(url, options, cancellationToken);
        options = options with { Store = records, FollowsStore = false };

        // there is one at most, which the library finds
        if (StoreLocator.Read(StoreLocator.KeyVariable) is not null || StoreLocator.Read(StoreLocator.KeyFileVariable) is not null || KeptStoreKeys.Find() is not { Count: > 1 } kept)
        {
            return options;
        }

        var (keyFile, outage) = await StoreKeyChoice.ChooseAsync(records, kept, Notice.Warn, cancellationToken);
        return outage is null ? options with { StoreKeyFile = keyFile }
            : HasVault(options) ? options with { StoreKeyFile = keyFile, Store = new SilentRecords(records, outage) }
            : throw outage;
    }

    // without one, the ledger is the store's, and nobody can tell yet of which
    private static bool HasVault(SecretsOptions options) => VaultLocator.Locate(options) is var settings && (settings.IsDirectoryNamed || new FileVault(settings).IsMade);

    /// <summary>The medium; the first use connects.</summary>
    /// <param name="url">Where it is.</param>
    /// <param name="options">Where the password is looked up, if it is a secret.</param>
    /// <param name="cancellationToken">Ends the wait for that.</param>
    /// <exception cref="SecretsException">The URL is none, or the password can't be read.</exception>
    internal static async ValueTask<IRecordStore> OpenRecordsAsync(string url, SecretsOptions options, CancellationToken cancellationToken)
    {
        NativeBinary.PrepareToDecrypt();
        NativeBinary.PrepareToConnect();
        using var password = await ReadPasswordAsync(options, cancellationToken);
        try
        {
            return SharedStores.Open(url, password);
        }
        catch (SecretsException e)
        {
            // the URL is not understood
            throw StoreUrl.IsArgument(url) ? new UsageException(e.Problem, e.Remedy) : new VaultOpenException(e.Problem, e.Remedy, e);
        }
    }

    // null: the engine looks for it where its own users have it, such as PGPASSWORD and ~/.pgpass
    private static async ValueTask<SecretValue?> ReadPasswordAsync(SecretsOptions options, CancellationToken cancellationToken) =>
        StoreLocator.Read(PasswordVariable) is { } text ? SecretValue.FromString(text)
        : StoreLocator.Read(PasswordFileVariable) is { } path ? ReadPassword(path)
        : StoreLocator.Read(PasswordSecretVariable) is { } name ? await FindPasswordAsync(name, options, cancellationToken)
        : null;

    // by the environment and the vault: the store can't say what opens it
    private static async ValueTask<SecretValue> FindPasswordAsync(string name, SecretsOptions options, CancellationToken cancellationToken)
    {
        var secrets = SecretsManager.Open(options with { Store = null });
        using var found = await secrets.GetAsync(name, cancellationToken)
            ?? throw new VaultOpenException($"the secret that {PasswordSecretVariable} names, with the store's password, is not there", "set it in the vault: mallku set NAME --to vault");
        return found.Copy();
    }

    private static SecretValue ReadPassword(string path)
    {
        var bytes = PrivateFile.Read(path, out _)
            ?? throw new VaultOpenException($"there is no such file as {PasswordFileVariable} names", $"mend the path, or put the password itself into {PasswordVariable}");
        try
        {
            return SecretValue.FromUtf8(bytes.AsSpan().TrimEnd("\r\n"u8));
        }
        catch (ArgumentException)
        {
            throw new VaultOpenException($"the password in '{path}' is not valid UTF-8", "write it there as text");
        }
        finally
        {
            CryptographicOperations.ZeroMemory(bytes);
        }
    }
}
