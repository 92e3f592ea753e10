using Mallku.Secrets.Vault;

namespace Mallku.Secrets.Tests.Processes;

/// <summary>Files that are not what they should be: refused for every use, and as good as before when that is mended.</summary>
public sealed class RefusalTests
{
    private const string AnotherUser = "65534";

    private static readonly Dictionary<string, Case> Cases = new(StringComparer.Ordinal)
    {
        ["a folder that others can list"] = new(f => f.Vault, ["chmod", "755"], "mode 0755", "chmod 700 "),
        ["a folder that the group can write to"] = new(f => f.Vault, ["chmod", "770"], "mode 0770", "chmod 700 "),
        ["a vault that others can read"] = new(f => f.VaultFile, ["chmod", "644"], "mode 0644", "chmod 600 "),
        ["a key that the group can read"] = new(f => f.KeyFile, ["chmod", "640"], "mode 0640", "chmod 600 "),
        ["a folder of another user"] = new(f => f.Vault, ["chown", AnotherUser], "belongs to another user", "a folder of your own") { Mend = ["chown", "0"] },
        ["a vault of another user"] = new(f => f.VaultFile, ["chown", AnotherUser], "belongs to another user", "a folder of your own") { Mend = ["chown", "0"] },
        ["a key of another user"] = new(f => f.KeyFile, ["chown", AnotherUser], "belongs to another user", "a folder of your own") { Mend = ["chown", "0"] },
        ["a key that is a fifo"] = new(f => f.KeyFile, ["mkfifo", "-m", "600"], "neither a file nor a folder", "move it away") { Mend = ["rm"] },
        ["a vault that is a fifo"] = new(f => f.VaultFile, ["mkfifo", "-m", "600"], "neither a file nor a folder", "move it away") { Mend = ["rm"] },
        ["a vault that is a folder"] = new(f => f.VaultFile, ["mkdir", "-m", "700"], "is a folder", "move it away") { Mend = ["rmdir"] },
        ["a former vault that is a folder"] = new(f => f.VaultFile + ".previous", ["mkdir", "-m", "755"], "is a folder", "move it away") { Mend = ["rmdir"] },
        ["a key that is a folder"] = new(f => f.KeyFile, ["mkdir", "-m", "700"], "is a folder", "move it away") { Mend = ["rmdir"] },
        ["a folder that is a file"] = new(f => f.Vault, ["install", "-m", "600", "/dev/null"], "is no folder", "name another") { Mend = ["rm"] },
    };

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public static TheoryData<string> Titles => [.. Cases.Keys];

    [Theory]
    [MemberData(nameof(Titles))]
    public async Task It_is_refused_with_a_remedy_and_stays_as_it_is(string title)
    {
        var (subject, breaking, problem, remedy) = Cases[title];
        using var folder = await VaultChange.Of("set").PrepareAsync();
        var path = subject(folder);
        var before = folder.Photograph();
        if (breaking[0] == "chown")
        {
            Requires.Root();
        }

        var replaces = breaking[0] is not ("chmod" or "chown");
        var aside = Path.Combine(folder.Path, "aside");
        if (replaces)
        {
            Tool.Run("mv", path, aside);
        }

        Tool.Run(breaking[0], [.. breaking[1..], path]);

        var help = "";
        foreach (var use in Uses(folder))
        {
            var error = await Assert.ThrowsAsync<VaultOpenException>(use);
            Refusal.Require(error, $"'{path}'", problem, remedy);
            help = error.Remedy;
        }

        if (Cases[title].Mend is { } mend)
        {
            Tool.Run(mend[0], [.. mend[1..], path]);
        }
        else
        {
            // the remedy is the command itself
            Tool.Run("sh", "-c", help);
        }

        if (replaces)
        {
            Tool.Run("mv", aside, path);
        }

        Assert.Equal(before, folder.Photograph());
        await VaultChange.SettleAsync(folder);
    }

    [Fact]
    public async Task A_vault_file_that_is_a_symbolic_link_is_read_and_never_replaced()
    {
        using var folder = await VaultChange.Of("set").PrepareAsync();
        var elsewhere = Path.Combine(folder.Path, "elsewhere");
        File.Move(folder.VaultFile, elsewhere);
        File.CreateSymbolicLink(folder.VaultFile, elsewhere);
        var before = folder.PhotographVault();

        Assert.Equal("the old value", await folder.GetAsync("changed"));
        foreach (var write in Uses(folder).Skip(2).Take(2))
        {
            Refusal.Require(await Assert.ThrowsAsync<SecretsException>(write), folder.VaultFile, "is a symbolic link to", "use the folder that it points to");
            Assert.Equal(before, folder.PhotographVault());
        }

        Refusal.Require(
            await Assert.ThrowsAsync<SecretsException>(Uses(folder).Last()), folder.VaultFile, "is a symbolic link to", "use the folder that it points to");
        Assert.Equal(elsewhere, new FileInfo(folder.VaultFile).LinkTarget);
        Assert.Equal("the old value", await folder.GetAsync("changed"));
    }

    private static IEnumerable<Func<Task>> Uses(TemporaryFolder folder) =>
    [
        () => folder.GetAsync("changed"),
        async () => await folder.Open().ListAsync(Cancel),
        () => folder.SetAsync("changed", "not written"),
        async () => await folder.Open().RemoveAsync("changed", Cancel),
        async () => await VaultKeys.RotateAsync(folder.Open().Vault, Cancel),
    ];

    /// <param name="Subject">What is broken.</param>
    /// <param name="Break">The command that breaks it, without its last argument; one that makes a thing anew puts it in the place of the old.</param>
    /// <param name="Problem">What the error says.</param>
    /// <param name="Remedy">What it advises.</param>
    private sealed record Case(Func<TemporaryFolder, string> Subject, string[] Break, string Problem, string Remedy)
    {
        /// <summary>The command that mends it, where the remedy is not that command.</summary>
        internal string[]? Mend { get; init; }
    }
}
