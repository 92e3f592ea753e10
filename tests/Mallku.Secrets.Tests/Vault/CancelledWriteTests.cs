using Mallku.Secrets.Vault;

namespace Mallku.Secrets.Tests.Vault;

/// <summary>What is cancelled before it begins changes nothing.</summary>
public sealed class CancelledWriteTests
{
    private static readonly CancellationToken Cancelled = new(canceled: true);

    [Fact]
    public async Task No_write_begins()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        using var value = SecretValue.FromString("a2");
        var before = folder.Photograph();
        Func<SecretsManager, Task>[] writes =
        [
            async manager => await manager.SetAsync("a", value, cancellationToken: Cancelled),
            async manager => await manager.RemoveAsync("a", Cancelled),
            async manager => await VaultKeys.RotateAsync(manager.Vault, Cancelled),
            async manager => await VaultRecovery.RecoverAsync(manager.Vault, asIs: true, Cancelled),
            async manager => await VaultLedger.RestartAsync(manager.Vault, Cancelled),
        ];

        foreach (var write in writes)
        {
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => write(folder.Open()));
            Assert.Equal(before, folder.Photograph());
        }
    }

    [Fact]
    public async Task No_vault_begins()
    {
        using var folder = new TemporaryFolder();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await VaultCreation.CreateAsync(folder.Open().Vault, Cancelled));

        Assert.False(Directory.Exists(folder.Vault));
    }
}
