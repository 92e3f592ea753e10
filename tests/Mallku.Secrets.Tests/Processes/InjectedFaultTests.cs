using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Tests.Processes;

/// <summary>A call to the system that fails, each made to by <c>strace</c>.</summary>
public sealed class InjectedFaultTests
{
    private const string Vault = "mallku-secrets.json.encrypted";

    [Theory]
    [InlineData("write:error=ENOSPC", Vault + ".tmp", "no space left for", "free some space")]
    [InlineData("write:error=EDQUOT", Vault + ".tmp", "no space left for", "free some space")]
    [InlineData("write:error=EIO", Vault + ".tmp", "Input/output error", "look at the folder and the disk")]
    [InlineData("fsync:error=ENOSPC", Vault + ".tmp", "no space left for", "free some space")]
    [InlineData("fsync:error=EIO", Vault + ".tmp", "Input/output error", "look at the folder and the disk")]
    [InlineData("openat:error=ENOSPC", Vault + ".tmp", "no space left for", "free some space")]
    [InlineData("openat:error=EROFS", ".lock", "can't be written", "make the folder writable")]
    [InlineData("openat:error=EACCES", ".lock", "can't be written", "make the folder writable")]
    [InlineData("renameat2:error=EIO", Vault, "Input/output error", "look at the folder and the disk")]
    [InlineData("?rename,?renameat:error=EIO", Vault + ".tmp", "Input/output error", "look at the folder and the disk")]
    [InlineData("flock:error=ENOLCK", ".lock", "has no locks", "keep the vault on a local file system")]
    [InlineData("flock:error=EOPNOTSUPP", ".lock", "has no locks", "keep the vault on a local file system")]
    public async Task A_fault_is_told_with_a_remedy_and_changes_nothing(string injection, string name, string problem, string remedy)
    {
        using var folder = await VaultChange.Of("set").PrepareAsync();
        var before = folder.PhotographVault();
        foreach (var title in new[] { "set", "remove" })
        {
            var error = Refusal.Parse(await Strace.AskAsync(folder, injection, [name], VaultChange.Of(title).For(folder)));

            Assert.IsType<SecretsException>(error);
            Refusal.Require(error, folder.Vault, problem, remedy);
            Assert.EndsWith(Refusal.NothingChanged, error.Problem, StringComparison.Ordinal);
            Assert.Equal(before, folder.PhotographVault());
        }

        await VaultChange.SettleAsync(folder);
    }

    [Theory]
    [InlineData("write:error=ENOSPC", Strace.LedgerSegment, "No space left on device")]
    [InlineData("write:error=EDQUOT", Strace.LedgerSegment, "Disk quota exceeded")]
    [InlineData("write:error=EIO", Strace.LedgerSegment, "Input/output error")]
    [InlineData("fsync:error=ENOSPC", Strace.LedgerSegment, "No space left on device")]
    [InlineData("fsync:error=EDQUOT", Strace.LedgerSegment, "Disk quota exceeded")]
    [InlineData("fsync:error=EIO", Strace.LedgerSegment, "Input/output error")]
    [InlineData("openat:error=EACCES", Strace.LedgerSegment, "Permission denied")]
    [InlineData("openat:error=ENOSPC", Strace.LedgerCheckpoint + ".tmp", "no space left for")]
    [InlineData("write:error=ENOSPC", Strace.LedgerCheckpoint + ".tmp", "no space left for")]
    [InlineData("write:error=EDQUOT", Strace.LedgerCheckpoint + ".tmp", "no space left for")]
    [InlineData("write:error=EIO", Strace.LedgerCheckpoint + ".tmp", "Input/output error")]
    [InlineData("fsync:error=ENOSPC", Strace.LedgerCheckpoint + ".tmp", "no space left for")]
    [InlineData("fsync:error=EDQUOT", Strace.LedgerCheckpoint + ".tmp", "no space left for")]
    [InlineData("fsync:error=EIO", Strace.LedgerCheckpoint + ".tmp", "Input/output error")]
    [InlineData("?rename,?renameat:error=ENOSPC", Strace.LedgerCheckpoint + ".tmp", "no space left for")]
    [InlineData("?rename,?renameat:error=EDQUOT", Strace.LedgerCheckpoint + ".tmp", "no space left for")]
    [InlineData("?rename,?renameat:error=EIO", Strace.LedgerCheckpoint + ".tmp", "Input/output error")]
    [InlineData("fsync:error=EIO", "ledger", "the disk did not confirm it")]
    [InlineData("openat:error=EROFS", Strace.LedgerLock, "Read-only file system")]
    [InlineData("flock:error=ENOLCK", Strace.LedgerLock, "No locks available")]
    public async Task A_fault_of_the_ledger_is_told_and_nothing_is_handed_out_or_changed(string injection, string name, string problem)
    {
        using var folder = await VaultChange.Of("set").PrepareAsync();
        var before = folder.PhotographVault();
        var known = (await LedgerEntries.ReadAsync(folder)).Count;
        string[][] uses = [VaultChange.Of("set").For(folder), VaultChange.Of("remove").For(folder), VaultChange.Of("rotate").For(folder), ["get", folder.Vault, "changed"]];
        foreach (var use in uses)
        {
            var error = Refusal.Parse(await Strace.AskAsync(folder, injection, [name], use));

            Refusal.RequireLedger(error, $"'{Path.Combine(folder.Vault, "ledger")}'", problem, "--no-ledger");
            Assert.Equal(before, folder.PhotographVault());
        }

        await VaultChange.SettleAsync(folder);
        var entries = (await LedgerEntries.ReadAsync(folder)).Skip(known).ToList();
        if (name == "ledger")
        {
            // the entries were there, and only the disk's word for it was missing
            Assert.Equal(
                [LedgerKind.Updated, LedgerKind.Aborted, LedgerKind.Removed, LedgerKind.Aborted, LedgerKind.KeyRotated, LedgerKind.Read],
                entries.Take(6).Select(entry => entry.Kind));
        }
        else
        {
            Assert.All(entries, entry => Assert.True(entry.Kind is LedgerKind.Read or LedgerKind.Created or LedgerKind.Recovered, entry.ToString()));
        }
    }

    [Theory]
    [InlineData("write:error=EINTR:when=1", Strace.LedgerSegment)]
    [InlineData("fsync:error=EINTR:when=1", Strace.LedgerSegment)]
    [InlineData("write:error=EINTR:when=1", Strace.LedgerCheckpoint + ".tmp")]
    [InlineData("fsync:error=EINTR:when=1", Strace.LedgerCheckpoint + ".tmp")]
    [InlineData("fsync:error=EINTR:when=1", "ledger")]
    [InlineData("flock:error=EINTR:when=1", Strace.LedgerLock)]
    [InlineData("write:error=EINTR:when=1", Vault + ".tmp")]
    [InlineData("fsync:error=EINTR:when=1", Vault + ".tmp")]
    [InlineData("fsync:error=EINTR:when=1", ".")]
    [InlineData("flock:error=EINTR:when=1", ".lock")]
    // its content only tells whom a writer waits for
    [InlineData("write:error=ENOSPC", ".lock")]
    public async Task A_call_that_a_signal_interrupts_and_a_lock_that_can_not_name_its_holder_stop_nothing(string injection, string name)
    {
        using var folder = await VaultChange.Of("set").PrepareAsync();
        Assert.Equal("set 2", await Strace.AskAsync(folder, injection, [name], VaultChange.Of("set").For(folder)));
        Assert.Equal("the new value", await folder.GetAsync("changed"));
    }

    [Fact]
    public async Task A_folder_that_the_disk_does_not_confirm_is_told_and_the_change_is_there()
    {
        using var folder = await VaultChange.Of("set").PrepareAsync();
        var error = Refusal.Parse(await Strace.AskAsync(folder, "fsync:error=EIO", ["."], VaultChange.Of("set").For(folder)));

        Refusal.Require(error, folder.VaultFile, "the disk did not confirm it", "look whether the change is there");
        Assert.DoesNotContain(Refusal.NothingChanged, error.Problem, StringComparison.Ordinal);
        Assert.Equal("the new value", await folder.GetAsync("changed"));
        await VaultChange.SettleAsync(folder);
    }

    [Theory]
    [InlineData("write:error=ENOSPC")]
    [InlineData("fsync:error=EIO")]
    [InlineData("?rename,?renameat:error=EIO")]
    public async Task A_rotation_that_fails_anywhere_says_truly_whether_it_changed_anything(string injection)
    {
        var change = VaultChange.Of("rotate");
        using var folder = await change.PrepareAsync();
        var secrets = await DescribeSecretsAsync(folder);
        var image = FolderImage.Read(folder.Vault);
        var before = folder.PhotographVault();
        var (faults, ofLedger, unchanged) = (0, 0, 0);
        foreach (var names in Strace.TouchedNames)
        {
            for (var (n, isOver) = (1, false); !isOver; n++)
            {
                image.Restore(folder.Vault);
                var answer = await Strace.AskAsync(
                    folder, $"{injection}:when={n}", names.Where(name => !name.EndsWith(".lock", StringComparison.Ordinal)), change.For(folder));
                Assert.Equal(secrets, await DescribeSecretsAsync(folder));
                isOver = answer == "rotated 2";
                if (!isOver)
                {
                    faults++;
                    var error = Refusal.Parse(answer);
                    Refusal.Require(error, folder.Vault, "", "");
                    var isOfLedger = error is LedgerException;
                    Assert.True(!isOfLedger || error.Problem.EndsWith(Refusal.NothingDone, StringComparison.Ordinal), error.Problem);
                    if (isOfLedger || error.Problem.EndsWith(Refusal.NothingChanged, StringComparison.Ordinal))
                    {
                        Assert.Equal(before, folder.PhotographVault());
                        ofLedger += isOfLedger ? 1 : 0;
                        unchanged += isOfLedger ? 0 : 1;
                    }

                    await VaultChange.SettleAsync(folder);
                }
            }
        }

        Assert.True(
            ofLedger > 0 && unchanged > 0 && faults > ofLedger + unchanged,
            $"{faults} faults, {ofLedger} of them of the ledger, and {unchanged} more before the change");
    }

    [Fact]
    public async Task A_file_that_was_taken_in_and_can_not_be_removed_is_told()
    {
        var change = VaultChange.Of("set, and take a file in");
        using var folder = await change.PrepareAsync();
        var file = Path.Combine(folder.Vault, "filed.secret");
        var error = Refusal.Parse(await Strace.AskAsync(folder, "?unlink,unlinkat:error=EIO", ["filed.secret"], change.For(folder)));

        Refusal.Require(error, file, "the change is in the vault", "rm " + file);
        Assert.DoesNotContain(Refusal.NothingChanged, error.Problem, StringComparison.Ordinal);
        Assert.Equal("the new value", await folder.GetAsync("changed"));
        await VaultChange.SettleAsync(folder);
        Assert.Equal("the value in the file", await folder.GetAsync("filed"));
    }

    // the generation apart
    private static async Task<string> DescribeSecretsAsync(TemporaryFolder folder)
    {
        var state = await VaultChange.DescribeAsync(folder);
        return state[state.IndexOf('\n', StringComparison.Ordinal)..];
    }
}
