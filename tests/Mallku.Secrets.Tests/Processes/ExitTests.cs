using System.Diagnostics;
using System.Globalization;
using Mallku.Secrets.Files;
using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Tests.Processes;

/// <summary>The end of a process that has uses to report.</summary>
public sealed class ExitTests
{
    private const int Purposes = 8;

    [Fact]
    public async Task What_was_used_last_for_each_purpose_is_in_the_ledger()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("hot", "value");
        using var child = Child.Start("leave", folder.Vault, Purposes.ToString(CultureInfo.InvariantCulture));
        Assert.Equal("ready", await child.ReadLineAsync());
        await child.WriteLineAsync("");
        await child.ReadToEndAsync();
        var reads = (await LedgerEntries.ReadAsync(folder)).Where(entry => entry is { Kind: LedgerKind.Read, Secret: "hot" });
        Assert.Equal(2 * Purposes, reads.Sum(entry => entry.Count));
    }

    [Fact]
    public async Task A_ledger_that_can_not_be_written_holds_it_up_once_and_not_for_each_purpose()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("hot", "value");
        using var child = Child.Start("leave", folder.Vault, Purposes.ToString(CultureInfo.InvariantCulture));
        Assert.Equal("ready", await child.ReadLineAsync());
        var descriptor = Posix.OpenOrCreate(Path.Combine(folder.Vault, "ledger", ".lock"));
        try
        {
            Posix.Lock(descriptor, "the ledger's lock");
            var watch = Stopwatch.StartNew();
            await child.WriteLineAsync("");
            await child.ReadToEndAsync();

            // it waits 2 s for a report
            Assert.InRange(watch.Elapsed, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(12));
        }
        finally
        {
            Posix.Close(descriptor);
        }
    }
}
