using Mallku.Secrets.Ledger;
using Mallku.Secrets.Rotation;
using Mallku.Secrets.Tests.Processes;
using Mallku.Secrets.Tests.Vault;

namespace Mallku.Secrets.Tests.Rotation;

/// <summary>A rotation takes its steps, each durable, and can be gone on with or given up at each of them.</summary>
public sealed class RotationRunnerTests : ShopStage
{
    [Fact]
    public async Task The_new_version_is_current_and_the_one_before_lives_for_its_grace_and_is_then_revoked()
    {
        var rotated = await Runner.RotateAsync("KEY", Policy, Cancel);
        Assert.Equal(("key", 2, 1, _clock.GetUtcNow() + Grace), (rotated.Name, rotated.Version, rotated.Replaced, rotated.GraceEnds));
        Assert.Equal(["create", "set", "test"], _shop.Steps);
        Assert.Equal("made-1", _shop.InUse);
        Assert.Equal(["made-1", "by hand"], await LiveAsync());
        Assert.Empty(await Runner.RunDueAsync(Cancel));

        _clock.Advance(Grace);
        Assert.Equal(["made-1"], await LiveAsync());
        Assert.Equal(["made-1", "by hand"], Enumerable.Reverse(_shop.Keys).ToList());
        Assert.Equal([RotationAction.Retired, RotationAction.Revoked], (await Runner.RunDueAsync(Cancel)).Select(done => done.Action));
        Assert.Equal(["made-1"], _shop.Keys);
        Assert.Empty(await Runner.RunDueAsync(Cancel));
        Assert.Equal(
            ["created 1 -", "policy-set  shop", "rotation-begun 2 shop", "rotation-step 2 shop", "rotation-step 2 shop", "rotation-step 2 shop", "rotated 2 shop", "retired 1 shop", "rotation-step 1 shop", "revoked 1 shop"],
            (await LedgerEntries.ReadAsync(_folder)).Where(entry => entry.Generation is not null && entry.Secret == "key")
                .Select(entry => $"{EntryLine.ToText(entry.Kind)} {entry.Version} {entry.Purpose ?? "-"}").ToList());
    }

    [Theory]
    [InlineData("create", "create")]
    [InlineData("set", "set")]
    [InlineData("test", "test")]
    public async Task A_step_that_fails_leaves_the_current_version_in_use_and_can_be_gone_on_with(string step, string next)
    {
        _shop.FailsAt = step;
        var error = await Assert.ThrowsAsync<SecretsException>(async () => await Runner.RotateAsync("key", Policy, Cancel));
        Assert.Contains($"'{step}'", error.Problem, StringComparison.Ordinal);
        Assert.Contains("version 1 stays in use", error.Problem, StringComparison.Ordinal);
        Assert.Contains("--resume", error.Remedy, StringComparison.Ordinal);
        Assert.Equal(["by hand"], await LiveAsync());
        var status = Assert.Single(await Runner.GetStatusAsync(Cancel));
        Assert.Equal((2, next, $"the shop is closed for '{step}'"), (status.Pending, status.PendingStep, status.Failure));
        Assert.Equal(SecretVersionState.Pending, (await Manager.GetHistoryAsync("key", Cancel))!.Versions[0].State);
        Assert.Equal("\"by hand\"", Plaintext.Members(Plaintext.Read(_folder))["key"]);

        var again = await Assert.ThrowsAsync<SecretsException>(async () => await Runner.RotateAsync("key", Policy, Cancel));
        Assert.Contains("is under way", again.Problem, StringComparison.Ordinal);
        _shop.FailsAt = null;
        Assert.Equal(2, (await Runner.ResumeAsync("key", Cancel)).Version);
        Assert.Equal(["made-1", "by hand"], await LiveAsync());
        Assert.Null(Assert.Single(await Runner.GetStatusAsync(Cancel)).Pending);
        await Assert.ThrowsAsync<SecretsException>(async () => await Runner.ResumeAsync("key", Cancel));
    }

    [Fact]
    public async Task A_key_whose_value_was_never_seen_is_deleted_before_another_is_made()
    {
        _shop.LosesAnswer = true;
        await Assert.ThrowsAsync<SecretsException>(async () => await Runner.RotateAsync("key", Policy, Cancel));
        var token = _shop.Live["made-1"];
        await Runner.ResumeAsync("key", Cancel);

        // a key of another token, so that what is late with the first can be told from it
        Assert.Equal(["by hand", "made-2"], _shop.Keys);
        Assert.NotEqual(token, _shop.Live["made-2"], StringComparer.Ordinal);
        Assert.Equal(["made-2", "by hand"], await LiveAsync());
    }

    [Theory]
    [InlineData("create")]
    [InlineData("set")]
    [InlineData("test")]
    [InlineData("the answer to create")]
    public async Task A_rotation_that_is_given_up_leaves_no_key_behind(string step)
    {
        (_shop.FailsAt, _shop.LosesAnswer) = (step, step == "the answer to create");
        await Assert.ThrowsAsync<SecretsException>(async () => await Runner.RotateAsync("key", Policy, Cancel));
        _shop.FailsAt = null;
        var isSeen = step is "set" or "test";
        Assert.Equal(isSeen ? [RotationAction.Revoked] : [], (await Runner.AbandonAsync("key", Cancel)).Select(done => done.Action).ToList());
        Assert.Equal(isSeen ? "revoke" : "discard", _shop.Steps[^1]);
        Assert.Equal(isSeen, (await LedgerEntries.ReadAsync(_folder)).Any(entry => entry.Kind == LedgerKind.Revoked));
        Assert.Equal(["by hand"], _shop.Keys);
        Assert.Equal(["by hand"], await LiveAsync());
        Assert.True(_shop.InUse is null or "by hand");
        Assert.Equal([SecretVersionState.Retired, SecretVersionState.Current], (await Manager.GetHistoryAsync("key", Cancel))!.Versions.Select(version => version.State));
        Assert.DoesNotContain("made-", Plaintext.Read(_folder), StringComparison.Ordinal);

        _shop.LosesAnswer = false;
        Assert.Equal(3, (await Runner.RotateAsync("key", Policy, Cancel)).Version);
        _clock.Advance(TimeSpan.FromMinutes(10));
        Assert.Empty(await Runner.RunDueAsync(Cancel));
        await Assert.ThrowsAsync<SecretsException>(async () => await Runner.AbandonAsync("key", Cancel));
    }

    [Fact]
    public async Task What_could_not_be_revoked_is_tried_again_until_a_person_gives_it_up()
    {
        await Runner.RotateAsync("key", Policy with { Grace = TimeSpan.Zero }, Cancel);
        _shop.FailsAt = "revoke";
        var rotated = await Runner.RotateAsync("key", cancellationToken: Cancel);
        Assert.Equal([RotationAction.Failed], rotated.Settled.Select(done => done.Action));
        Assert.Equal([2], Assert.Single(await Runner.GetStatusAsync(Cancel)).Unrevoked);
        Assert.Equal("the shop is closed for 'revoke'", Assert.Single(await Runner.RunDueAsync(Cancel)).Error!.Problem);

        // nothing else drops it meanwhile
        var few = SecretsManager.Open(_folder.Options with { TimeProvider = _clock, KeepVersions = 2 });
        for (var i = 0; i < 5; i++)
        {
            using var value = SecretValue.FromString($"set {i}");
            await few.SetAsync("key", value, cancellationToken: Cancel);
        }

        // nor does anything drop the key of the version that was set over
        Assert.Equal([2, 3], Assert.Single(await Runner.GetStatusAsync(Cancel)).Unrevoked);
        await Runner.AbandonAsync("key", Cancel);
        Assert.Empty(Assert.Single(await Runner.GetStatusAsync(Cancel)).Unrevoked);
        _shop.FailsAt = null;
        Assert.Empty(await Runner.RunDueAsync(Cancel));
    }

    [Fact]
    public async Task A_value_that_somebody_sets_meanwhile_wins_and_the_rotation_can_only_be_given_up()
    {
        _shop.During = step => step == "set" ? SetAsync("in between") : Task.CompletedTask;
        var error = await Assert.ThrowsAsync<SecretsException>(async () => await Runner.RotateAsync("key", Policy, Cancel));
        Assert.Contains("version 3 was made current", error.Problem, StringComparison.Ordinal);
        Assert.Equal(["in between"], await LiveAsync());
        _shop.During = static _ => Task.CompletedTask;
        await Assert.ThrowsAsync<SecretsException>(async () => await Runner.ResumeAsync("key", Cancel));
        await Assert.ThrowsAsync<SecretsException>(async () => await Manager.RemoveAsync("key", Cancel));
        await Runner.AbandonAsync("key", Cancel);
        Assert.Equal(["by hand"], _shop.Keys);
        Assert.Equal(4, (await Runner.RotateAsync("key", Policy, Cancel)).Version);
    }

    [Fact]
    public async Task What_another_program_removes_meanwhile_can_be_given_up()
    {
        _shop.FailsAt = "test";
        await Assert.ThrowsAsync<SecretsException>(async () => await Runner.RotateAsync("key", Policy, Cancel));
        Plaintext.Write(_folder, $"{{\"$mallku\":{Plaintext.Members(Plaintext.Read(_folder))["$mallku"]}}}", _clock);
        var error = await Assert.ThrowsAsync<SecretsException>(async () => await Runner.ResumeAsync("key", Cancel));
        Assert.Contains("it was removed", error.Problem, StringComparison.Ordinal);
        await Runner.AbandonAsync("key", Cancel);
        Assert.Equal(["by hand"], _shop.Keys);
        Assert.Null(await Manager.GetAsync("key", Cancel));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_rotation_can_be_given_up_where_the_old_value_can_not_be_put_back(bool isUnknown)
    {
        _shop.FailsAt = "set";
        await Assert.ThrowsAsync<SecretsException>(async () => await Runner.RotateAsync("key", Policy, Cancel));
        var without = isUnknown ? Manager.CreateRotationRunner([]) : Runner;
        var stuck = await Assert.ThrowsAsync<SecretsException>(async () => await without.ResumeAsync("key", Cancel));
        Assert.Contains("--abandon", stuck.Remedy, StringComparison.Ordinal);

        var said = Assert.Single(await without.AbandonAsync("key", Cancel));
        var reason = isUnknown ? "there is no rotator 'shop'" : "the shop is closed for 'set'";
        Assert.Equal((RotationAction.NotPutBack, 1), (said.Action, said.Version));
        Assert.Contains(reason, said.Error!.Problem, StringComparison.Ordinal);
        Assert.Contains(await LedgerEntries.ReadAsync(_folder), entry => entry.Kind == LedgerKind.RotationFailed && entry.Note == $"put back: {reason}");
        Assert.Equal(["by hand"], await LiveAsync());

        // whoever has the new value may use it until then
        var left = Assert.Single(await Runner.GetStatusAsync(Cancel));
        Assert.Null(left.Pending);
        Assert.Equal([2], left.Unrevoked);
        Assert.Equal(["by hand", "made-1"], _shop.Keys);
        await Runner.RunDueAsync(Cancel);
        Assert.Equal(["by hand"], _shop.Keys);
    }

    [Fact]
    public async Task What_was_removed_or_replanned_while_others_rotate_is_taken_as_it_is_then()
    {
        foreach (var name in new[] { "a_first", "b_removed", "c_replanned" })
        {
            using var value = SecretValue.FromString("first");
            await Manager.SetAsync(name, value, cancellationToken: Cancel);
            await Runner.SetPolicyAsync(name, Policy with { Every = TimeSpan.FromDays(1) }, Cancel);
        }

        var another = new RotationPolicy { Rotator = "generate", Every = TimeSpan.FromDays(1), Tell = "ops" };
        _shop.During = async step =>
        {
            if (step == "create")
            {
                await Manager.RemoveAsync("b_removed", Cancel);
                await Runner.SetPolicyAsync("c_replanned", another, Cancel);
            }
        };
        _clock.Advance(TimeSpan.FromDays(1));
        Assert.Equal(
            [("a_first", RotationAction.Rotated), ("c_replanned", RotationAction.Rotated)],
            (await Runner.RunDueAsync(Cancel)).Select(done => (done.Name, done.Action)));
        Assert.Equal(("generate", "ops"), (await Runner.GetPolicyAsync("c_replanned", Cancel)) is { } policy ? (policy.Rotator, policy.Tell) : default);
    }

    [Fact]
    public async Task A_command_is_kept_as_the_absolute_path_that_it_has_from_here()
    {
        await Runner.SetPolicyAsync("key", Of("./rot.sh", "./as it is"), Cancel);
        Assert.Equal([Path.GetFullPath("rot.sh"), "./as it is"], (await Runner.GetPolicyAsync("key", Cancel))!.Command);
        await Runner.SetPolicyAsync("key", Of("sh", "-c", "true"), Cancel);
        var found = (await Runner.GetPolicyAsync("key", Cancel))!.Command[0];
        Assert.True(Path.IsPathFullyQualified(found) && File.Exists(found) && Path.GetFileName(found) == "sh", found);

        var error = await Assert.ThrowsAsync<SecretsException>(async () => await Runner.SetPolicyAsync("key", Of("no-such-program-anywhere"), Cancel));
        Assert.Contains("no program 'no-such-program-anywhere' in PATH", error.Problem, StringComparison.Ordinal);

        static RotationPolicy Of(params string[] command) => new() { Rotator = "command", Command = command };
    }

    [Fact]
    public async Task A_program_that_can_not_be_run_begins_no_rotation()
    {
        var program = Path.Combine(_folder.Vault, "no-program");
        var policy = new RotationPolicy { Rotator = "command", Command = [program], Every = TimeSpan.FromDays(1) };
        for (var i = 0; i < 2; i++)
        {
            var error = await Assert.ThrowsAsync<SecretsException>(async () => await Runner.RotateAsync("key", policy, Cancel));
            Assert.Contains("no-program' that can be run", error.Problem, StringComparison.Ordinal);

            // nor one that may only be read
            await File.WriteAllTextAsync(program, "#!/bin/sh\n", Cancel);
        }

        await Runner.SetPolicyAsync("key", policy, Cancel);
        _clock.Advance(TimeSpan.FromDays(1));
        Assert.Equal(RotationAction.Failed, Assert.Single(await Runner.RunDueAsync(Cancel)).Action);
        Assert.Null(Assert.Single(await Runner.GetStatusAsync(Cancel)).Pending);
    }

    [Fact]
    public async Task A_command_that_the_vault_has_without_its_path_is_not_run()
    {
        await Runner.SetPolicyAsync("key", new RotationPolicy { Rotator = "command", Command = ["/bin/true"], Every = TimeSpan.FromDays(1) }, Cancel);
        Plaintext.Write(_folder, Plaintext.Read(_folder).Replace("/bin/true", "true", StringComparison.Ordinal), _clock);
        _clock.Advance(TimeSpan.FromDays(1));
        Assert.Contains("'true' is not named by its absolute path", Assert.Single(await Runner.RunDueAsync(Cancel)).Error!.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_policy_that_a_rotation_changes_is_in_the_ledger_once()
    {
        await Runner.RotateAsync("key", Policy, Cancel);
        await Runner.RotateAsync("key", Policy, Cancel);
        await Runner.RotateAsync("key", Policy with { Command = ["/bin/true", "x"] }, Cancel);
        await Runner.RotateAsync("key", Policy with { Command = ["/bin/true", "x"] }, Cancel);
        await Runner.RotateAsync("key", cancellationToken: Cancel);
        Assert.Equal(
            ["policy-set", "rotation-begun", "rotation-begun", "policy-set", "rotation-begun", "rotation-begun", "rotation-begun"],
            (await LedgerEntries.ReadAsync(_folder)).Where(entry => entry.Kind is LedgerKind.PolicySet or LedgerKind.RotationBegun).Select(entry => EntryLine.ToText(entry.Kind)).ToList());
    }

    [Fact]
    public async Task A_version_of_a_far_year_is_never_due()
    {
        await Runner.SetPolicyAsync("key", Policy with { Every = TimeSpan.FromDays(3660) }, Cancel);
        _clock.SetUtcNow(new DateTimeOffset(9999, 12, 30, 0, 0, 0, TimeSpan.Zero));
        await SetAsync("of a far year");
        var status = Assert.Single(await Runner.GetStatusAsync(Cancel));
        Assert.Equal((RotationNeed.Fresh, DateTimeOffset.MaxValue), (status.Need, status.Due));
        Assert.Empty(await Runner.RunDueAsync(Cancel));
    }

    [Fact]
    public async Task What_is_due_is_rotated_by_its_policy_and_one_that_fails_keeps_no_other_from_its_turn()
    {
        foreach (var name in new[] { "a_broken", "b_fine", "c_attended" })
        {
            using var value = SecretValue.FromString("first");
            await Manager.SetAsync(name, value, cancellationToken: Cancel);
        }

        var attended = new KeyShopForPeople();
        var runner = Manager.CreateRotationRunner([_shop, attended]);
        await runner.SetPolicyAsync("a_broken", new RotationPolicy { Rotator = "command", Command = ["/bin/false"], Cron = "0 3 * * *", Tell = "ops" }, Cancel);
        await runner.SetPolicyAsync("b_fine", new RotationPolicy { Rotator = "generate", Every = TimeSpan.FromDays(30) }, Cancel);
        await runner.SetPolicyAsync("c_attended", new RotationPolicy { Rotator = attended.Name, Every = TimeSpan.FromDays(30) }, Cancel);
        Assert.Empty(await runner.RunDueAsync(Cancel));
        Assert.Equal([RotationNeed.Fresh, RotationNeed.Fresh, RotationNeed.Fresh, RotationNeed.Unplanned], (await runner.GetStatusAsync(Cancel)).Select(status => status.Need));

        _clock.Advance(TimeSpan.FromDays(30));
        Assert.Equal([RotationNeed.Overdue, RotationNeed.Due, RotationNeed.Due, RotationNeed.Unplanned], (await runner.GetStatusAsync(Cancel)).Select(status => status.Need));
        var done = await runner.RunDueAsync(Cancel);
        Assert.Equal(
            [("a_broken", RotationAction.Failed, "ops"), ("b_fine", RotationAction.Rotated, null), ("c_attended", RotationAction.NeedsPerson, (string?)null)],
            done.Select(item => (item.Name, item.Action, item.Tell)));
        Assert.Equal(RotationPolicy.UsualLength, (await Manager.GetAsync("b_fine", Cancel))!.Length);

        // what is stuck is tried again, and what is done is not
        Assert.Equal(["a_broken", "c_attended"], (await runner.RunDueAsync(Cancel)).Select(item => item.Name).ToList());
    }

    [Fact]
    public async Task A_policy_that_lacks_something_changes_nothing()
    {
        var before = _folder.PhotographVault();
        RotationPolicy[] policies =
        [
            new() { Rotator = "nobody" },
            new() { Rotator = "command" },
            new() { Rotator = "generate", Length = 7 },
            new() { Rotator = "generate", Alphabet = "aaaa" },
            new() { Rotator = "generate", Prefix = "ü" },
            new() { Rotator = "generate", Cron = "every day" },
            new() { Rotator = "generate", Cron = "0 0 31 2 *" },
            new() { Rotator = "generate", Cron = "0 3 * * *", Every = TimeSpan.FromDays(1) },
            new() { Rotator = "generate", Every = TimeSpan.Zero },
            new() { Rotator = "generate", Grace = TimeSpan.FromDays(400) },
        ];
        foreach (var policy in policies)
        {
            await Assert.ThrowsAsync<SecretsException>(async () => await Runner.RotateAsync("key", policy, Cancel));
        }

        await Assert.ThrowsAsync<SecretsException>(async () => await Runner.RotateAsync("key", cancellationToken: Cancel));
        await Assert.ThrowsAsync<SecretNotFoundException>(async () => await Runner.RotateAsync("nobody", Policy, Cancel));
        Assert.Equal(before, _folder.PhotographVault());
    }

    [Fact]
    public async Task A_rotation_that_a_person_has_begun_waits_for_him_and_keeps_no_other_from_its_turn()
    {
        var people = new KeyShop { Name = "people", NeedsPerson = true, FailsAt = "test" };
        var runner = Manager.CreateRotationRunner([people, _shop]);
        await SetAsync("another", "z_due");
        await runner.SetPolicyAsync("z_due", Policy with { Every = TimeSpan.FromDays(1) }, Cancel);
        await Assert.ThrowsAsync<SecretsException>(async () => await runner.RotateAsync("key", new RotationPolicy { Rotator = "people" }, Cancel));
        people.FailsAt = null;
        _clock.Advance(TimeSpan.FromDays(1));
        Assert.Equal(
            [("key", RotationAction.NeedsPerson, 2), ("z_due", RotationAction.Rotated, 2)],
            (await runner.RunDueAsync(Cancel)).Select(done => (done.Name, done.Action, done.Version!.Value)));
        Assert.Equal("by hand", await GetAsync());
        Assert.Equal("test", (await runner.GetStatusAsync(Cancel))[0].PendingStep);
    }

    [Fact]
    public async Task A_generated_value_has_the_shape_that_its_policy_says()
    {
        var policy = new RotationPolicy { Rotator = "generate", Length = 64, Alphabet = "0123456789abcdef", Prefix = "sk-" };
        await Runner.RotateAsync("key", policy, Cancel);
        Assert.Matches("^sk-[0-9a-f]{64}$", (await Manager.GetAsync("key", Cancel))!.RevealString());
        await Runner.RotateAsync("key", cancellationToken: Cancel);
        Assert.Equal(3, (await LiveAsync()).Distinct(StringComparer.Ordinal).Count());
    }

    [Fact]
    public async Task The_vault_is_read_no_more_often_for_many_secrets_of_which_none_is_due()
    {
        var runner = _folder.Open().CreateRotationRunner([_shop]);
        for (var i = 0; i < 12; i++)
        {
            await _folder.SetAsync($"key_{i}", "value");
            await runner.SetPolicyAsync($"key_{i}", Policy with { Every = TimeSpan.FromDays(30) }, Cancel);
        }

        // what was changed within a tick of the file system's clock is read once more, and the first run makes its lock's file
        await runner.RunDueAsync(Cancel);
        while (DateTime.UtcNow - Directory.GetLastWriteTimeUtc(_folder.Vault) < TimeSpan.FromMilliseconds(150))
        {
            await Task.Delay(10, Cancel);
        }

        using var heard = new Heard();
        Assert.Empty(await runner.RunDueAsync(Cancel));
        Assert.InRange(heard.Values("mallku.secrets.vault.opens", "").Count, 0, 3);
    }

    private sealed class KeyShopForPeople : IRotator
    {
        public string Name => "people";

        public bool CanRevoke => false;

        public bool NeedsPerson => true;

        public void Require(RotatedKey current)
        {
        }

        public ValueTask<NewKey> CreateAsync(RotatedKey key, CancellationToken cancellationToken) => throw new InvalidOperationException("nobody is there");

        public ValueTask SetAsync(RotatedKey key, SecretValue value, CancellationToken cancellationToken) => default;

        public ValueTask TestAsync(RotatedKey key, SecretValue value, CancellationToken cancellationToken) => default;

        public ValueTask DiscardAsync(RotatedKey key, CancellationToken cancellationToken) => default;

        public ValueTask RevokeAsync(RotatedKey key, SecretValue? value, CancellationToken cancellationToken) => default;
    }
}
