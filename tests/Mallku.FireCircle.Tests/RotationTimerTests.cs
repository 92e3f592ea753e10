using Mallku.Secrets.Rotation;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Mallku.FireCircle.Tests;

/// <summary>A process that runs for long rotates by itself.</summary>
public sealed class RotationTimerTests
{
    private static readonly TimeSpan Generous = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task What_becomes_due_while_a_process_runs_is_rotated_and_what_fails_keeps_nothing_else_from_it()
    {
        await using var stage = await Stage.SetAsync();
        await stage.StoreAsync("a_broken");
        var first = await stage.StoreAsync("b_fine");
        var services = new ServiceCollection();
        services.AddLogging();
        var clock = new ShiftedClock();
        services.AddMallkuSecrets(stage.Options with { TimeProvider = clock });
        services.AddMallkuRotation(TimeSpan.FromMilliseconds(50));
        await using var provider = services.BuildServiceProvider();
        var timer = Assert.Single(provider.GetServices<IHostedService>());
        await timer.StartAsync(Stage.Cancel);

        var runner = provider.GetRequiredService<RotationRunner>();
        await runner.SetPolicyAsync("a_broken", new RotationPolicy { Rotator = "command", Command = ["/bin/false"], Every = TimeSpan.FromMinutes(1) }, Stage.Cancel);
        await runner.SetPolicyAsync("b_fine", new RotationPolicy { Rotator = "generate", Every = TimeSpan.FromMinutes(1) }, Stage.Cancel);
        await Task.Delay(200, Stage.Cancel);
        Assert.Equal(first, (await stage.Secrets.GetAsync("b_fine", Stage.Cancel))!.RevealString());

        clock.Shift = TimeSpan.FromMinutes(2);
        var deadline = DateTimeOffset.UtcNow + Generous;
        while ((await stage.Secrets.FindAsync("b_fine", Stage.Cancel))!.Version != 2)
        {
            Assert.True(DateTimeOffset.UtcNow < deadline, "nothing was rotated");
            await Task.Delay(20, Stage.Cancel);
        }

        await timer.StopAsync(Stage.Cancel);
        Assert.Equal("create", (await runner.GetStatusAsync(Stage.Cancel))[0].PendingStep);
    }

    private sealed class ShiftedClock : TimeProvider
    {
        internal TimeSpan Shift { get; set; }

        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + Shift;
    }
}
