using Mallku.Secrets.Ledger;
using Mallku.Secrets.Rotation;
using Mallku.Secrets.Storage;
using Mallku.Secrets.Tests.Rotation;

namespace Mallku.Secrets.Tests.Storage;

/// <summary>What rotations do in every <see cref="ISecretStore"/>: begun by one process, they are gone on with by any other.</summary>
public abstract class RotationContract : SecretStoreContract
{
    private static readonly TimeSpan Grace = TimeSpan.FromHours(6);
    private static readonly RotationPolicy Policy = new() { Rotator = "shop", Grace = Grace, Account = "account-1", Tell = "ops" };
    private readonly KeyShop _shop = new();

    [Fact]
    public async Task A_rotation_takes_its_steps_and_the_version_before_lives_for_its_grace_and_is_then_revoked()
    {
        await using var place = await BeginAsync();
        var other = place.OpenStore();
        var seen = new List<string>();
        _shop.During = async step =>
        {
            var newest = (await HistoryAsync(other, "key"))[0];
            seen.Add($"{step}: {newest.Number} {newest.State}, in use {await ReadAsync(other, "key")}");
        };
        var rotated = await Runner(place).RotateAsync("KEY", Policy, Token);
        _shop.During = static _ => Task.CompletedTask;
        Assert.Equal(("key", 2, 1, Clock.GetUtcNow() + Grace), (rotated.Name, rotated.Version, rotated.Replaced, rotated.GraceEnds));
        Assert.Equal(["create: 2 Pending, in use by hand", "set: 2 Pending, in use by hand", "test: 2 Pending, in use by hand"], seen);
        Assert.Equal(("made-1", "made-1"), (_shop.InUse, await ReadAsync(other, "key")));
        Assert.Equal([SecretVersionState.Current, SecretVersionState.Previous], (await HistoryAsync(other, "key")).Select(static version => version.State));
        Assert.Empty(await Runner(place).RunDueAsync(Token));

        Clock.Advance(Grace);
        Assert.Equal([(RotationAction.Retired, 1), (RotationAction.Revoked, 1)], (await Runner(place).RunDueAsync(Token)).Select(static done => (done.Action, done.Version!.Value)));
        Assert.Equal(["made-1"], _shop.Keys);
        Assert.Equal(["account-1"], _shop.Accounts);
        Assert.Empty(await Runner(place).RunDueAsync(Token));
        Assert.Null((await other.ReadAsync("key", Token))!.Record.Get(1)!.Value);
        Assert.Equal(
            ["created 1 test -", "policy-set - shop -", "rotation-begun 2 shop -", "rotation-step 2 shop create", "rotation-step 2 shop set", "rotation-step 2 shop test", "rotated 2 shop -", "retired 1 shop -", "revoked 1 shop -"],
            (await place.ToldAsync()).Select(static told => $"{EntryLine.ToText(told.Kind)} {told.Version?.ToString() ?? "-"} {told.Purpose} {told.Note ?? "-"}").ToList());
        Assert.All(await place.ToldAsync(), told => Assert.Equal(("key", other.Name), (told.Secret, told.Source)));
    }

    [Theory]
    [InlineData("create")]
    [InlineData("set")]
    [InlineData("test")]
    [InlineData("the answer to create")]
    public async Task A_step_that_fails_is_gone_on_with_by_another_process(string step)
    {
        await using var place = await BeginAsync();
        (_shop.FailsAt, _shop.LosesAnswer) = (step, step == "the answer to create");
        var error = await Assert.ThrowsAsync<SecretsException>(async () => await Runner(place).RotateAsync("key", Policy, Token));
        Assert.Contains("version 1 stays in use", error.Problem, StringComparison.Ordinal);
        Assert.Equal("by hand", await ReadAsync(place.OpenStore(), "key"));
        var status = Assert.Single(await Runner(place).GetStatusAsync(Token));
        Assert.Equal(("key", 2, _shop.LosesAnswer ? "create" : step.Split(' ')[^1]), (status.Name, status.Pending, status.PendingStep));
        Assert.NotNull(status.Failure);
        await Assert.ThrowsAsync<SecretsException>(async () => await Runner(place).RotateAsync("key", Policy, Token));
        await Assert.ThrowsAsync<SecretsException>(async () => await place.OpenStore().RemoveAsync(SecretName.Parse("key"), Token));

        _shop.FailsAt = null;
        Assert.Equal(2, (await Runner(place).ResumeAsync("KEY", Token)).Version);
        var made = Assert.Single(_shop.Live, static key => key.Value is not null);
        Assert.Equal(made.Key, await ReadAsync(place.OpenStore(), "key"));
        Assert.Null(Assert.Single(await Runner(place).GetStatusAsync(Token)).Pending);
        Assert.Single(await place.ToldAsync(), static told => told.Kind == LedgerKind.RotationFailed);
        Assert.Single(await place.ToldAsync(), static told => told.Kind == LedgerKind.Rotated);
    }

    [Theory]
    [InlineData("create")]
    [InlineData("set")]
    [InlineData("test")]
    [InlineData("the answer to create")]
    public async Task A_rotation_is_given_up_by_another_process_and_leaves_no_key_behind(string step)
    {
        await using var place = await BeginAsync();
        (_shop.FailsAt, _shop.LosesAnswer) = (step, step == "the answer to create");
        await Assert.ThrowsAsync<SecretsException>(async () => await Runner(place).RotateAsync("key", Policy, Token));
        (_shop.FailsAt, _shop.LosesAnswer) = (null, false);
        await Runner(place).AbandonAsync("key", Token);
        Assert.Equal(["by hand"], _shop.Keys);
        Assert.Equal("by hand", await ReadAsync(place.OpenStore(), "key"));
        Assert.Equal([SecretVersionState.Retired, SecretVersionState.Current], (await HistoryAsync(place.OpenStore(), "key")).Select(static version => version.State));
        Assert.Single(await place.ToldAsync(), static told => told is { Kind: LedgerKind.RotationAbandoned, Version: 2 });
        Assert.Equal(3, (await Runner(place).RotateAsync("key", Policy, Token)).Version);
    }

    [Fact]
    public async Task A_value_that_somebody_sets_meanwhile_wins()
    {
        await using var place = await BeginAsync();
        _shop.During = step => step == "set" ? SetAsync(place.OpenStore(), "key", "in between") : Task.CompletedTask;
        var error = await Assert.ThrowsAsync<SecretsException>(async () => await Runner(place).RotateAsync("key", Policy, Token));
        Assert.Contains("version 3 was made current", error.Problem, StringComparison.Ordinal);
        _shop.During = static _ => Task.CompletedTask;
        await Assert.ThrowsAsync<SecretsException>(async () => await Runner(place).ResumeAsync("key", Token));
        await Runner(place).AbandonAsync("key", Token);
        Assert.Equal("in between", await ReadAsync(place.OpenStore(), "key"));
        Assert.Equal(["by hand"], _shop.Keys);
    }

    [Fact]
    public async Task A_rollback_makes_an_earlier_value_current_as_a_new_version()
    {
        await using var place = await BeginAsync();
        await Runner(place).RotateAsync("key", Policy, Token);
        var back = await Runner(place).RollBackAsync("KEY", cancellationToken: Token);
        Assert.Equal(("key", 3, 1, 2, Clock.GetUtcNow() + Grace), (back.Name, back.Version, back.Restored, back.Replaced, back.GraceEnds));
        Assert.Equal(("by hand", "by hand"), (_shop.InUse, await ReadAsync(place.OpenStore(), "key")));
        Assert.Equal(["by hand", "made-1"], _shop.Keys);
        Clock.Advance(Grace);
        await Runner(place).RunDueAsync(Token);
        Assert.Equal(["by hand"], _shop.Keys);
        foreach (var (number, why) in new[] { (2, "was revoked"), (3, "is the current one"), (7, "is not kept") })
        {
            var error = await Assert.ThrowsAsync<SecretsException>(async () => await Runner(place).RollBackAsync("key", number, cancellationToken: Token));
            Assert.Contains(why, error.Problem, StringComparison.Ordinal);
        }

        Assert.Single(await place.ToldAsync(), static told => told is { Kind: LedgerKind.RolledBack, Version: 3, Note: "to the value of version 1" });
    }

    [Fact]
    public async Task A_policy_is_kept_and_what_is_due_by_it_is_rotated_by_anybody()
    {
        await using var place = await BeginAsync();
        var policy = Policy with { Every = TimeSpan.FromDays(30), Command = ["/bin/true", "x y"], Prefix = "p", Alphabet = "abcdefghijklmnopq", Length = 64 };
        await Runner(place).SetPolicyAsync("KEY", policy, Token);
        var kept = (await Runner(place).GetPolicyAsync("key", Token))!;
        Assert.Equal(["/bin/true", "x y"], kept.Command);
        Assert.Equal(policy with { Command = [] }, kept with { Command = [] });
        Assert.Empty(await Runner(place).RunDueAsync(Token));

        Clock.Advance(TimeSpan.FromDays(30));
        Assert.Equal(RotationNeed.Due, Assert.Single(await Runner(place).GetStatusAsync(Token)).Need);
        var done = Assert.Single(await Runner(place).RunDueAsync(Token));
        Assert.Equal(("key", RotationAction.Rotated, 2, "ops"), (done.Name, done.Action, done.Version, done.Tell));
        Assert.Equal(RotationNeed.Fresh, Assert.Single(await Runner(place).GetStatusAsync(Token)).Need);
        await Runner(place).SetPolicyAsync("key", null, Token);
        Assert.Null(await Runner(place).GetPolicyAsync("key", Token));
        Assert.Equal(2, (await place.ToldAsync()).Count(static told => told.Kind == LedgerKind.PolicySet));
        await Assert.ThrowsAsync<SecretNotFoundException>(async () => await Runner(place).SetPolicyAsync("nobody", Policy, Token));
    }

    [Fact]
    public async Task A_key_that_another_secret_has_in_use_is_not_revoked()
    {
        await using var place = await BeginAsync();
        await SetAsync(place.OpenStore(), "twin", "by hand");
        await Runner(place).RotateAsync("key", Policy, Token);
        Clock.Advance(Grace);
        var done = await Runner(place).RunDueAsync(Token);
        Assert.Equal([RotationAction.Retired, RotationAction.Failed], done.Select(static item => item.Action));
        Assert.Contains("the secret 'twin' has the same value", done[1].Error!.Problem, StringComparison.Ordinal);
        Assert.Equal([1], (await Runner(place).GetStatusAsync(Token)).Single(static status => status.Name == "key").Unrevoked);
        await SetAsync(place.OpenStore(), "twin", "another");

        // and may have been replaced by mistake
        Assert.Empty(await Runner(place).RunDueAsync(Token));
        Clock.Advance(RotationPolicy.UsualGrace);
        Assert.Equal([RotationAction.Revoked], (await Runner(place).RunDueAsync(Token)).Select(static item => item.Action));
        Assert.Equal(["made-1"], _shop.Keys);
    }

    [Fact]
    public async Task A_key_that_was_copied_into_another_store_is_not_revoked_while_it_is_in_use_there()
    {
        await using var place = await BeginAsync();
        await using var copied = await CreateAsync(Clock);
        await SetAsync(copied.OpenStore(), "key", "by hand");
        RotationRunner Both() => new([place.OpenStore(), copied.OpenStore()], [_shop]);
        await Both().RotateAsync("key", Policy, Token);
        Clock.Advance(Grace);
        var refused = (await Both().RunDueAsync(Token))[^1];
        Assert.Equal(RotationAction.Failed, refused.Action);
        Assert.Contains($"the secret 'key' in {copied.OpenStore().Describe()} has the same value, and is in use", refused.Error!.Problem, StringComparison.Ordinal);

        // who can't look there can't tell
        var mend = await copied.DamageAsync();
        Assert.Contains(await Both().RunDueAsync(Token), static done => done is { Name: "key", Action: RotationAction.Failed });
        Assert.Equal(["by hand", "made-1"], _shop.Keys);
        await mend();
        await SetAsync(copied.OpenStore(), "key", "another");
        Clock.Advance(RotationPolicy.UsualGrace);
        Assert.Contains(await Both().RunDueAsync(Token), static done => done is { Action: RotationAction.Revoked, Version: 1 });
        Assert.Equal(["made-1"], _shop.Keys);
        Assert.Single(await copied.ToldAsync(), static told => told is { Kind: LedgerKind.Revoked, Version: 1, Note: "with another secret" });
    }

    [Fact]
    public async Task The_key_of_a_removed_secret_is_revoked_when_its_grace_is_over()
    {
        await using var place = await BeginAsync();
        await Runner(place).RotateAsync("key", Policy, Token);
        await place.OpenStore().RemoveAsync(SecretName.Parse("key"), Token);
        Assert.Equal(["by hand", "made-1"], _shop.Keys);
        Clock.Advance(Grace);

        // of the first, which no rotation made, nothing is left that names its key
        Assert.Equal([(RotationAction.Failed, 1), (RotationAction.Revoked, 2)], (await Runner(place).RunDueAsync(Token)).Select(static done => (done.Action, done.Version!.Value)));
        Assert.Equal(["by hand"], _shop.Keys);
        Assert.Single(await place.ToldAsync(), static told => told is { Kind: LedgerKind.Revoked, Version: 2, Note: "without its value" });
    }

    [Fact]
    public async Task Of_processes_that_rotate_one_secret_at_once_one_does_and_the_others_are_told()
    {
        await using var place = await CreateAsync(TimeProvider.System);
        await SetAsync(place.OpenStore(), "key", "by hand");
        var (inside, most, waiting) = (0, 0, 0);
        _shop.During = async _ =>
        {
            most = Math.Max(most, Interlocked.Increment(ref inside));

            // so that the others have seen which version is current
            while (Volatile.Read(ref waiting) < 3)
            {
                await Task.Delay(1, Token);
            }

            Interlocked.Decrement(ref inside);
        };
        var outcomes = await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => Task.Run(
            async () =>
            {
                try
                {
                    var rotating = Runner(place).RotateAsync("key", Policy, Token).AsTask();
                    Interlocked.Increment(ref waiting);
                    return (await rotating).Version;
                }
                catch (SecretsException e)
                {
                    Assert.Contains("another process", e.Problem, StringComparison.Ordinal);
                    return 0;
                }
            },
            Token)));
        Assert.Equal(1, most);
        var rotated = outcomes.Where(static version => version > 0).Order().ToList();
        Assert.Equal(Enumerable.Range(2, rotated.Count), rotated);
        Assert.Equal(rotated.Count, _shop.Keys.Count);
        Assert.Equal(_shop.InUse, await ReadAsync(place.OpenStore(), "key"));
    }

    private protected KeyShop Shop => _shop;

    private protected RotationRunner Runner(StorePlace place) => new(place.OpenStore(), [_shop]);

    private protected async Task<StorePlace> BeginAsync()
    {
        var place = await CreateAsync(Clock);
        await SetAsync(place.OpenStore(), "key", "by hand");
        _shop.Live.Add("by hand", null);
        return place;
    }
}
