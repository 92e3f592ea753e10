using Mallku.Secrets.Tests.Processes;

namespace Mallku.Secrets.Tests.Vault;

/// <summary>A manager that runs sees what others do to its vault.</summary>
public sealed class VaultFreshnessTests
{
    // what the manager promises
    private static readonly TimeSpan Latest = TimeSpan.FromSeconds(1);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Another_process_s_changes_are_seen_at_once_after_a_refresh()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "before");
        var manager = folder.Open();
        Assert.Equal("before", await ReadAsync(manager));

        Assert.Equal("set 2", await Child.AskAsync("set", folder.Vault, "a", "after"));
        await manager.RefreshAsync(Cancel);
        Assert.Equal("after", await ReadAsync(manager));

        Assert.Equal("rotated 1", await Child.AskAsync("rotate", folder.Vault));
        await manager.RefreshAsync(Cancel);
        Assert.Equal("after", await ReadAsync(manager));

        Assert.Equal("removed 2", await Child.AskAsync("remove", folder.Vault, "a"));
        await manager.RefreshAsync(Cancel);
        Assert.Null(await ReadAsync(manager));
    }

    [Fact]
    public async Task Changes_are_seen_by_the_first_lookup_a_second_later_without_a_refresh()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "before");
        var manager = folder.Open();
        Assert.Equal("before", await ReadAsync(manager));

        await folder.SetAsync("a", "by another manager");
        await Task.Delay(Latest, Cancel);
        Assert.Equal("by another manager", await ReadAsync(manager));

        // in place, of the same length, as Python writes
        Plaintext.Write(folder, Plaintext.Read(folder).Replace("{\"a\":\"by another manager\"", "{\"a\":\"in place by Python\"", StringComparison.Ordinal));
        await Task.Delay(Latest, Cancel);
        Assert.Equal("in place by Python", await ReadAsync(manager));

        Plaintext.WriteSecretFile(folder, "a", "\"of a file\"");
        await Task.Delay(Latest, Cancel);
        Assert.Equal("of a file", await ReadAsync(manager));

        await folder.Open().RemoveAsync("a", Cancel);
        await Task.Delay(Latest, Cancel);
        Assert.Null(await ReadAsync(manager));
    }

    [Fact]
    public async Task A_change_that_follows_a_reading_within_the_clock_s_tick_is_not_missed()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "0000");
        var vault = folder.Open().Vault;
        for (var i = 1; i <= 20; i++)
        {
            // the same length and the same inode, as soon after the reading as can be
            var next = Plaintext.Read(folder).Replace($"{{\"a\":\"{i - 1:0000}\"", $"{{\"a\":\"{i:0000}\"", StringComparison.Ordinal);
            await vault.OpenAsync(Cancel);
            Plaintext.Write(folder, next);
            vault.GetChangeStamp(Environment.TickCount64 + (long)Latest.TotalMilliseconds);
            var opened = await vault.OpenAsync(Cancel);
            Assert.Equal($"\"{i:0000}\"", System.Text.Encoding.UTF8.GetString(opened.Document.Find("a")!.Current!.Value!.Value.Span));
            GC.KeepAlive(opened);
        }
    }

    [Fact]
    public async Task A_vault_that_was_damaged_and_mended_is_used_again()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "value");
        var manager = folder.Open();
        Assert.Equal("value", await ReadAsync(manager));
        var sound = await File.ReadAllBytesAsync(folder.VaultFile, Cancel);

        await File.WriteAllTextAsync(folder.VaultFile, "damaged", Cancel);
        await manager.RefreshAsync(Cancel);
        await Assert.ThrowsAsync<VaultOpenException>(() => ReadAsync(manager));
        await Assert.ThrowsAsync<VaultOpenException>(() => ReadAsync(manager));

        await File.WriteAllBytesAsync(folder.VaultFile, sound, Cancel);
        Assert.Equal("value", await ReadAsync(manager));
    }

    [Fact]
    public async Task A_writer_in_place_that_is_between_truncating_and_writing_is_waited_for()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "value");
        var sound = await File.ReadAllBytesAsync(folder.VaultFile, Cancel);
        await File.WriteAllBytesAsync(folder.VaultFile, [], Cancel);
        var reading = ReadAsync(folder.Open());
        await File.WriteAllBytesAsync(folder.VaultFile, sound, Cancel);
        Assert.Equal("value", await reading);
    }

    private static async Task<string?> ReadAsync(SecretsManager manager) => (await manager.GetAsync("a", Cancel))?.RevealString();
}
