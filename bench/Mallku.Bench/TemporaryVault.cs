using Mallku.Secrets.Vault;
using Mallku.Secrets;

namespace Mallku.Bench;

/// <summary>A vault in a folder that goes away with it.</summary>
internal sealed class TemporaryVault : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("mallku-bench-").FullName;

    internal TemporaryVault(int secrets)
    {
        Options = new SecretsOptions { Directory = Path.Combine(_folder, ".secrets") };
        var manager = SecretsManager.Open(Options);
        VaultCreation.CreateAsync(manager.Vault, CancellationToken.None).AsTask().GetAwaiter().GetResult();
        var values = Enumerable.Range(0, secrets).Select(i =>
            KeyValuePair.Create(SecretName.Parse($"provider_{i}_api_key"), SecretValue.FromString($"sk-{i:D4}-0123456789abcdefghijklmnopqrstuvwxyz")));
        manager.Vault.SetAsync([.. values], new SetOptions(), CancellationToken.None).AsTask().GetAwaiter().GetResult();
    }

    internal SecretsOptions Options { get; }

    public void Dispose() => Delete(_folder);

    /// <summary>Deletes a folder in which there was a ledger.</summary>
    internal static void Delete(string folder)
    {
        const int attempts = 20;
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                Directory.Delete(folder, recursive: true);
                return;
            }
            catch (IOException) when (attempt < attempts)
            {
                // a manager has counts to write into the ledger, within a quarter of a second
                Thread.Sleep(50);
            }
        }
    }
}
