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

    [Fact]
    public async Task A_rotator_that_throws_anything_and_a_store_that_does_stop_no_host()
    {
        await using var stage = await Stage.SetAsync();
        await stage.StoreAsync("a_broken");
        await stage.StoreAsync("b_fine");
        var clock = new ShiftedClock();
        var builder = Host.CreateEmptyApplicationBuilder(settings: null);
        builder.Services.AddMallkuSecrets(stage.Options with { TimeProvider = clock });
        builder.Services.AddSingleton<IRotator, BrokenRotator>();
        builder.Services.AddMallkuRotation(TimeSpan.FromMilliseconds(50));
        using var host = builder.Build();
        var runner = host.Services.GetRequiredService<RotationRunner>();
        await runner.SetPolicyAsync("a_broken", new RotationPolicy { Rotator = "broken", Every = TimeSpan.FromMinutes(1) }, Stage.Cancel);
        await runner.SetPolicyAsync("b_fine", new RotationPolicy { Rotator = "generate", Every = TimeSpan.FromMinutes(1) }, Stage.Cancel);
        await host.StartAsync(Stage.Cancel);
        foreach (var version in new[] { 2, 3 })
        {
            clock.Breaks = 3;
            clock.Shift += TimeSpan.FromMinutes(2);
            var deadline = DateTimeOffset.UtcNow + Generous;
            while (clock.Breaks > 0 || (await stage.Secrets.FindAsync("b_fine", Stage.Cancel))!.Version != version)
            {
                Assert.False(host.Services.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping.IsCancellationRequested, "the host stops");
                Assert.True(DateTimeOffset.UtcNow < deadline, "nothing was rotated");
                await Task.Delay(20, Stage.Cancel);
            }
        }

        await host.StopAsync(Stage.Cancel);
        Assert.Equal("the rotator 'broken' failed with HttpRequestException", (await runner.GetStatusAsync(Stage.Cancel))[0].Failure);
    }

    private sealed class BrokenRotator : IRotator
    {
        public string Name => "broken";

        public bool CanRevoke => true;

        public bool NeedsPerson => false;

        public void Require(RotatedKey current)
        {
        }

        public ValueTask<NewKey> CreateAsync(RotatedKey key, CancellationToken cancellationToken) => throw new HttpRequestException("the provider is down");

        public ValueTask SetAsync(RotatedKey key, SecretValue value, CancellationToken cancellationToken) => default;

        public ValueTask TestAsync(RotatedKey key, SecretValue value, CancellationToken cancellationToken) => default;

        public ValueTask DiscardAsync(RotatedKey key, CancellationToken cancellationToken) => default;

        public ValueTask RevokeAsync(RotatedKey key, SecretValue? value, CancellationToken cancellationToken) => default;
    }

    private sealed class ShiftedClock : TimeProvider
    {
        internal TimeSpan Shift { get; set; }

        /// <summary>How many more times it throws, in the place of anything that is not foreseen.</summary>
        internal int Breaks { get; set; }

        public override DateTimeOffset GetUtcNow() => Breaks > 0 && Breaks-- > 0 ? throw new InvalidTimeZoneException() : base.GetUtcNow() + Shift;
    }
}
