using Mallku.Secrets.Sources;
using Mallku.Secrets.Vault;

namespace Mallku.Secrets.Tests;

/// <summary>A folder for one test, with a vault in it on request.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    private static readonly EnumerationOptions Everything = new() { AttributesToSkip = default, RecurseSubdirectories = true };

    public string Path { get; } = Directory.CreateTempSubdirectory("mallku-test-").FullName;

    public string Vault => System.IO.Path.Combine(Path, ".secrets");

    public SecretsOptions Options => new() { Directory = Vault };

    public string VaultFile => System.IO.Path.Combine(Vault, "mallku-secrets.json.encrypted");

    public string KeyFile => System.IO.Path.Combine(Vault, ".encryption.key");

    internal static async Task<TemporaryFolder> WithVaultAsync()
    {
        var folder = new TemporaryFolder();
        await VaultCreation.CreateAsync(folder.Open().Vault, TestContext.Current.CancellationToken);
        return folder;
    }

    public SecretsManager Open() => SecretsManager.Open(Options);

    internal VaultSettings Settings => VaultLocator.Locate(Options);

    public async Task<SecretChange> SetAsync(string name, string value)
    {
        using var secret = SecretValue.FromString(value);
        return await Open().SetAsync(name, secret, cancellationToken: TestContext.Current.CancellationToken);
    }

    public async Task<string?> GetAsync(string name) =>
        (await Open().GetAsync(name, TestContext.Current.CancellationToken))?.RevealString();

    /// <summary>Every file with its mode and bytes, but for the lock's content, which names the last holder.</summary>
    public IReadOnlyDictionary<string, string> Photograph() => Directory.EnumerateFiles(Path, "*", Everything).ToDictionary(
        file => file,
        file => $"{File.GetUnixFileMode(file)} {(file.EndsWith(".lock", StringComparison.Ordinal) ? "" : Convert.ToHexString(File.ReadAllBytes(file)))}",
        StringComparer.Ordinal);

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
