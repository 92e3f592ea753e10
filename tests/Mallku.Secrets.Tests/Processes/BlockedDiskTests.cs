using System.Diagnostics;
using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Tests.Processes;

/// <summary>A disk that does not answer: what is asked for is withheld in bounded time, and goes on when the disk does.</summary>
public sealed class BlockedDiskTests
{
    // far below a hang, and above what a busy machine adds to the 5 s of a wait
    private static readonly TimeSpan InTime = TimeSpan.FromSeconds(20);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("fsync:delay_enter=12s", Strace.LedgerSegment, "get")]
    [InlineData("fsync:delay_enter=12s", Strace.LedgerCheckpoint + ".tmp", "set")]
    public async Task A_ledger_whose_disk_does_not_answer_is_told_in_time_and_nothing_is_handed_out_or_changed(string injection, string name, string verb)
    {
        using var folder = await VaultChange.Of("set").PrepareAsync();
        var before = folder.PhotographVault();
        string[] use = verb == "get" ? ["get", folder.Vault, "changed"] : VaultChange.Of("set").For(folder);

        var (error, inTime) = await AskAsync(folder, injection, name, TimeSpan.FromSeconds(12), use);

        Assert.True(inTime, "the answer came when the disk had answered");
        Refusal.RequireLedger(error, $"'{Path.Combine(folder.Vault, "ledger")}'", "could not be written within 5 s", "--no-ledger");
        Assert.Equal(before, folder.PhotographVault());
        await VaultChange.SettleAsync(folder);
        await LedgerEntries.ReadAsync(folder);
    }

    [Theory]
    [InlineData("ftruncate:delay_enter=12s", ".lock", 12, "nothing was changed")]
    [InlineData("fsync:delay_enter=20s", "mallku-secrets.json.encrypted.tmp", 20, "may still be made")]
    public async Task A_vault_whose_disk_does_not_answer_is_told_in_time(string injection, string name, int seconds, string outcome)
    {
        var change = VaultChange.Of("set");
        using var folder = await change.PrepareAsync();
        var known = (await LedgerEntries.ReadAsync(folder)).Count;

        var (error, inTime) = await AskAsync(folder, injection, name, TimeSpan.FromSeconds(seconds), change.For(folder));

        Assert.True(inTime, "the answer came when the disk had answered");
        Refusal.Require(error, folder.Vault, outcome, "look at the disk");
        await LedgerEntries.SettleAsync(folder, known, isNew: await folder.GetAsync("changed") == "the new value");
    }

    // the answer, and whether it came before the disk's; strace keeps the process until then
    private static async Task<(SecretsException Error, bool InTime)> AskAsync(TemporaryFolder folder, string injection, string name, TimeSpan delay, string[] verb)
    {
        using var child = Strace.Start(folder, injection, [name], verb);
        var watch = Stopwatch.StartNew();
        var answer = await child.ReadLineAsync();
        var inTime = watch.Elapsed < delay;
        Assert.Empty(await child.ReadToEndAsync());
        return (Refusal.Parse(answer!), inTime);
    }

    [Fact]
    public async Task Readers_of_a_frozen_disk_are_told_in_time_and_go_on_when_it_answers()
    {
        const int readers = 16;
        using var disk = new Disk();
        var folder = disk.Folder;
        await Mallku.Secrets.Vault.VaultCreation.CreateAsync(folder.Open().Vault, Cancel);
        foreach (var name in Enumerable.Range(0, readers).Select(i => $"key_{i}").Append("hot"))
        {
            await folder.SetAsync(name, "of " + name);
        }

        using var child = Child.Start("readers", folder.Vault, readers.ToString(System.Globalization.CultureInfo.InvariantCulture));
        Assert.Equal("ready", await child.ReadLineAsync());
        disk.Freeze();
        var watch = Stopwatch.StartNew();
        var refused = await AskAsync(child, readers + 1);
        Assert.True(watch.Elapsed < InTime, "it took " + watch.Elapsed);
        Assert.All(refused, answer => Refusal.RequireLedger(Refusal.Parse(answer), folder.Settings.LedgerDirectory, "could not be written within 5 s", "--no-ledger"));

        disk.Thaw();
        Assert.Equal([.. Enumerable.Range(0, readers).Select(i => $"got of key_{i}"), "flushed"], await AskAsync(child, readers + 1));
        child.CloseInput();
        Assert.Empty(await child.ReadToEndAsync());

        var entries = (await LedgerEntries.ReadAsync(folder)).Where(entry => entry.Kind == LedgerKind.Read).ToList();
        Assert.Equal(2001, entries.Where(entry => entry.Secret == "hot").Sum(entry => entry.Count));
        Assert.All(Enumerable.Range(0, readers), i => Assert.Contains(entries, entry => entry.Secret == $"key_{i}"));
    }

    [Theory]
    [InlineData("get", "hot", "could not be written within 5 s")]
    [InlineData("set", "hot", "nothing was changed")]
    [InlineData("remove", "hot", "nothing was changed")]
    [InlineData("rotate", "", "nothing was changed")]
    public async Task A_frozen_disk_is_told_in_time_and_nothing_comes_of_it(string verb, string name, string problem)
    {
        using var disk = new Disk();
        var folder = disk.Folder;
        await Mallku.Secrets.Vault.VaultCreation.CreateAsync(folder.Open().Vault, Cancel);
        await folder.SetAsync("hot", "the kept one");
        var before = folder.PhotographVault();
        disk.Freeze();

        var watch = Stopwatch.StartNew();
        using var child = Child.Start(verb, folder.Vault, name, "another");
        var answer = await child.ReadLineAsync();
        Assert.True(watch.Elapsed < InTime, "it took " + watch.Elapsed);
        Refusal.Require(Refusal.Parse(answer!), folder.Vault, problem, "look at");

        // the system lets go of a process only when the disk has let go of its last call
        disk.Thaw();
        Assert.Empty(await child.ReadToEndAsync());
        Assert.Equal(before, folder.PhotographVault());
        Assert.Equal("the kept one", await folder.GetAsync("hot"));
        await folder.SetAsync("hot", "another one");
        await LedgerEntries.ReadAsync(folder);
    }

    [Fact]
    public async Task Counts_whose_flush_takes_longer_than_the_process_waits_are_written_once()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("hot", "the value");
        using var child = Child.Start("readers", folder.Vault, "0");
        Assert.Equal("ready", await child.ReadLineAsync());

        var rounds = 1;
        using (Strace.Attach(child, "fsync:delay_exit=8000000", Path.Combine(folder.Vault, Strace.LedgerSegment)))
        {
            await Strace.WaitUntilAttachedAsync(child);
            Assert.Contains("could not be written within 5 s", Assert.Single(await AskAsync(child, 1)), StringComparison.Ordinal);
        }

        for (var answer = ""; answer != "flushed" && rounds < 10; rounds++)
        {
            answer = Assert.Single(await AskAsync(child, 1));
        }

        child.CloseInput();
        Assert.Empty(await child.ReadToEndAsync());
        var counted = (await LedgerEntries.ReadAsync(folder)).Where(entry => entry is { Kind: LedgerKind.Read, Secret: "hot" }).Sum(entry => entry.Count);
        Assert.Equal(1 + (1000 * rounds), counted);
    }

    private static async Task<IReadOnlyList<string>> AskAsync(Child child, int answers)
    {
        await child.WriteLineAsync("go");
        var lines = new List<string>();
        for (var i = 0; i < answers; i++)
        {
            lines.Add(await child.ReadLineAsync() ?? throw new InvalidOperationException("the child has ended"));
        }

        return lines;
    }

    /// <summary>A file system of its own under the test's folder, which can be made not to answer.</summary>
    private sealed class Disk : IDisposable
    {
        private readonly TemporaryFolder _image = new();
        private bool _isFrozen;

        internal Disk()
        {
            Requires.Mounts();
            Requires.Program("mkfs.ext4");
            Requires.Program("fsfreeze");
            var file = Path.Combine(_image.Path, "disk");
            using (var disk = File.Create(file))
            {
                disk.SetLength(16 << 20);
            }

            Tool.Run("mkfs.ext4", "-q", file);
            Tool.Run("mount", "-o", "loop", file, Folder.Path);
        }

        internal TemporaryFolder Folder { get; } = new();

        internal void Freeze()
        {
            Tool.Run("fsfreeze", "--freeze", Folder.Path);
            _isFrozen = true;
        }

        internal void Thaw()
        {
            _isFrozen = false;
            Tool.Run("fsfreeze", "--unfreeze", Folder.Path);
        }

        public void Dispose()
        {
            if (_isFrozen)
            {
                Thaw();
            }

            Tool.Run("umount", "--lazy", Folder.Path);
            Folder.Dispose();
            _image.Dispose();
        }
    }
}
