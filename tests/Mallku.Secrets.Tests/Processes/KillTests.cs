using Mallku.Secrets.Ledger;

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
        var old = Lines(await VaultChange.DescribeAsync(folder));
        var known = (await LedgerEntries.ReadAsync(folder)).Count;
        var image = FolderImage.Read(folder.Vault);
        foreach (var call in calls)
        {
            var (kills, oldStates) = (0, 0);
            foreach (var names in Strace.TouchedNames)
            {
                for (var (n, isOver) = (1, false); !isOver; n++)
                {
                    image.Restore(folder.Vault);
                    var (killed, answer) = await Strace.KillAsync(folder, Optional(call), n, names, change.Injections, change.For(folder));
                    var found = Lines(await VaultChange.DescribeAsync(folder));
                    var isOld = found.SequenceEqual(old, StringComparer.Ordinal);
                    if (!isOld)
                    {
                        RequireNew(change, old, found);
                    }

                    Assert.True(!isOld || answer.Count == 0, $"answered, and the old state is there after a kill at {call} {n} of {names[0]}");
                    await LedgerEntries.SettleAsync(folder, known, !isOld);
                    isOver = !killed;
                    kills += killed ? 1 : 0;
                    oldStates += killed && isOld ? 1 : 0;
                }
            }

            output.WriteLine($"{call}: {kills} kills, {oldStates} left the old state");
            Assert.True(kills > 0, $"no kill at {call}");
        }
    }

    [Theory]
    [InlineData("openat")]
    [InlineData("write")]
    [InlineData("fsync")]
    [InlineData("rename,renameat")]
    public async Task A_kill_while_a_vault_begins_leaves_one_that_can_be_begun_again(string call)
    {
        var kills = 0;
        foreach (var names in Strace.TouchedNames)
        {
            for (var (n, isOver) = (1, false); !isOver; n++)
            {
                using var folder = new TemporaryFolder();
                var (killed, answer) = await Strace.KillAsync(folder, Optional(call), n, names, [], ["create", folder.Vault]);
                Assert.Equal(killed ? [] : ["created"], answer);
                if (!File.Exists(folder.VaultFile))
                {
                    Assert.Equal("created", await Child.AskAsync("create", folder.Vault));
                }

                await folder.SetAsync("a", "the value");
                Assert.Equal("the value", await folder.GetAsync("a"));
                Assert.Equal(
                    [LedgerKind.Opened, LedgerKind.Created, LedgerKind.Read],
                    (await LedgerEntries.ReadAsync(folder)).Select(entry => entry.Kind));
                isOver = !killed;
                kills += killed ? 1 : 0;
            }
        }

        Assert.True(kills > 0, $"no kill at {call}");
    }

    [Theory]
    [InlineData("openat")]
    [InlineData("write")]
    [InlineData("fsync")]
    [InlineData("renameat2")]
    [InlineData("rename,renameat")]
    public async Task A_kill_while_a_ledger_is_given_up_leaves_one_that_goes_on_or_is_named(string call)
    {
        using var folder = await VaultChange.Of("set").PrepareAsync();
        var image = FolderImage.Read(folder.Vault);
        var (kills, named) = (0, 0);
        foreach (var names in Strace.TouchedNames)
        {
            for (var (n, isOver) = (1, false); !isOver; n++)
            {
                image.Restore(folder.Vault);
                var (killed, _) = await Strace.KillAsync(folder, Optional(call), n, names, [], ["restart", folder.Vault]);
                try
                {
                    Assert.Equal("the kept value", await folder.GetAsync("kept"));
                }
                catch (LedgerException e)
                {
                    named++;
                    const string way = "put it back: ";
                    Assert.Contains(way, e.Remedy, StringComparison.Ordinal);
                    Tool.Run("sh", "-c", e.Remedy[(e.Remedy.IndexOf(way, StringComparison.Ordinal) + way.Length)..]);
                    Assert.Equal("the kept value", await folder.GetAsync("kept"));
                }

                Assert.Null((await folder.Open().Ledger.VerifyAsync(cancellationToken: TestContext.Current.CancellationToken)).Fault);
                isOver = !killed;
                kills += killed ? 1 : 0;
            }
        }

        output.WriteLine($"{kills} kills, {named} with the ledger out of its place");
        Assert.True(kills > 0, $"no kill at {call}");
    }

    // a name that an architecture does not have is no error with the question mark
    private static string Optional(string calls) => "?" + calls.Replace(",", ",?", StringComparison.Ordinal);

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
