using System.Diagnostics;
using System.Runtime.CompilerServices;
using Mallku.Secrets.Files;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Tests.Processes;
using Mallku.Secrets.Vault;

namespace Mallku.Secrets.Tests.Ledger;

/// <summary>However many managers a process makes, what they record at the same time shares a flush, and each ledger has its own.</summary>
public sealed class SharedSessionTests
{
    private static readonly TimeSpan Enough = TimeSpan.FromSeconds(60);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_first_reads_of_many_managers_share_a_flush_and_each_has_its_entry()
    {
        const int managers = 200;
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        var readers = new List<SecretsManager>();
        for (var i = 0; i < managers; i++)
        {
            readers.Add(SecretsManager.Open(folder.Options with { Voice = $"voice {i}", LedgerTimeout = Enough }));
            await readers[^1].ListAsync(Cancel);
        }

        var ledger = new LedgerFolder(folder.Settings.LedgerDirectory);
        var descriptor = ledger.LockWithin(Enough);
        List<Task<SecretValue>> reads;
        try
        {
            // each returns when its entry waits for the lock
            reads = readers.ConvertAll(manager => manager.GetRequiredAsync("a", Cancel).AsTask());
            Assert.All(reads, read => Assert.False(read.IsCompleted));
        }
        finally
        {
            Posix.Close(descriptor);
        }

        await Task.WhenAll(reads);
        var entries = (await LedgerEntries.ReadAsync(folder)).Where(entry => entry.Kind == LedgerKind.Read).ToList();
        Assert.Equal(Enumerable.Range(0, managers).Select(i => $"voice {i}").Order(StringComparer.Ordinal), entries.Select(entry => entry.Actor.Voice!).Order(StringComparer.Ordinal));
        // the batch that was begun at once, and all others
        Assert.InRange(entries.DistinctBy(entry => entry.Time).Count(), 1, 2);
    }

    [Fact]
    public async Task Two_vaults_of_a_process_stay_apart()
    {
        const int rounds = 20;
        using var one = await TemporaryFolder.WithVaultAsync();
        using var other = await TemporaryFolder.WithVaultAsync();
        await one.SetAsync("a", "of one");
        await other.SetAsync("a", "of other");

        var answers = await Task.WhenAll(Enumerable.Range(0, 2 * rounds).Select(i => Task.Run(() => (i % 2 == 0 ? one : other).GetAsync("a"), Cancel)));

        Assert.Equal([.. Enumerable.Repeat("of one", rounds), .. Enumerable.Repeat("of other", rounds)], answers.Order(StringComparer.Ordinal), StringComparer.Ordinal);
        foreach (var folder in new[] { one, other })
        {
            Assert.Equal(rounds, (await LedgerEntries.ReadAsync(folder)).Count(entry => entry.Kind == LedgerKind.Read));
        }
    }

    [Fact]
    public async Task A_ledger_that_is_begun_anew_while_others_use_the_former_loses_no_read()
    {
        const int readers = 4, restarts = 3;
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        var stays = folder.Open();
        await stays.GetRequiredAsync("a", Cancel);
        var answered = 1;
        using var ended = new CancellationTokenSource();
        var reading = Task.WhenAll(Enumerable.Range(0, readers).Select(_ => Task.Run(() => ReadAfreshAsync(folder, () => Interlocked.Increment(ref answered), ended.Token), Cancel)));

        var kept = new List<string>();
        for (var i = 0; i < restarts; i++)
        {
            await WaitForMoreAsync();
            kept.Add((await VaultLedger.RestartAsync(folder.Open().Vault, Cancel))!);
            // by a session from before, too
            await stays.RefreshAsync(Cancel);
            await stays.Vault.RecordAsync([new LedgerEvent(LedgerKind.Exported, "a", 1)], Cancel);
        }

        await WaitForMoreAsync();
        await ended.CancelAsync();
        await reading;
        var ledgers = kept.Append(folder.Settings.LedgerDirectory).Select(LedgerFile.Summarize).ToList();
        Assert.All(ledgers.Skip(1), lines => Assert.Contains("exported a 1 - 1", lines, StringComparer.Ordinal));
        Assert.InRange(answered, 1, ledgers.Sum(lines => lines.Count(line => line == "read a 1 vault 1")));
        await LedgerEntries.ReadAsync(folder);

        async Task WaitForMoreAsync()
        {
            var before = Volatile.Read(ref answered);
            for (var watch = Stopwatch.StartNew(); Volatile.Read(ref answered) == before;)
            {
                Assert.True(watch.Elapsed < Enough, "nobody can read any more");
                await Task.Delay(1, Cancel);
            }
        }
    }

    private static async Task ReadAfreshAsync(TemporaryFolder folder, Action answered, CancellationToken ended)
    {
        while (!ended.IsCancellationRequested)
        {
            try
            {
                await folder.Open().GetRequiredAsync("a", Cancel);
                answered();
            }
            catch (SecretsException)
            {
                // whoever opened the vault before the restart can't go on
            }
        }
    }

    [Fact]
    public async Task A_vault_that_is_made_anew_or_put_back_with_its_ledger_has_its_own_entries()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "the former");
        var former = folder.Vault + ".former";
        Assert.Equal("the former", await folder.GetAsync("a"));
        Directory.Move(folder.Vault, former);

        await VaultCreation.CreateAsync(folder.Open().Vault, Cancel);
        await folder.SetAsync("a", "the new one");
        Assert.Equal("the new one", await folder.GetAsync("a"));
        Assert.Single(await LedgerEntries.ReadAsync(folder), entry => entry.Kind == LedgerKind.Read);

        Directory.Delete(folder.Vault, recursive: true);
        Directory.Move(former, folder.Vault);
        Assert.Equal("the former", await folder.GetAsync("a"));
        Assert.Equal(2, (await LedgerEntries.ReadAsync(folder)).Count(entry => entry.Kind == LedgerKind.Read));
    }

    [Fact]
    public async Task A_session_that_nobody_uses_any_more_is_given_up()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        var session = await UseAsync(folder);
        for (var attempt = 0; attempt < 1000 && session.TryGetTarget(out _); attempt++)
        {
            GC.Collect();
            // its last writer may still be at its end
            await Task.Delay(20, Cancel);
        }

        Assert.False(session.TryGetTarget(out _));
        Assert.Equal("a1", await folder.GetAsync("a"));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static async Task<WeakReference<LedgerSession>> UseAsync(TemporaryFolder folder)
    {
        var manager = folder.Open();
        await manager.GetRequiredAsync("a", Cancel);
        await manager.FlushAsync(Cancel);
        return new WeakReference<LedgerSession>(manager.Vault.Ledger.Find((await manager.Vault.OpenAsync(Cancel)).Document)!);
    }
}
