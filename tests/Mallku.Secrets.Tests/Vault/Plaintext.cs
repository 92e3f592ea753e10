using System.Text;
using System.Text.Json;
using Mallku.Secrets.Crypto;
using Mallku.Secrets.Keys;

namespace Mallku.Secrets.Tests.Vault;

/// <summary>The decrypted vault file, read and written in place without the vault's own code, as another program would.</summary>
internal static class Plaintext
{
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    public static string Read(TemporaryFolder folder) => Encoding.UTF8.GetString(ReadBytes(folder));

    public static byte[] ReadBytes(TemporaryFolder folder)
    {
        using var fernet = Open(folder.KeyFile, TimeProvider.System);
        return fernet.Decrypt(File.ReadAllBytes(folder.VaultFile));
    }

    public static void Write(TemporaryFolder folder, string json, TimeProvider? clock = null) =>
        Write(folder, Encoding.UTF8.GetBytes(json), clock);

    public static void Write(TemporaryFolder folder, byte[] json, TimeProvider? clock = null) =>
        WriteToken(folder.VaultFile, folder.KeyFile, json, clock ?? TimeProvider.System);

    public static void WriteSecretFile(TemporaryFolder folder, string name, string json) =>
        WriteToken(Path.Combine(folder.Vault, name + ".secret"), folder.KeyFile, Encoding.UTF8.GetBytes(json), TimeProvider.System);

    public static DataKey ReadKey(TemporaryFolder folder) => DataKey.Parse(File.ReadAllBytes(folder.KeyFile), "the test's key", TimeProvider.System);

    /// <summary>The members of the object, or of one within it, each value byte for byte; the last of a name counts.</summary>
    public static Dictionary<string, string> Members(string json, params string[] path)
    {
        using var document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = 2000 });
        var element = path.Aggregate(document.RootElement, static (within, name) => within.GetProperty(name));
        var members = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var member in element.EnumerateObject())
        {
            members[member.Name] = member.Value.GetRawText();
        }

        return members;
    }

    private static void WriteToken(string path, string keyFile, byte[] json, TimeProvider clock)
    {
        using var fernet = Open(keyFile, clock);
        File.WriteAllBytes(path, fernet.Encrypt(json));
        File.SetUnixFileMode(path, Private);
    }

    private static Fernet Open(string keyFile, TimeProvider clock)
    {
        using var key = SecretValue.FromUtf8(File.ReadAllBytes(keyFile));
        return new Fernet(clock, key);
    }
}
