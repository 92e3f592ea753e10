using System.Globalization;
using Mallku.Secrets.Stores.Tests.Etcd;
using Mallku.Secrets.Stores.Tests.PostgreSql;
using Mallku.Secrets.Tests.Processes;
using Microsoft.Extensions.Time.Testing;

namespace Mallku.FireCircle.Tests;

/// <summary>
/// No request of any machine fails while the key that they share in a database is rotated, though the provider refuses a
/// retired key at once.
/// </summary>
/// <remarks>As in <see cref="ZeroDowntimeTests"/>, a rotation begins when every caller has had two answers since the one before.</remarks>
public sealed class SharedZeroDowntimeTests(ITestOutputHelper output)
{
    private const int Requests = 10_000, Rotations = 20, Machines = 4, CallersOfEach = 8;

    [Fact]
    public async Task No_request_of_four_machines_fails_while_their_key_in_PostgreSQL_is_rotated()
    {
        await using var server = await PostgreSqlServer.StartAsync();
        await RotateAsync(server.Address());
    }

    [Fact]
    public async Task No_request_of_four_machines_fails_while_their_key_in_etcd_is_rotated()
    {
        using var servers = await EtcdServers.StartAsync(3);
        await RotateAsync(servers.Url("keys"));
    }

    [Theory]
    [InlineData("after create")]
    [InlineData("after set")]
    [InlineData("before finish")]
    public async Task No_request_fails_while_a_machine_dies_at_a_rotation_in_PostgreSQL_and_another_goes_on(string moment)
    {
        await using var server = await PostgreSqlServer.StartAsync();
        await GoOnAsync(server.Address(), moment);
    }

    [Theory]
    [InlineData("after create")]
    [InlineData("after set")]
    [InlineData("before finish")]
    public async Task No_request_fails_while_a_machine_dies_at_a_rotation_in_etcd_and_another_goes_on(string moment)
    {
        using var servers = await EtcdServers.StartAsync(3);
        await GoOnAsync(servers.Url("keys"), moment);
    }

    private async Task RotateAsync(string url)
    {
        await using var shared = await SharedKeys.CreateAsync(url);
        await using var stage = await RotatingStage.SetAsync(TimeSpan.Zero, shared);
        var machines = new List<Child>();
        try
        {
            for (var machine = 0; machine < Machines; machine++)
            {
                machines.Add(stage.Start("call", CallersOfEach.ToString(CultureInfo.InvariantCulture)));
            }

            await Task.WhenAll(machines.Select(static async machine => Assert.Equal("ready", await machine.ReadLineAsync())));
            for (var rotation = 0; rotation <= Rotations; rotation++)
            {
                var share = (Requests / Machines * rotation / Rotations).ToString(CultureInfo.InvariantCulture);
                await Task.WhenAll(machines.Select(async machine =>
                {
                    await machine.WriteLineAsync(share);
                    if (await machine.ReadLineAsync() != "went on")
                    {
                        // says why it has ended
                        await machine.ReadToEndAsync();
                    }
                }));
                if (rotation < Rotations)
                {
                    Assert.Equal(rotation + 2, (await stage.RotateAsync()).Version);
                }
            }

            machines.ForEach(static machine => machine.CloseInput());
            var answered = 0;
            foreach (var machine in machines)
            {
                answered += int.Parse(Assert.Single(await machine.ReadToEndAsync()), CultureInfo.InvariantCulture);
            }

            RequireAnswered(stage, answered, await shared.CountReadsAsync());
        }
        finally
        {
            machines.ForEach(static machine => machine.Dispose());
        }
    }

    // every request was answered once, by a version that was neither pending nor revoked, and the machines' ledgers know of each
    private void RequireAnswered(RotatingStage stage, int answered, long reads)
    {
        Assert.Empty(stage.Server.Faults);
        var calls = stage.Calls;
        var good = calls.Where(static call => call.Status == 200).ToList();
        Assert.InRange(answered, Requests, int.MaxValue);
        Assert.Equal(answered, good.Count);
        Assert.All(calls, call => Assert.True(call.Arrived >= stage.Book[call.Key!].Tested));
        Assert.All(good, call => Assert.True(call.Arrived <= stage.Book[call.Key!].Revoked));
        var seen = calls.Select(call => stage.Book[call.Key!].Version).Distinct().Order();
        Assert.Equal(Enumerable.Range(1, Rotations + 1), seen);
        Assert.InRange(reads, calls.Count, long.MaxValue);
        output.WriteLine($"{answered} requests of {Machines} machines, {calls.Count - answered} of them sent twice, with {Rotations + 1} versions; their ledgers have {reads} uses");
    }

    private static async Task GoOnAsync(string url, string moment)
    {
        await using var shared = await SharedKeys.CreateAsync(url);
        await using var stage = await RotatingStage.SetAsync(TimeSpan.Zero, shared);
        var old = await stage.GetCurrentAsync();
        await using var callers = await Callers.StartAsync(stage.Factory, "here", CallersOfEach, Stage.Cancel);
        await callers.GoOnAsync(0, Stage.Cancel);
        using (var rotating = stage.Start("rotate", RotatingStage.Secret, "0", moment))
        {
            Assert.Equal(moment, await rotating.ReadLineAsync());
            await callers.GoOnAsync(0, Stage.Cancel);
            await rotating.KillAsync();
        }

        // who goes on waits until the turn of the dead one is over, by a clock that does not take so long
        var clock = new FakeTimeProvider(DateTimeOffset.UtcNow);
        var resuming = stage.CreateRunner(clock).ResumeAsync(RotatingStage.Secret, Stage.Cancel).AsTask();
        while (!resuming.IsCompleted)
        {
            clock.Advance(TimeSpan.FromSeconds(1));
            await Task.Delay(10, Stage.Cancel);
        }

        Assert.Equal(2, (await resuming).Version);
        var current = await stage.GetCurrentAsync();
        await callers.GoOnAsync(0, Stage.Cancel);
        await callers.EndAsync();
        Assert.Equal(current, Assert.Single(stage.Server.Keys).Value);
        var answered = stage.Calls.Where(static call => call.Status == 200).ToList();
        Assert.Equal(callers.Answered, answered.Count);
        Assert.Equal([old, current], answered.Select(static call => call.Key!).Distinct(StringComparer.Ordinal).ToList());
        Assert.Empty(stage.Server.Faults);
    }
}
