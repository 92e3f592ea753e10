using Mallku.Secrets;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Vault;

namespace Mallku.Bench;

/// <summary>Makes a vault with a ledger of a given length, for measurements of whole processes.</summary>
internal static class LedgerFilling
{
    private const int EntriesAtOnce = 20_000;

    internal static async Task FillAsync(string folder, int entries)
    {
        var manager = SecretsManager.Open(new SecretsOptions { Directory = folder, Purpose = "bench", LedgerTimeout = TimeSpan.FromMinutes(1) });
        await VaultCreation.CreateAsync(manager.Vault, CancellationToken.None);
        for (var i = 0; i < entries; i += EntriesAtOnce)
        {
            var events = Enumerable.Range(i, Math.Min(EntriesAtOnce, entries - i))
                .Select(number => new LedgerEvent(LedgerKind.Read, $"provider_{number % 40}_api_key", (number % 7) + 1, "vault", "bench", (number % 9) + 1));
            await manager.Vault.RecordAsync([.. events], CancellationToken.None);
        }
    }
}
