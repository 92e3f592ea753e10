using Mallku.Secrets.Files;
using Mallku.Secrets.Storage;
using Mallku.Secrets.Vault;

namespace Mallku.Secrets.Sources;

/// <summary>Decides by what a shared store is opened, and where this machine keeps what it must know of it.</summary>
internal static class StoreLocator
{
    internal const string KeyVariable = "MALLKU_STORE_KEY";
    internal const string KeyFileVariable = "MALLKU_STORE_KEY_FILE";
    internal const string StateVariable = "MALLKU_STATE_DIR";

    /// <summary>The key that the caller names, else that of the environment.</summary>
    /// <exception cref="SecretsException">There is none, or what is there is none.</exception>
    internal static StoreKey ReadKey(SecretsOptions options)
    {
        if (options.StoreKey is { } given)
        {
            var key = StoreKey.Parse(given.Bytes, "SecretsOptions.StoreKey");
            GC.KeepAlive(given);
            return key;
        }

        if (options.StoreKeyFile is null && Read(KeyVariable) is { } text)
        {
            using var value = SecretValue.FromString(text);
            return StoreKey.Parse(value.Bytes, $"the variable {KeyVariable}");
        }

        return KeptStoreKeys.Read(options.StoreKeyFile ?? Read(KeyFileVariable) ?? FindKept());
    }

    private static string FindKept() => KeptStoreKeys.Find() switch
    {
        [] => throw new VaultOpenException("a shared store is named, and there is no key to open it with", "take the key that was made for it: mallku store join"),
        [var only] => only,
        _ => throw new VaultOpenException($"there are keys of several stores in '{KeptStoreKeys.Folder}'", $"name the one to use by {KeyFileVariable}"),
    };

    /// <summary>Where this machine keeps what it must know of stores.</summary>
    /// <exception cref="SecretsException">It can't be told.</exception>
    internal static string StateFolder => Path.Combine(
        Path.GetFullPath(
            Read(StateVariable)
            ?? (Read("XDG_STATE_HOME") is { } home ? Path.Combine(home, "mallku") : null)
            ?? Path.Combine(
                Read("HOME") ?? throw new SecretsException("nobody says where this machine keeps what it must know of a store: HOME is not set", $"name a folder by {StateVariable}"),
                ".local", "state", "mallku")),
        "stores");

    /// <summary>The folder where this machine keeps what it must know of a store; made where it is not there.</summary>
    /// <exception cref="SecretsException">It can't be told or made.</exception>
    internal static string MakeFolder(string storeId)
    {
        var folder = Path.Combine(StateFolder, storeId);
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(folder)!);
            if (!Posix.TryStat(folder, out var facts))
            {
                Make(folder);
                Posix.TryStat(folder, out facts);
            }

            PrivateFile.Require(facts, folder);
            return folder;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SecretsException($"can't make '{folder}': {e.Message.TrimEnd('.')}", $"name another folder by {StateVariable}", e);
        }
    }

    /// <summary>Makes a folder for this user alone.</summary>
    internal static void Make(string folder)
    {
        try
        {
            Posix.CreateFolder(folder);
        }
        catch (PosixException) when (Directory.Exists(folder))
        {
            // by another process meanwhile
        }
    }

    /// <summary>The vault that a machine without one of its own keeps its ledger in. It holds no secrets, and its key is derived from the store's.</summary>
    internal static VaultSettings HomeOf(VaultSettings settings, StoreKey key, string folder)
    {
        var home = Path.Combine(folder, "vault");
        return settings with
        {
            Directory = home,
            IsDirectoryNamed = true,
            IsMadeWhenNeeded = true,
            Key = key.DeriveVaultKey(),
            KeyFile = null,
            LedgerDirectory = settings.LedgerDirectory == Path.Combine(settings.Directory, "ledger") ? Path.Combine(home, "ledger") : settings.LedgerDirectory,
        };
    }

    internal static string? Read(string variable) => Environment.GetEnvironmentVariable(variable) is { Length: > 0 } value ? value : null;
}
