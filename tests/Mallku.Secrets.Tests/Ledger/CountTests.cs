using System.Diagnostics;
using System.Globalization;

namespace Mallku.Secrets.Tests.Ledger;

/// <summary>Uses are counted once, whatever the disk does.</summary>
public sealed class CountTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Counts_whose_flush_takes_longer_than_a_caller_waits_are_written_once()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        var before = LedgerFile.Count(folder);
        using var clock = new HeldClock();
        var manager = await UseWhileHeldAsync(folder, clock);

        clock.Release();
        await FlushAsync(manager);
        await manager.GetRequiredAsync("a", Cancel);
        await manager.GetRequiredAsync("a", Cancel);
        await FlushAsync(manager);

        Assert.Equal(103, Sum(folder, before, "read a 1 vault "));
        Assert.Equal(1, Sum(folder, before, "missing nobody_has_this - - "));
    }

    [Fact]
    public async Task Counts_whose_write_fails_after_the_caller_has_given_up_are_written_again_once()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        var before = LedgerFile.Count(folder);
        using var clock = new HeldClock();
        var manager = await UseWhileHeldAsync(folder, clock);

        var hidden = LedgerFile.Folder(folder) + ".hidden";
        Directory.Move(LedgerFile.Folder(folder), hidden);
        clock.Release();
        await Assert.ThrowsAsync<LedgerException>(async () => await manager.GetRequiredAsync("a", Cancel));
        Directory.Move(hidden, LedgerFile.Folder(folder));
        await FlushAsync(manager);

        Assert.Equal(101, Sum(folder, before, "read a 1 vault "));
        Assert.Equal(1, Sum(folder, before, "missing nobody_has_this - - "));
    }

    [Fact]
    public async Task Counts_are_written_once_also_where_an_older_vault_was_put_back_meanwhile()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        await folder.SetAsync("a", "a2");
        string[] files = [folder.VaultFile, folder.VaultFile + ".previous"];
        var older = files.Select(File.ReadAllBytes).ToList();
        await folder.SetAsync("a", "a3");
        await folder.SetAsync("a", "a4");
        var before = LedgerFile.Count(folder);
        var manager = folder.Open();
        for (var i = 0; i < 6; i++)
        {
            await manager.GetRequiredAsync("a", Cancel);
        }

        for (var i = 0; i < files.Length; i++)
        {
            await File.WriteAllBytesAsync(files[i], older[i], Cancel);
        }

        await manager.RefreshAsync(Cancel);
        Assert.Contains("--as-is", (await Assert.ThrowsAsync<LedgerException>(async () => await manager.FlushAsync(Cancel))).Remedy, StringComparison.Ordinal);
        await manager.FlushAsync(Cancel);
        Assert.Equal(6, Sum(folder, before, "read a 4 vault "));
    }

    [Fact]
    public async Task A_value_that_is_in_memory_is_withheld_too_after_an_older_vault_was_put_back()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        await folder.SetAsync("b", "b1");
        string[] files = [folder.VaultFile, folder.VaultFile + ".previous"];
        var older = files.Select(File.ReadAllBytes).ToList();
        await folder.SetAsync("b", "b2");
        await folder.SetAsync("b", "b3");
        var manager = folder.Open();
        await manager.GetRequiredAsync("a", Cancel);
        for (var i = 0; i < files.Length; i++)
        {
            await File.WriteAllBytesAsync(files[i], older[i], Cancel);
        }

        await manager.RefreshAsync(Cancel);
        await manager.GetRequiredAsync("a", Cancel);
        await Assert.ThrowsAsync<LedgerException>(async () => await manager.FlushAsync(Cancel));
        await Assert.ThrowsAsync<LedgerException>(async () => await manager.GetRequiredAsync("a", Cancel));
    }

    [Fact]
    public async Task Names_that_nobody_has_fill_neither_memory_nor_ledger()
    {
        const int asked = 1500, most = 1000;
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        var before = LedgerFile.Count(folder);
        var hidden = LedgerFile.Folder(folder) + ".hidden";
        Directory.Move(LedgerFile.Folder(folder), hidden);
        var manager = folder.Open();
        for (var i = 0; i < asked; i++)
        {
            Assert.Null(await manager.GetAsync($"name_{i}", Cancel));
        }

        Directory.Move(hidden, LedgerFile.Folder(folder));
        await manager.FlushAsync(Cancel);

        var told = LedgerFile.Since(folder, before);
        Assert.Equal(most + 1, told.Count);
        Assert.Equal($"missing - - - {asked - most}", told[^1]);
        Assert.Equal(asked, told.Sum(entry => long.Parse(entry.Split(' ')[^1], CultureInfo.InvariantCulture)));
    }

    [Fact]
    public async Task A_use_that_the_ledger_has_is_not_reported_again_while_others_are_taken()
    {
        const int uses = 2_000_000;
        var counter = new AccessCounter(new AccessCounts(TimeProvider.System, isNamed: false), "a", "vault", 1);
        var isDone = false;
        var taking = Task.Run(
            () =>
            {
                var taken = 0L;
                while (!Volatile.Read(ref isDone))
                {
                    // as a report does: what is not above 0 is not told
                    taken += Math.Max(0, counter.TakeUnreported());
                }

                return taken + Math.Max(0, counter.TakeUnreported());
            },
            Cancel);
        for (var i = 0; i < uses; i++)
        {
            counter.AddRecorded(now: 0);
        }

        Volatile.Write(ref isDone, true);
        Assert.Equal((0, uses), (await taking, counter.Count));
    }

    // one use before the disk stops to answer, and a hundred more after
    private static async Task<SecretsManager> UseWhileHeldAsync(TemporaryFolder folder, HeldClock clock)
    {
        var manager = SecretsManager.Open(folder.Options with { TimeProvider = clock, LedgerTimeout = TimeSpan.FromSeconds(1) });
        await FlushAsync(manager, async () => await manager.GetRequiredAsync("a", Cancel));
        clock.Hold();
        await manager.GetAsync("nobody_has_this", Cancel);
        for (var i = 0; i < 100; i++)
        {
            await manager.GetRequiredAsync("a", Cancel);
        }

        await Assert.ThrowsAsync<LedgerException>(async () => await manager.FlushAsync(Cancel));
        await Assert.ThrowsAsync<LedgerException>(async () => await manager.FlushAsync(Cancel));
        return manager;
    }

    // a slow machine may need more than one try
    private static Task FlushAsync(SecretsManager manager) => FlushAsync(manager, async () => await manager.FlushAsync(Cancel));

    private static async Task FlushAsync(SecretsManager manager, Func<Task> act)
    {
        var watch = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                await act();
                return;
            }
            catch (LedgerException) when (watch.Elapsed < TimeSpan.FromSeconds(30))
            {
            }
        }
    }

    private static int Sum(TemporaryFolder folder, int before, string start) =>
        LedgerFile.Since(folder, before).Where(entry => entry.StartsWith(start, StringComparison.Ordinal)).Sum(entry => int.Parse(entry.Split(' ')[^1]));

    /// <summary>A clock that the ledger's thread reads in the middle of a write, and that does not answer while it is held.</summary>
    private sealed class HeldClock : TimeProvider, IDisposable
    {
        private readonly ManualResetEventSlim _isRunning = new(initialState: true);

        internal void Hold() => _isRunning.Reset();

        internal void Release() => _isRunning.Set();

        public override DateTimeOffset GetUtcNow()
        {
            if (Thread.CurrentThread.Name == "mallku ledger")
            {
                _isRunning.Wait();
            }

            return base.GetUtcNow();
        }

        public void Dispose()
        {
            Release();
            _isRunning.Dispose();
        }
    }
}
