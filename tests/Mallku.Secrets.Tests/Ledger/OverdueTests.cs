using System.Diagnostics;
using Mallku.Secrets.Files;
using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Tests.Ledger;

/// <summary>While the ledger can't be written, what a process was handed before is not handed out on and on either.</summary>
public sealed class OverdueTests
{
    private static readonly TimeSpan Generous = TimeSpan.FromSeconds(60);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_value_in_memory_is_withheld_soon_after_the_ledger_is_blocked_and_every_use_is_counted_once()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("hot", "value");
        await folder.SetAsync("other", "value");
        var manager = SecretsManager.Open(folder.Options with { LedgerTimeout = TimeSpan.FromSeconds(1) });
        var given = await UseAsync(manager, "hot") + await UseAsync(manager, "other");
        var descriptor = new LedgerFolder(manager.Vault.Settings.LedgerDirectory).LockWithin(TimeSpan.FromSeconds(5));
        try
        {
            // whoever asks again and again is refused, and not only once
            var (refused, started) = (0, Stopwatch.GetTimestamp());
            while (refused < 3)
            {
                var handed = await UseAsync(manager, "hot");
                given += handed;
                refused += 1 - handed;
                Assert.True(Stopwatch.GetElapsedTime(started) < Generous, $"{given} uses while the ledger was blocked");
                await Task.Delay(20, Cancel);
            }

            // refused once, it is refused as long as the ledger is blocked: no report that waits behind opens it again
            for (var i = 0; i < 3; i++)
            {
                Assert.Equal(0, await UseAsync(manager, "hot"));
            }
        }
        finally
        {
            Posix.Close(descriptor);
        }

        while (await UseAsync(manager, "hot") is 0)
        {
            await Task.Delay(20, Cancel);
        }

        given++;
        await manager.FlushAsync(Cancel);
        var sum = 0L;
        await foreach (var entry in manager.Ledger.ReadEntriesAsync(cancellationToken: Cancel))
        {
            sum += entry.Kind == LedgerKind.Read ? entry.Count : 0;
        }

        // a use whose entry came too late was withheld, and is there all the same
        Assert.InRange(sum, given, given + 10);
    }

    private static async Task<int> UseAsync(SecretsManager manager, string name)
    {
        try
        {
            await manager.GetRequiredAsync(name, Cancel);
            return 1;
        }
        catch (LedgerException)
        {
            return 0;
        }
    }
}
