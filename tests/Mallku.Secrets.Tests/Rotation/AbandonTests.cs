using Mallku.Secrets.Rotation;

namespace Mallku.Secrets.Tests.Rotation;

/// <summary>Who gives something up is told what it was, and gives up nothing else.</summary>
public sealed class AbandonTests : ShopStage
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Who_gives_up_a_rotation_that_ends_while_he_waits_is_told_and_gives_up_nothing(bool isGivenUp)
    {
        await Runner.RotateAsync("key", Policy, Cancel);
        await SetAsync("meant");
        var waiting = Task.FromResult<IReadOnlyList<RotationEvent>>([]);
        _shop.During = async step =>
        {
            if (step == "test")
            {
                waiting = Runner.AbandonAsync("key", Cancel).AsTask();
                await Task.Delay(TimeSpan.FromMilliseconds(500), Cancel);
                _shop.FailsAt = isGivenUp ? "test" : null;
            }
        };
        if (isGivenUp)
        {
            await Assert.ThrowsAsync<SecretsException>(async () => await Runner.RotateAsync("key", Policy, Cancel));
            await waiting;
            Assert.Equal("meant", await GetAsync());
        }
        else
        {
            await Runner.RotateAsync("key", Policy, Cancel);
            var error = await Assert.ThrowsAnyAsync<SecretsException>(() => waiting);
            Assert.Contains("was finished by another process meanwhile: version 4 is current; nothing was given up", error.Problem, StringComparison.Ordinal);
            Assert.Equal("made-2", await GetAsync());
        }

        // what was to be revoked is revoked
        _clock.Advance(Grace);
        Assert.Contains((RotationAction.Revoked, 2), await RunAsync());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Who_was_cut_off_while_he_gave_up_goes_on_by_giving_up_again(bool canBeSought)
    {
        _shop.LosesAnswer = true;
        await Assert.ThrowsAsync<SecretsException>(async () => await Runner.RotateAsync("key", Policy, Cancel));
        using var cut = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        _shop.During = async step =>
        {
            if (step == "discard")
            {
                await cut.CancelAsync();
                cut.Token.ThrowIfCancellationRequested();
            }
        };
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await Runner.AbandonAsync("key", cut.Token));
        Assert.Equal(["by hand", "made-1"], _shop.Keys);
        _shop.During = static _ => Task.CompletedTask;
        _shop.FailsAt = canBeSought ? null : "discard";
        var left = await Runner.AbandonAsync("key", Cancel);
        Assert.Equal(canBeSought ? [] : [(RotationAction.KeyLeft, 2)], left.Select(one => (one.Action, one.Version!.Value)));
        Assert.Equal(canBeSought ? ["by hand"] : ["by hand", "made-1"], _shop.Keys);
        Assert.Equal(canBeSought ? [2] : [], Assert.Single(await Runner.GetStatusAsync(Cancel)).Unanswered);
    }

    [Fact]
    public async Task The_versions_whose_keys_stay_live_are_named()
    {
        await Runner.RotateAsync("key", Policy, Cancel);
        await SetAsync("meant");
        await SetAsync("meant otherwise");
        Assert.Equal([(RotationAction.KeyLeft, 2)], (await Runner.AbandonAsync("key", Cancel)).Select(left => (left.Action, left.Version!.Value)));
        _clock.Advance(Grace);
        Assert.Equal([RotationAction.Retired, RotationAction.Revoked], (await Runner.RunDueAsync(Cancel)).Select(done => done.Action));
        Assert.Equal(["made-1"], _shop.Keys);
    }
}
