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
            ["created 1 test -", "policy-set - shop -", "rotation-begun 2 shop -", "rotation-step 2 shop create", "rotation-step 2 shop set", "rotation-step 2 shop test", "rotated 2 shop -", "retired 1 shop -", "rotation-step 1 shop begun: revoke", "revoked 1 shop -"],
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

    [Theory]
    [InlineData("resume")]
    [InlineData("due")]
    [InlineData("abandon")]
    [InlineData("abandon and remove")]
    public async Task A_key_that_appears_long_after_it_was_asked_for_is_found_and_deleted(string way)
    {
        await using var place = await BeginAsync();
        _shop.IsSlow = true;
        await Assert.ThrowsAsync<SecretsException>(async () => await Runner(place).RotateAsync("key", Policy, Token));
        switch (way)
        {
            case "resume":
                await Runner(place).ResumeAsync("key", Token);
                break;
            case "due":
                await Runner(place).RunDueAsync(Token);
                break;
            default:
                Assert.Empty(await Runner(place).AbandonAsync("key", Token));
                break;
        }

        if (way == "abandon and remove")
        {
            await place.OpenStore().RemoveAsync(SecretName.Parse("key"), Token);
        }

        List<string> expected = way is "resume" or "due" ? ["by hand", "made-1"] : ["by hand"];
        var status = Assert.Single(await Runner(place).GetStatusAsync(Token));
        Assert.Equal([2], status.Unanswered);
        Assert.Contains(RotationInspection.Inspect([status]), static finding => finding.What.Contains("may appear at its provider yet: version 2", StringComparison.Ordinal));
        _shop.Arrive("soon");
        Clock.Advance(TimeSpan.FromMinutes(2));
        await Runner(place).RunDueAsync(Token);
        Assert.Equal(expected, _shop.Keys);
        Assert.Equal([2], Assert.Single(await Runner(place).GetStatusAsync(Token)).Unanswered);

        _shop.Arrive("late");
        Clock.Advance(TimeSpan.FromMinutes(8));
        _shop.FailsAt = "discard";
        var failed = Assert.Single(await Runner(place).RunDueAsync(Token));
        Assert.Equal((RotationAction.Failed, null), (failed.Action, failed.Version));
        Assert.Contains("may be live and could not be looked for: the shop is closed", failed.Error!.Problem, StringComparison.Ordinal);
        _shop.FailsAt = null;
        Assert.Empty(await Runner(place).RunDueAsync(Token));
        Assert.Equal(expected, _shop.Keys);
        Assert.All(await Runner(place).GetStatusAsync(Token), static left => Assert.Empty(left.Unanswered));
        var steps = _shop.Steps.Count;
        Clock.Advance(TimeSpan.FromMinutes(30));
        Assert.Empty(await Runner(place).RunDueAsync(Token));
        Assert.Equal(steps, _shop.Steps.Count);
    }

    [Fact]
    public async Task A_key_that_is_not_to_be_looked_for_is_left_alone_and_said()
    {
        await using var place = await BeginAsync();
        _shop.IsSlow = true;
        await Assert.ThrowsAsync<SecretsException>(async () => await Runner(place).RotateAsync("key", Policy, Token));
        await Runner(place).AbandonAsync("key", Token);
        Assert.Equal([(RotationAction.KeyLeft, 2)], (await Runner(place).AbandonAsync("key", Token)).Select(static left => (left.Action, left.Version!.Value)));
        _shop.Arrive("late");
        Clock.Advance(TimeSpan.FromHours(1));
        Assert.Empty(await Runner(place).RunDueAsync(Token));
        Assert.Contains("late", _shop.Keys, StringComparer.Ordinal);
        await Assert.ThrowsAsync<SecretsException>(async () => await Runner(place).AbandonAsync("key", Token));
    }

    [Theory]
    [InlineData("create", "discard after begun: create, create after discard, set after create, test after set")]
    [InlineData("set", "set after begun: set, test after set")]
    [InlineData("test", "test after begun: test")]
    public async Task The_ledger_has_what_is_asked_of_a_rotator_before_it_is_asked(string failed, string resumed)
    {
        await using var place = await BeginAsync();
        _shop.FailsAt = failed;
        await Assert.ThrowsAsync<SecretsException>(async () => await Runner(place).RotateAsync("key", Policy with { Grace = TimeSpan.Zero }, Token));
        _shop.FailsAt = "revoke";
        var seen = new List<string>();
        _shop.During = async step => seen.Add($"{step} after {(await place.ToldAsync())[^1].Note}");
        await Runner(place).ResumeAsync("key", Token);
        await Runner(place).RunDueAsync(Token);
        Assert.Equal($"{resumed}, revoke after begun: revoke, revoke after begun: revoke", string.Join(", ", seen));
    }

    [Fact]
    public async Task The_ledger_has_what_is_put_back_or_deleted_before_it_is()
    {
        await using var place = await BeginAsync();
        var seen = new List<string>();
        foreach (var failed in new[] { "test", "create" })
        {
            _shop.FailsAt = failed;
            await Assert.ThrowsAsync<SecretsException>(async () => await Runner(place).RotateAsync("key", Policy, Token));
            (_shop.FailsAt, _shop.During) = (null, async step => seen.Add($"{step} after {(await place.ToldAsync())[^1].Note}"));
            await Runner(place).AbandonAsync("key", Token);
            _shop.During = static _ => Task.CompletedTask;
        }

        Assert.Equal(["set after begun: put back", "revoke after begun: revoke", "discard after begun: discard"], seen);
    }

    [Theory]
    [InlineData("key")]
    [InlineData("twin")]
    public async Task A_value_that_is_set_while_its_key_is_revoked_is_refused_or_said_to_be_of_no_use(string name)
    {
        await using var place = await BeginAsync();
        await SetAsync(place.OpenStore(), "twin", "another");
        await Runner(place).RotateAsync("key", Policy with { Grace = TimeSpan.Zero }, Token);
        SecretsException? refused = null;
        _shop.During = async step =>
        {
            if (step == "revoke")
            {
                refused = await Record.ExceptionAsync(() => SetAsync(place.OpenStore(), name, "made-1")) as SecretsException;
            }
        };
        var settled = (await Runner(place).RotateAsync("key", cancellationToken: Token)).Settled;
        _shop.During = static _ => Task.CompletedTask;
        Assert.Equal(RotationAction.Revoked, settled[0].Action);
        if (name == "key")
        {
            Assert.Contains("is being revoked; nothing was changed", refused!.Problem, StringComparison.Ordinal);
            Assert.Single(settled);
            Assert.Equal("made-2", await ReadAsync(place.OpenStore(), "key"));
            return;
        }

        Assert.Null(refused);
        Assert.Equal(("twin", RotationAction.Failed), (settled[1].Name, settled[1].Action));
        Assert.Contains("version 2 of 'twin' is in use and does not work", settled[1].Error!.Problem, StringComparison.Ordinal);
        var status = (await Runner(place).GetStatusAsync(Token)).Single(static status => status.Name == "twin");
        Assert.Equal(2, status.Dead);
        Assert.Contains(RotationInspection.Inspect([status]), finding => finding.What == settled[1].Error!.Problem);
        await Runner(place).RollBackAsync("twin", cancellationToken: Token);
        Assert.Equal("another", await ReadAsync(place.OpenStore(), "twin"));
        Assert.All(await Runner(place).GetStatusAsync(Token), static status => Assert.Null(status.Dead));
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
