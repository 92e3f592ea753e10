using System.Security.Cryptography;
using Mallku.Secrets.Files;
using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Sources;

/// <summary>
/// The root keys of shared stores that this user was handed: a file of mode 0600 for each store, named by the store's id, in
/// <c>~/.config/mallku/stores/</c>. Apart from every vault, since a store's key belongs to no vault.
/// </summary>
internal static class KeptStoreKeys
{
    private const string Suffix = ".key";

    /// <exception cref="SecretsException">HOME is not set.</exception>
    internal static string Folder => Path.Combine(
        StoreLocator.Read("XDG_CONFIG_HOME") ?? Path.Combine(
            StoreLocator.Read("HOME") ?? throw new SecretsException("nobody says where the keys of stores are kept: HOME is not set", $"name the file with the key by {StoreLocator.KeyFileVariable}"),
            ".config"),
        "mallku",
        "stores");

    /// <summary>Where the key of this store is kept: in the file that <c>MALLKU_STORE_KEY_FILE</c> names, else in one of its own.</summary>
    /// <exception cref="VaultOpenException">What is named is a key and no path.</exception>
    internal static string PathOf(StoreKey key)
    {
        if (StoreLocator.Read(StoreLocator.KeyFileVariable) is not { } named)
        {
            return Path.Combine(Folder, key.StoreId + Suffix);
        }

        RequireNoKey(named);
        return Path.GetFullPath(named);
    }

    /// <summary>The files of all keys that are kept, in the order of their names.</summary>
    internal static IReadOnlyList<string> Find() => Directory.Exists(Folder)
        ? [.. Directory.EnumerateFiles(Folder, "*" + Suffix).Order(StringComparer.Ordinal)]
        : [];

    /// <exception cref="VaultOpenException">There is no such file, or others can read it.</exception>
    /// <exception cref="SecretsException">It holds no key.</exception>
    internal static StoreKey Read(string path)
    {
        RequireNoKey(path);
        var bytes = PrivateFile.Read(path, out _)
            ?? throw new VaultOpenException($"there is no file '{path}' with the store's key", $"put it there, or name it by {StoreLocator.KeyFileVariable}");
        try
        {
            return StoreKey.Parse(bytes, $"'{path}'");
        }
        finally
        {
            CryptographicOperations.ZeroMemory(bytes);
        }
    }

    // a path is shown in errors, and files get its name
    private static void RequireNoKey(string path)
    {
        if (StoreKey.IsKey(path))
        {
            throw new VaultOpenException($"{StoreLocator.KeyFileVariable} should be a path, and is a key itself", $"give the store's key by {StoreLocator.KeyVariable}, or by {StoreLocator.KeyFileVariable} the path of the file that holds it");
        }
    }

    /// <summary>Writes a key where it is kept. It is on the disk when this returns; a file that is there already stays.</summary>
    /// <returns>The file.</returns>
    /// <exception cref="SecretsException">There is a file already, or it can't be written.</exception>
    internal static string Keep(StoreKey key)
    {
        var path = PathOf(key);
        var folder = Path.GetDirectoryName(path)!;
        try
        {
            // where the user has named another, he has made it
            if (folder == Folder && !Directory.Exists(folder))
            {
                Directory.CreateDirectory(Path.GetDirectoryName(folder)!);
                StoreLocator.Make(folder);
                FileReplacement.FlushFolder(folder);
                FileReplacement.FlushFolder(Path.GetDirectoryName(folder)!);
            }

            // of those who come at the same time, one writes it
            var held = Posix.OpenRead(folder);
            try
            {
                Posix.Lock(held, folder);
                Write(key, path);
            }
            finally
            {
                Posix.Release(held);
            }

            return path;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SecretsException($"can't make '{folder}': {e.Message.TrimEnd('.')}", $"name another file by {StoreLocator.KeyFileVariable}", e);
        }
    }

    private static void Write(StoreKey key, string path)
    {
        if (Path.Exists(path))
        {
            throw new SecretsException($"there is a file '{path}' already; nothing was changed", $"move it away, or name another by {StoreLocator.KeyFileVariable}");
        }

        using var text = key.ToText();
        var line = SecretValue.Allocate(text.Length + 1);
        text.CopyUtf8To(line);
        line[^1] = (byte)'\n';
        try
        {
            FileReplacement.Overwrite(path, line);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(line);
        }
    }
}
