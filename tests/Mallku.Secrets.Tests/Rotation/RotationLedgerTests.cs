using Mallku.Secrets.Rotation;

namespace Mallku.Secrets.Tests.Rotation;

/// <summary>No rotator is asked for what the ledger can't tell, and where it can't tell what was done, that is said.</summary>
public sealed class RotationLedgerTests : ShopStage
{
    private string Ledger => Path.Combine(_folder.Vault, "ledger");

    [Theory]
    [InlineData("mode")]
    [InlineData("gone")]
    [InlineData("altered")]
    [InlineData("older vault")]
    public async Task No_rotator_is_asked_for_anything_that_the_ledger_can_not_tell(string fault)
    {
        await SetAsync("another", "stuck");
        await Runner.RotateAsync("key", Policy with { Grace = TimeSpan.Zero }, Cancel);
        _shop.FailsAt = "revoke";
        await Runner.RotateAsync("key", cancellationToken: Cancel);
        _shop.FailsAt = "set";
        await Assert.ThrowsAsync<SecretsException>(async () => await Runner.RotateAsync("stuck", Policy, Cancel));
        _shop.FailsAt = null;
        var before = File.ReadAllBytes(_folder.VaultFile);
        switch (fault)
        {
            case "mode":
                await BreakAsync();
                break;
            case "gone":
                Directory.Move(Ledger, Ledger + ".elsewhere");
                break;
            case "altered":
                await File.AppendAllTextAsync(Path.Combine(Ledger, "checkpoint"), "x\n", Cancel);
                break;
            default:
                await SetAsync("1", "more");
                await SetAsync("2", "more");
                File.WriteAllBytes(_folder.VaultFile, before);
                File.Delete(_folder.VaultFile + ".previous");
                break;
        }

        var steps = _shop.Steps.Count;
        Assert.All(await Runner.RunDueAsync(Cancel), done => Assert.IsType<LedgerException>(done.Error));
        await Assert.ThrowsAnyAsync<SecretsException>(async () => await Runner.ResumeAsync("stuck", Cancel));
        await Assert.ThrowsAnyAsync<SecretsException>(async () => await Runner.AbandonAsync("stuck", Cancel));
        await Assert.ThrowsAnyAsync<SecretsException>(async () => await Runner.RotateAsync("key", Policy, Cancel));
        Assert.Equal(steps, _shop.Steps.Count);
        Assert.Equal(before, File.ReadAllBytes(_folder.VaultFile));
    }

    [Fact]
    public async Task Where_a_step_can_not_be_recorded_it_is_said_which_and_how_to_go_on()
    {
        _shop.During = step => step == "create" ? BreakAsync() : Task.CompletedTask;
        var error = await Assert.ThrowsAsync<LedgerException>(async () => await Runner.RotateAsync("key", Policy, Cancel));
        Assert.StartsWith("the rotation of 'key' stopped at the step 'create': the ledger in", error.Problem, StringComparison.Ordinal);
        Assert.EndsWith("; version 1 stays in use", error.Problem, StringComparison.Ordinal);
        Assert.DoesNotContain("nothing was", error.Problem, StringComparison.Ordinal);
        Assert.Contains("mallku rotate key --resume", error.Remedy, StringComparison.Ordinal);
        Mend();
        _shop.During = static _ => Task.CompletedTask;
        await Runner.ResumeAsync("key", Cancel);
        Assert.Equal(["by hand", "made-2"], _shop.Keys);
    }

    [Fact]
    public async Task Where_what_follows_a_rotation_can_not_be_recorded_the_new_version_is_told_all_the_same()
    {
        _shop.During = step => step == "revoke" ? BreakAsync() : Task.CompletedTask;
        var rotated = await Runner.RotateAsync("key", Policy with { Grace = TimeSpan.Zero }, Cancel);
        Assert.Equal(2, rotated.Version);
        var left = Assert.Single(rotated.Settled);
        Assert.Equal((RotationAction.Failed, null), (left.Action, left.Version));
        Assert.StartsWith("what is left to do of 'key' could not be done: the key of version 1 of 'key' was revoked, and that could not be recorded: the ledger in", left.Error!.Problem, StringComparison.Ordinal);
        Assert.DoesNotContain("nothing was", left.Error.Problem, StringComparison.Ordinal);
        Mend();
        _shop.During = static _ => Task.CompletedTask;
        Assert.Equal("made-1", await GetAsync());
        Assert.Equal([(RotationAction.Revoked, 1)], await RunAsync());
    }

    private Task BreakAsync()
    {
        File.SetUnixFileMode(Ledger, (UnixFileMode)0x1FF);
        return Task.CompletedTask;
    }

    private void Mend() => File.SetUnixFileMode(Ledger, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
}
