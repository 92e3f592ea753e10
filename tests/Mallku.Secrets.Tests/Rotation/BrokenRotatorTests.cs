using Mallku.Secrets.Rotation;

namespace Mallku.Secrets.Tests.Rotation;

/// <summary>Rotators that fail otherwise than they should: their step fails, and nothing else does.</summary>
public sealed class BrokenRotatorTests : ShopStage
{
    private const string Hidden = "canary-in-the-text";

    [Theory]
    [InlineData("create")]
    [InlineData("set")]
    [InlineData("test")]
    public async Task Whatever_a_step_throws_is_its_failure_without_the_text_and_can_be_gone_on_with(string step)
    {
        _shop.During = at => at == step ? throw new HttpRequestException(Hidden) : Task.CompletedTask;
        var error = await Assert.ThrowsAsync<SecretsException>(async () => await Runner.RotateAsync("key", Policy, Cancel));
        Assert.Contains($"stopped at the step '{step}': the rotator 'shop' failed with HttpRequestException; version 1 stays in use", error.Problem, StringComparison.Ordinal);
        Assert.IsType<HttpRequestException>(error.InnerException?.InnerException);
        Assert.Equal("the rotator 'shop' failed with HttpRequestException", Assert.Single(await Runner.GetStatusAsync(Cancel)).Failure);
        Assert.DoesNotContain(Hidden, error.Message, StringComparison.Ordinal);

        _shop.During = static _ => Task.CompletedTask;
        Assert.Equal(2, (await Runner.ResumeAsync("key", Cancel)).Version);
    }

    [Fact]
    public async Task It_keeps_no_other_secret_from_its_turn_neither_while_it_makes_a_key_nor_while_it_revokes_one()
    {
        await SetAsync("another", "other_key");
        var often = Policy with { Every = TimeSpan.FromMinutes(1), Grace = TimeSpan.Zero };
        await Runner.SetPolicyAsync("key", often, Cancel);
        await Runner.SetPolicyAsync("other_key", often with { Rotator = "other" }, Cancel);
        foreach (var (step, rotated) in new[] { ("create", "made nothing"), ("revoke", "made one") })
        {
            _clock.Advance(TimeSpan.FromMinutes(2));

            // the time of an HttpClient is over, and nobody has cancelled anything
            _shop.During = at => at == step ? throw new TaskCanceledException(Hidden) : Task.CompletedTask;
            var done = await Runner.RunDueAsync(Cancel);
            var failed = Assert.Single(done, each => each.Action == RotationAction.Failed);
            Assert.Contains("failed with TaskCanceledException, though nobody cancelled it", failed.Error!.Problem, StringComparison.Ordinal);
            Assert.DoesNotContain(Hidden, failed.Error.Message, StringComparison.Ordinal);
            Assert.Equal("other_key", Assert.Single(done, each => each.Action == RotationAction.Rotated && each.Name != "key").Name);
            Assert.Equal(rotated == "made one", done.Any(each => each is { Action: RotationAction.Rotated, Name: "key" }));
        }
    }

    [Fact]
    public async Task A_rotation_that_is_given_up_ends_whatever_its_rotator_throws()
    {
        _shop.FailsAt = "test";
        await Assert.ThrowsAsync<SecretsException>(async () => await Runner.RotateAsync("key", Policy, Cancel));
        _shop.During = static _ => throw new InvalidOperationException(Hidden);
        var done = await Runner.AbandonAsync("key", Cancel);
        Assert.Contains("failed with InvalidOperationException", Assert.Single(done).Error!.Problem, StringComparison.Ordinal);
        Assert.Null(Assert.Single(await Runner.GetStatusAsync(Cancel)).Pending);
    }

    [Fact]
    public async Task Who_cancels_a_step_is_told_so()
    {
        using var cancelling = new CancellationTokenSource();
        _shop.During = async _ =>
        {
            await cancelling.CancelAsync();
            cancelling.Token.ThrowIfCancellationRequested();
        };
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await Runner.RotateAsync("key", Policy, cancelling.Token));
        Assert.Null(Assert.Single(await Runner.GetStatusAsync(Cancel)).Failure);
    }
}
