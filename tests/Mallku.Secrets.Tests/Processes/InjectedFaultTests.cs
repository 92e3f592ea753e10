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
        var before = folder.Photograph();
        foreach (var title in new[] { "set", "remove" })
        {
            var error = Refusal.Parse(await Strace.AskAsync(folder, injection, [name], VaultChange.Of(title).For(folder)));

            Refusal.Require(error, folder.Vault, problem, remedy);
            Assert.EndsWith(Refusal.NothingChanged, error.Problem, StringComparison.Ordinal);
            Assert.Equal(before, folder.Photograph());
        }

        await VaultChange.SettleAsync(folder);
    }

    [Theory]
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
        var image = FolderImage.Read(folder.Vault);
        var secrets = await DescribeSecretsAsync(folder);
        var before = Photograph(folder);
        var (faults, unchanged) = (0, 0);
        while (true)
        {
            image.Restore(folder.Vault);
            var answer = await Strace.AskAsync(
                folder, $"{injection}:when={faults + 1}", Strace.TouchedNames.Where(name => name != ".lock"), change.For(folder));
            Assert.Equal(secrets, await DescribeSecretsAsync(folder));
            if (answer == "rotated 2")
            {
                break;
            }

            faults++;
            var error = Refusal.Parse(answer);
            Refusal.Require(error, folder.Vault, "", "");
            if (error.Problem.EndsWith(Refusal.NothingChanged, StringComparison.Ordinal))
            {
                unchanged++;
                Assert.Equal(before, Photograph(folder));
            }

            await VaultChange.SettleAsync(folder);
        }

        Assert.True(unchanged > 0 && faults > unchanged, $"{faults} faults, {unchanged} of them before the change");
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

    // a key that nothing is encrypted under yet is no change
    private static IReadOnlyList<string> Photograph(TemporaryFolder folder) =>
        [.. folder.Photograph().Where(file => !file.Key.Contains(".next", StringComparison.Ordinal)).Select(file => $"{file.Key} {file.Value}").Order(StringComparer.Ordinal)];
}
