using Mallku.Secrets.Ledger;
using Mallku.Secrets.Rotation;
using Mallku.Secrets.Tests.Processes;

namespace Mallku.Secrets.Tests.Rotation;

/// <summary>An earlier value comes back as a new version, with its key, in the steps of a rotation; and none comes back that is of no use.</summary>
public sealed class RollbackTests : ShopStage
{
    [Fact]
    public async Task A_rollback_of_a_rollback_leaves_the_one_key_that_is_in_use()
    {
        await Runner.RotateAsync("key", Policy, Cancel);
        await Runner.RollBackAsync("key", cancellationToken: Cancel);
        await Runner.RollBackAsync("key", cancellationToken: Cancel);
        Assert.Equal("made-1", await GetAsync());
        Assert.Equal(["by hand", "made-1"], _shop.Keys);
        _clock.Advance(Grace);
        await Runner.RunDueAsync(Cancel);
        Assert.Equal(["made-1"], _shop.Keys);

        await Runner.RotateAsync("key", Policy, Cancel);
        await Runner.RollBackAsync("key", cancellationToken: Cancel);
        await Runner.RollBackAsync("key", cancellationToken: Cancel);
        await Runner.RollBackAsync("key", cancellationToken: Cancel);
        _clock.Advance(Grace);
        await Runner.RunDueAsync(Cancel);
        Assert.Equal("made-1", await GetAsync());
        Assert.Equal(["made-1"], _shop.Keys);
        await RequireNothingLeftAsync();
    }

    [Fact]
    public async Task A_rollback_without_a_grace_leaves_the_key_to_the_next_run()
    {
        await Runner.RotateAsync("key", Policy, Cancel);
        await Runner.RollBackAsync("key", grace: TimeSpan.Zero, cancellationToken: Cancel);
        Assert.Equal([2], Assert.Single(await Runner.GetStatusAsync(Cancel)).Unrevoked);
        Assert.Equal([(RotationAction.Revoked, 2)], await RunAsync());
        Assert.Equal(["by hand"], _shop.Keys);
    }

    [Fact]
    public async Task A_rollback_makes_an_earlier_value_current_as_a_new_version_and_keeps_its_key_alive()
    {
        await Runner.RotateAsync("key", Policy, Cancel);
        var back = await Runner.RollBackAsync("key", cancellationToken: Cancel);
        Assert.Equal((3, 1, 2), (back.Version, back.Restored, back.Replaced));
        Assert.Equal("by hand", _shop.InUse);
        Assert.Equal(["by hand", "made-1"], await LiveAsync());
        _clock.Advance(Grace);
        await Runner.RunDueAsync(Cancel);
        Assert.Equal(["by hand"], _shop.Keys);
        Assert.Equal(["by hand"], await LiveAsync());

        foreach (var (number, why) in new[] { (2, "was revoked"), (3, "is the current one"), (7, "is not kept") })
        {
            var error = await Assert.ThrowsAsync<SecretsException>(async () => await Runner.RollBackAsync("key", number, cancellationToken: Cancel));
            Assert.Contains(why, error.Problem, StringComparison.Ordinal);
        }

        Assert.Equal(LedgerKind.RolledBack, (await LedgerEntries.ReadAsync(_folder)).Last(entry => entry.Version == 3 && entry.Generation is not null).Kind);
    }

    [Fact]
    public async Task A_rollback_waits_for_who_revokes_and_brings_no_revoked_key_back()
    {
        var revoking = new TaskCompletionSource();
        var release = new TaskCompletionSource();
        _shop.During = async step =>
        {
            if (step == "revoke")
            {
                revoking.SetResult();
                await release.Task;
            }
        };
        var rotating = Runner.RotateAsync("key", Policy with { Grace = TimeSpan.Zero }, Cancel).AsTask();
        await revoking.Task.WaitAsync(TimeSpan.FromMinutes(1), Cancel);
        var back = Runner.RollBackAsync("key", 1, cancellationToken: Cancel).AsTask();
        release.SetResult();
        await rotating;
        Assert.Contains("was revoked", (await Assert.ThrowsAsync<SecretsException>(() => back)).Problem, StringComparison.Ordinal);
        Assert.Equal(["made-1"], await LiveAsync());
        Assert.Equal(["made-1"], _shop.Keys);
    }

    [Fact]
    public async Task A_version_whose_revoking_was_begun_can_not_come_back()
    {
        _shop.FailsAt = "revoke";
        await Runner.RotateAsync("key", Policy with { Grace = TimeSpan.Zero }, Cancel);
        var error = await Assert.ThrowsAsync<SecretsException>(async () => await Runner.RollBackAsync("key", 1, cancellationToken: Cancel));
        Assert.Contains("is being revoked", error.Problem, StringComparison.Ordinal);
        Assert.Equal(["made-1"], await LiveAsync());
    }

    [Theory]
    [InlineData("set", true)]
    [InlineData("set", false)]
    [InlineData("test", true)]
    [InlineData("test", false)]
    public async Task A_rollback_that_is_cut_off_is_gone_on_with_or_given_up_as_a_rotation_is(string step, bool isResumed)
    {
        await Runner.RotateAsync("key", Policy, Cancel);
        _shop.FailsAt = step;
        var error = await Assert.ThrowsAsync<SecretsException>(async () => await Runner.RollBackAsync("key", 1, TimeSpan.FromHours(9), Cancel));
        Assert.Contains($"the rollback of 'key' stopped at the step '{step}'", error.Problem, StringComparison.Ordinal);
        Assert.Equal(["made-1", "by hand"], await LiveAsync());
        var status = Assert.Single(await Runner.GetStatusAsync(Cancel));
        Assert.Equal((3, step), (status.Pending, status.PendingStep));
        await Assert.ThrowsAsync<SecretsException>(async () => await Runner.RollBackAsync("key", 1, cancellationToken: Cancel));

        _shop.FailsAt = null;
        if (isResumed)
        {
            var back = await Runner.ResumeAsync("key", Cancel);
            Assert.Equal((3, 2, _clock.GetUtcNow() + TimeSpan.FromHours(9)), (back.Version, back.Replaced, back.GraceEnds));
            Assert.Equal(["by hand", "made-1"], await LiveAsync());
            Assert.Contains(await LedgerEntries.ReadAsync(_folder), entry => entry is { Kind: LedgerKind.RolledBack, Version: 3, Note: "to the value of version 1" });
        }
        else
        {
            Assert.Empty(await Runner.AbandonAsync("key", Cancel));
            Assert.Equal("made-1", _shop.InUse);
            Assert.Equal(["made-1", "by hand"], await LiveAsync());
        }

        Assert.Equal(isResumed ? "by hand" : "made-1", _shop.InUse);
        _clock.Advance(TimeSpan.FromHours(10));
        await Runner.RunDueAsync(Cancel);
        Assert.Equal([isResumed ? "by hand" : "made-1"], _shop.Keys);
        Assert.Equal([isResumed ? "by hand" : "made-1"], await LiveAsync());
    }

    [Fact]
    public async Task A_timer_goes_on_with_a_rollback_that_was_cut_off()
    {
        await Runner.RotateAsync("key", Policy, Cancel);
        _shop.FailsAt = "set";
        await Assert.ThrowsAsync<SecretsException>(async () => await Runner.RollBackAsync("key", cancellationToken: Cancel));
        _shop.FailsAt = null;
        Assert.Equal((RotationAction.Rotated, 3), (await Runner.RunDueAsync(Cancel)).Select(done => (done.Action, done.Version!.Value)).Single());
        Assert.Equal(["by hand", "made-1"], await LiveAsync());
    }

    [Fact]
    public async Task A_value_that_its_provider_refuses_by_now_does_not_come_back()
    {
        await Runner.RotateAsync("key", Policy, Cancel);
        _shop.Live.Remove("by hand");
        var error = await Assert.ThrowsAsync<SecretsException>(async () => await Runner.RollBackAsync("key", cancellationToken: Cancel));
        Assert.Contains("stopped at the step 'test'", error.Problem, StringComparison.Ordinal);
        await Runner.AbandonAsync("key", Cancel);
        Assert.Equal("made-1", await GetAsync());
        Assert.Equal("made-1", _shop.InUse);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_version_whose_key_was_to_be_revoked_and_is_left_alone_can_not_come_back(bool isAbandonedRotation)
    {
        if (isAbandonedRotation)
        {
            _shop.FailsAt = "test";
            await Assert.ThrowsAsync<SecretsException>(async () => await Runner.RotateAsync("key", Policy, Cancel));
            _shop.FailsAt = "revoke";
            Assert.Equal([RotationAction.Failed], (await Runner.AbandonAsync("key", Cancel)).Select(done => done.Action));
        }
        else
        {
            await Runner.RotateAsync("key", Policy, Cancel);
            await Runner.RotateAsync("key", Policy with { Grace = TimeSpan.Zero }, Cancel);
            _shop.FailsAt = "revoke";
            await Runner.RotateAsync("key", Policy, Cancel);
        }

        _clock.Advance(Grace);
        await Runner.RunDueAsync(Cancel);
        await Runner.AbandonAsync("key", Cancel);
        var error = await Assert.ThrowsAsync<SecretsException>(async () => await Runner.RollBackAsync("key", 2, cancellationToken: Cancel));
        Assert.Contains("version 2 of 'key' ", error.Problem, StringComparison.Ordinal);
        await Assert.ThrowsAsync<SecretsException>(async () => await Runner.RollBackAsync("key", cancellationToken: Cancel));
    }

    [Fact]
    public async Task A_version_that_was_set_over_can_come_back_though_its_key_is_to_stay()
    {
        await Runner.RotateAsync("key", Policy, Cancel);
        await SetAsync("mistyped");
        await Runner.AbandonAsync("key", Cancel);
        await Runner.RollBackAsync("key", 2, cancellationToken: Cancel);
        Assert.Equal("made-1", await GetAsync());
    }
}
