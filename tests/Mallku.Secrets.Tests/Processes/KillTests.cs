namespace Mallku.Secrets.Tests.Processes;

/// <summary>A kill before each single call to the system leaves the old or the new state, and the next write tidies up.</summary>
public sealed class KillTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData("set", "openat", "write", "fsync", "renameat2", "rename,renameat", "unlink,unlinkat")]
    [InlineData("set, and take a file in", "fsync", "unlink,unlinkat")]
    [InlineData("set, where files can't be exchanged", "fsync", "rename,renameat")]
    [InlineData("rotate", "openat", "write", "fsync", "renameat2", "rename,renameat")]
    [InlineData("rotate, and take a file in", "fsync", "rename,renameat", "unlink,unlinkat")]
    public async Task A_kill_at_a_call_leaves_the_old_or_the_new_state(string title, params string[] calls)
    {
        var change = VaultChange.Of(title);
        using var folder = await change.PrepareAsync();
        var image = FolderImage.Read(folder.Vault);
        var old = Lines(await VaultChange.DescribeAsync(folder));
        foreach (var call in calls)
        {
            var (kills, oldStates) = (0, 0);
            while (true)
            {
                image.Restore(folder.Vault);
                var (killed, answer) = await Strace.KillAsync(
                    folder, "?" + call.Replace(",", ",?", StringComparison.Ordinal), kills + 1, change.Injections, change.For(folder));
                var found = Lines(await VaultChange.DescribeAsync(folder));
                var isOld = found.SequenceEqual(old, StringComparer.Ordinal);
                if (!isOld)
                {
                    RequireNew(change, old, found);
                }

                Assert.True(!isOld || answer.Count == 0, $"answered, and the old state is there after a kill at {call} {kills + 1}");
                await VaultChange.SettleAsync(folder);
                if (!killed)
                {
                    break;
                }

                kills++;
                oldStates += isOld ? 1 : 0;
            }

            output.WriteLine($"{call}: {kills} kills, {oldStates} left the old state");
            Assert.True(kills > 0, $"no kill at {call}");
        }
    }

    private static string[] Lines(string state) => state.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    // A run of its own gives its version its own id and time, so the new state is told by what it must hold.
    private static void RequireNew(VaultChange change, string[] old, string[] found)
    {
        Assert.NotEqual(old[0], found[0], StringComparer.Ordinal);
        if (change.Verb == "rotate")
        {
            Assert.Equal(string.Join('\n', old[1..]), string.Join('\n', found[1..]));
        }
        else
        {
            var text = string.Join('\n', found);
            Assert.Contains("\nchanged = the new value next 3\n", text, StringComparison.Ordinal);
            var unchanged = old.Where(line => line.Contains("kept", StringComparison.Ordinal) || line.Contains("file", StringComparison.Ordinal)).ToList();
            Assert.NotEmpty(unchanged);
            Assert.All(unchanged, line => Assert.Contains("\n" + line, text, StringComparison.Ordinal));
        }
    }
}
