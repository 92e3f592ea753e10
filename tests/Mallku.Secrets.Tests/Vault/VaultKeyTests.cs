using Mallku.Secrets.Vault;

namespace Mallku.Secrets.Tests.Vault;

/// <summary>A key that is made reaches its file whole, whatever the garbage collector does meanwhile.</summary>
public sealed class VaultKeyTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_key_that_the_caller_gave_and_has_disposed_of_goes_on_to_open_the_vault()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "value");
        var key = SecretValue.FromUtf8(await File.ReadAllBytesAsync(folder.KeyFile, Cancel));
        var manager = SecretsManager.Open(folder.Options with { Key = key });

        key.Dispose();

        Assert.Equal("value", (await manager.GetRequiredAsync("a", Cancel)).RevealString());
        await manager.RefreshAsync(Cancel);
        await manager.RemoveAsync("a", Cancel);
        Assert.Null(await manager.GetAsync("a", Cancel));
    }

    [Fact]
    public async Task New_keys_are_whole_while_memory_is_collected_and_wiped()
    {
        using var end = new CancellationTokenSource();
        var collecting = Task.Run(
            () =>
            {
                while (!end.IsCancellationRequested)
                {
                    GC.Collect();
                    GC.WaitForPendingFinalizers();
                }
            },
            Cancel);
        for (var i = 0; i < 100; i++)
        {
            using var folder = await TemporaryFolder.WithVaultAsync();
            await folder.SetAsync("a", "value");
            await VaultKeys.RotateAsync(folder.Open().Vault, Cancel);
            Assert.Equal("value", await folder.GetAsync("a"));
        }

        await end.CancelAsync();
        await collecting;
    }
}
