namespace Mallku.Cli.Tests;

/// <summary><c>audit log --follow</c> while the ledger's files come and go.</summary>
public sealed class FollowTests : IDisposable
{
    private const string Interrupt = "\x03";
    private readonly Scratch _scratch = new();

    public FollowTests() => Run("mallku init; echo v | mallku set a");

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public async Task Goes_on_with_the_new_ledger_when_the_former_one_was_given_up()
    {
        using var pty = new Pty(_scratch, "mallku audit log --follow");
        await pty.Await("created a");
        Run("mallku audit restart --yes");
        await pty.Await("was given up");
        await pty.Await(" restarted");
        Run("mallku get a");
        await pty.Await("read a");
        await pty.Type(Interrupt);
        Assert.NotEqual(1, await pty.End());
    }

    [Fact]
    public async Task Goes_on_over_files_that_are_closed_and_archived()
    {
        using var pty = new Pty(_scratch, "mallku audit log --follow");
        await pty.Await("created a");
        Run("mallku audit close; mallku get a");
        await pty.Await("read a, version 1");
        Run("mv .secrets/ledger/*00.jsonl first; echo w | mallku set a");
        await pty.Await("updated a, version 2");
        Assert.DoesNotContain("note", pty.Screen, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Says_what_was_archived_before_it_was_shown()
    {
        // as if the follower had been stopped meanwhile
        using var pty = new Pty(_scratch, "mallku audit log --follow & echo $! > pid; wait");
        await pty.Await("created a");
        Run("kill -STOP $(cat pid); mallku get a; mallku get a; mv $(mallku audit close) archived; echo w | mallku set a; kill -CONT $(cat pid)");
        await pty.Await("updated a, version 2");
        Assert.Contains("archived before this could show them: entries 2 to 3", pty.Screen, StringComparison.Ordinal);
        Run("kill $(cat pid)");
    }

    [Fact]
    public async Task Waits_for_a_ledger_that_is_away_for_a_moment()
    {
        using var pty = new Pty(_scratch, "mallku audit log --follow");
        await pty.Await("created a");
        Run("mv .secrets/ledger away; sleep 1; mv away .secrets/ledger; mallku get a");
        await pty.Await("read a, version 1");
    }

    [Theory]
    [InlineData("mv .secrets/ledger away", 1, "the ledger in '")]
    [InlineData("cp older/* .secrets/ledger/", 1, "an older ledger was put back")]
    [InlineData("rm -r .secrets", 4, "is gone")]
    public async Task Ends_with_an_error_when_there_is_no_ledger_to_go_on_with(string loss, int exitCode, string message)
    {
        Run("cp -r .secrets/ledger older; mallku get a");
        using var pty = new Pty(_scratch, "mallku audit log --follow");
        await pty.Await("read a");
        Run(loss);
        Assert.Equal(exitCode, await pty.End());
        Assert.Contains(message, pty.Screen, StringComparison.Ordinal);
        Assert.Contains("hint: ", pty.Screen, StringComparison.Ordinal);
    }

    private void Run(string line)
    {
        var outcome = _scratch.Run(line);
        Assert.True(outcome.ExitCode == 0, $"{line}: exit {outcome.ExitCode}: {outcome.Error}");
    }
}
