using System.Globalization;
using Mallku.Secrets.Rotation;
using Microsoft.Extensions.AI;

namespace Mallku.FireCircle.Tests;

/// <summary>
/// No request fails while its key is rotated, though the provider refuses a retired key at once: over and over, in two
/// processes, and by a rotation that is cut off at any step.
/// </summary>
/// <remarks>
/// A request is sent again once, so that it may meet one revocation. A rotation therefore begins when every caller has had
/// two answers since the one before, however slow the machine is.
/// </remarks>
public sealed class ZeroDowntimeTests(ITestOutputHelper output)
{
    private const int Requests = 20_000, Rotations = 50, AllCallers = 32;

    private static readonly int Clients = Callers.Providers.Count;

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public async Task No_request_fails_while_its_key_is_rotated_over_and_over(int graceInSeconds)
    {
        await using var stage = await RotatingStage.SetAsync(TimeSpan.FromSeconds(graceInSeconds));
        await using var callers = await Callers.StartAsync(stage.Factory, "here", AllCallers, Stage.Cancel);
        for (var rotation = 0; rotation < Rotations; rotation++)
        {
            await callers.GoOnAsync(Requests * rotation / Rotations, Stage.Cancel);
            await stage.RotateAsync();
        }

        await callers.GoOnAsync(Requests, Stage.Cancel);
        await callers.EndAsync();
        await RequireKnownVersionsAsync(stage, callers.Answered, Clients, graceInSeconds == 0);
    }

    [Fact]
    public async Task No_request_fails_in_a_process_that_shares_the_vault_with_the_one_that_rotates()
    {
        await using var stage = await RotatingStage.SetAsync(TimeSpan.Zero);
        using var other = stage.Start("call", (AllCallers / 2).ToString(CultureInfo.InvariantCulture));
        Assert.Equal("ready", await other.ReadLineAsync());
        await using var callers = await Callers.StartAsync(stage.Factory, "here", AllCallers / 2, Stage.Cancel);
        for (var rotation = 0; rotation <= Rotations; rotation++)
        {
            var share = Requests / 2 * rotation / Rotations;
            await other.WriteLineAsync(share.ToString(CultureInfo.InvariantCulture));
            await callers.GoOnAsync(share, Stage.Cancel);
            Assert.Equal("went on", await other.ReadLineAsync());
            if (rotation < Rotations)
            {
                await stage.RotateAsync();
            }
        }

        other.CloseInput();
        await callers.EndAsync();
        var answered = int.Parse(Assert.Single(await other.ReadToEndAsync()), CultureInfo.InvariantCulture);
        await RequireKnownVersionsAsync(stage, callers.Answered + answered, 2 * Clients, isWithoutGrace: true);
    }

    [Theory]
    [InlineData("before create", 0)]
    [InlineData("after create", 0)]
    [InlineData("before set", 0)]
    [InlineData("after set", 0)]
    [InlineData("before test", 0)]
    [InlineData("after test", 0)]
    [InlineData("before finish", 0)]
    [InlineData("after finish", 0)]
    [InlineData("after revoke", 0)]
    [InlineData("after create", 3600)]
    [InlineData("before finish", 3600)]
    public async Task No_request_fails_while_a_rotation_is_killed_and_gone_on_with_by_another_process(string moment, int graceInSeconds)
    {
        await using var stage = await RotatingStage.SetAsync(TimeSpan.FromSeconds(graceInSeconds));
        var old = await stage.GetCurrentAsync();
        await using var callers = await Callers.StartAsync(stage.Factory, "here", AllCallers, Stage.Cancel);
        await callers.GoOnAsync(0, Stage.Cancel);
        using (var rotating = stage.Start("rotate", RotatingStage.Secret, graceInSeconds.ToString(CultureInfo.InvariantCulture), moment))
        {
            Assert.Equal(moment, await rotating.ReadLineAsync());
            await callers.GoOnAsync(0, Stage.Cancel);
            await rotating.KillAsync();
        }

        await callers.GoOnAsync(0, Stage.Cancel);
        var isFinished = moment is "after finish" or "after revoke";
        if (isFinished)
        {
            Assert.Equal([RotationAction.Revoked], (await stage.Runner.RunDueAsync(Stage.Cancel)).Select(done => done.Action));
        }
        else
        {
            Assert.Equal(2, (await stage.Runner.ResumeAsync(RotatingStage.Secret, Stage.Cancel)).Version);
        }

        var current = await stage.GetCurrentAsync();
        await callers.GoOnAsync(0, Stage.Cancel);
        await callers.EndAsync();
        string[] live = graceInSeconds == 0 ? [current] : [old, current];
        Assert.NotEqual(old, current, StringComparer.Ordinal);
        Assert.Equal(live.Order(StringComparer.Ordinal).ToList(), stage.Server.Keys.Select(key => key.Value).Order(StringComparer.Ordinal).ToList());
        var status = (await stage.Runner.GetStatusAsync(Stage.Cancel)).Single(status => status.Name == RotatingStage.Secret);
        Assert.Equal((null, 0), (status.Pending, status.Unrevoked.Count));
        var answered = stage.Calls.Where(call => call.Status == 200).ToList();
        Assert.Equal(callers.Answered, answered.Count);
        Assert.Equal([old, current], answered.Select(call => call.Key!).Distinct(StringComparer.Ordinal).ToList());
        Assert.Empty(stage.Server.Faults);
    }

    [Theory]
    [InlineData("openai")]
    [InlineData("anthropic")]
    [InlineData("ollama")]
    public async Task An_answer_that_streams_when_its_key_is_retired_goes_on_to_its_end(string provider)
    {
        await using var stage = await RotatingStage.SetAsync(TimeSpan.Zero);
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        stage.Server.StreamGate = gate.Task;
        using var client = await stage.Factory.CreateAsync(provider, cancellationToken: Stage.Cancel);
        var text = "";
        await foreach (var update in client.GetStreamingResponseAsync("#here/0/1#", cancellationToken: Stage.Cancel))
        {
            text += update.Text;
            if (text.Length > 0 && !gate.Task.IsCompleted)
            {
                Assert.Equal([RotationAction.Revoked], (await stage.RotateAsync()).Settled.Select(done => done.Action));
                Assert.Equal(provider + " ", text);
                gate.SetResult();
            }
        }

        Assert.Equal($"{provider} heard: #here/0/1#", text);
        Assert.Equal(1, stage.Book[Assert.Single(stage.Calls).Key!].Version);
    }

    // every request was answered once, by a version that was neither pending nor revoked, and the ledger knows of each
    private async Task RequireKnownVersionsAsync(RotatingStage stage, int answered, int clients, bool isWithoutGrace)
    {
        Assert.Empty(stage.Server.Faults);
        var calls = stage.Calls;
        Assert.InRange(answered, Requests, int.MaxValue);
        Assert.Equal(answered, calls.Where(call => call.Status == 200).DistinctBy(RotatingStage.Prompt, StringComparer.Ordinal).Count());
        Assert.Equal(answered, calls.Count(call => call.Status == 200));
        Assert.All(calls, call => Assert.True(call.Arrived >= stage.Book[call.Key!].Tested));
        Assert.All(calls.Where(call => call.Status == 200), call => Assert.True(call.Arrived <= stage.Book[call.Key!].Revoked));

        var seen = calls.CountBy(call => stage.Book[call.Key!].Version).ToDictionary();
        var refused = calls.Count - answered;
        output.WriteLine($"{answered} requests, {refused} of them sent twice, with {seen.Count} versions");
        if (isWithoutGrace)
        {
            Assert.Equal(Enumerable.Range(1, Rotations + 1), seen.Keys.Order());
        }

        // Beyond what was sent, each client's making has looked for the key; and who was refused looks up the refused version
        // again if nobody has found another before, and what else has a grace.
        var certain = calls.Count + clients;
        var reads = await stage.CountReadsAsync(reads =>
            reads.Values.Sum() >= certain && seen.All(version => reads.GetValueOrDefault(version.Key) >= version.Value));
        Assert.All(seen, version => Assert.InRange(reads.GetValueOrDefault(version.Key), version.Value, long.MaxValue));
        Assert.InRange(reads.Values.Sum(), certain, certain + (refused * (isWithoutGrace ? 1L : 1L + Rotations)));
    }
}
