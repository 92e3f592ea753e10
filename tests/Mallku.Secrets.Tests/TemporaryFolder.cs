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

    /// <summary>What a manager of its own answers, when it has told the ledger everything: nothing is written after it.</summary>
    public async Task<string?> GetAsync(string name)
    {
        var manager = Open();
        var value = (await manager.GetAsync(name, TestContext.Current.CancellationToken))?.RevealString();
        await manager.FlushAsync(TestContext.Current.CancellationToken);
        return value;
    }

    /// <summary>The same as <see cref="Photograph()"/> without the ledger, which has entries of reads and of refused changes, too.</summary>
    public IReadOnlyDictionary<string, string> PhotographVault()
    {
        var ledger = Settings.LedgerDirectory + System.IO.Path.DirectorySeparatorChar;
        return Photograph(file => !file.StartsWith(ledger, StringComparison.Ordinal));
    }

    /// <summary>Every file with its mode and bytes, but for the lock's content, which names the last holder.</summary>
    public IReadOnlyDictionary<string, string> Photograph() => Photograph(static _ => true);

    private Dictionary<string, string> Photograph(Func<string, bool> isWanted) => Directory.EnumerateFiles(Path, "*", Everything).Where(isWanted).ToDictionary(
        file => file,
        file => $"{File.GetUnixFileMode(file)} {(file.EndsWith(".lock", StringComparison.Ordinal) ? "" : Convert.ToHexString(File.ReadAllBytes(file)))}",
        StringComparer.Ordinal);

    public void Dispose()
    {
        const int attempts = 20;
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                Directory.Delete(Path, recursive: true);
                return;
            }
            catch (IOException) when (attempt < attempts)
            {
                // a manager that the test left has counts to write into the ledger, within a quarter of a second
                Thread.Sleep(50);
            }
        }
    }
}
