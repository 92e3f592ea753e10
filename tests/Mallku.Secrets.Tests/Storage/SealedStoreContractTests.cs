using Mallku.Secrets.Rotation;
using Microsoft.Extensions.Time.Testing;

namespace Mallku.Secrets.Tests.Storage;

/// <summary>The contract over a sealed store on records in memory, and what only several machines can do to each other.</summary>
public sealed class SealedStoreContractTests : RotationContract
{
    internal override async Task<StorePlace> CreateAsync(TimeProvider clock) => await StoreStage.CreateAsync(clock: clock);

    [Theory]
    [InlineData("create", false)]
    [InlineData("create", true)]
    [InlineData("set", false)]
    [InlineData("set", true)]
    [InlineData("test", false)]
    [InlineData("test", true)]
    public async Task A_machine_that_stood_still_during_a_step_is_overtaken_and_leaves_no_key_behind(string step, bool isGivenUp)
    {
        await using var place = await BeginAsync();
        var isReached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var stands = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Shop.During = async now =>
        {
            if (now == step && isReached.TrySetResult())
            {
                await stands.Task;
            }
        };

        // its clock stands still with it, so that it does not hold its turn
        var frozen = new RotationRunner(place.OpenAt(new FakeTimeProvider(Clock.GetUtcNow())), [Shop]);
        var policy = new RotationPolicy { Rotator = "shop", Grace = TimeSpan.FromDays(1) };
        var standing = frozen.RotateAsync("key", policy, Token).AsTask();
        await isReached.Task.WaitAsync(TimeSpan.FromMinutes(1), Token);

        var other = new RotationRunner(place.OpenAt(Clock), [Shop]);
        var going = isGivenUp ? other.AbandonAsync("key", Token).AsTask() : (Task)other.ResumeAsync("key", Token).AsTask();
        while (!going.IsCompleted)
        {
            Clock.Advance(TimeSpan.FromSeconds(1));
            await Task.Delay(1, Token);
        }

        await going;
        stands.SetResult();
        var overtaken = await Assert.ThrowsAnyAsync<SecretsException>(() => standing);
        Assert.Contains("another process", overtaken.Problem, StringComparison.Ordinal);
        var current = await ReadAsync(place.OpenStore(), "key");
        if (isGivenUp)
        {
            Assert.Equal("by hand", current);
            Assert.Equal(["by hand"], Shop.Keys);
            Assert.True(Shop.InUse is null or "by hand", "what is in use is revoked");
            return;
        }

        Assert.Equal(["by hand", current!], Shop.Keys);
        Assert.Equal(2, (await HistoryAsync(place.OpenStore(), "key")).Count);
        Assert.Null(Assert.Single(await Runner(place).GetStatusAsync(Token)).Pending);
    }
}
