using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Rotation;
using Mallku.Secrets.Tests.Processes;
using Mallku.Secrets.Tests.Vault;

namespace Mallku.Secrets.Tests.Rotation;

/// <summary>Whoever takes a version out of use, its key is revoked by the rotator that made it, and not before.</summary>
public sealed class KeyRevocationTests : ShopStage
{
    [Fact]
    public async Task A_version_that_another_rotator_replaces_is_revoked_by_the_one_that_made_it_with_what_it_was_told_then()
    {
        await Runner.RotateAsync("key", Policy, Cancel);
        await Runner.RotateAsync("key", new RotationPolicy { Rotator = "other", Grace = Grace }, Cancel);
        await Runner.RotateAsync("key", new RotationPolicy { Rotator = "generate", Grace = Grace }, Cancel);
        _clock.Advance(Grace);
        Assert.Equal(
            [(RotationAction.Retired, 1), (RotationAction.Retired, 2), (RotationAction.Retired, 3), (RotationAction.Revoked, 1), (RotationAction.Revoked, 2), (RotationAction.Revoked, 3)],
            await RunAsync());
        Assert.Empty(_shop.Keys);
        Assert.Empty(_other.Keys);
        Assert.Equal(["account-1", "account-1"], _shop.Accounts);
    }

    [Fact]
    public async Task A_version_that_is_set_over_can_come_back_for_the_grace_and_is_then_revoked()
    {
        await Runner.RotateAsync("key", Policy, Cancel);
        await SetAsync("mistyped");
        await SetAsync("mistyped again");
        Assert.Equal(["mistyped again", "by hand"], await LiveAsync());
        _clock.Advance(Grace - TimeSpan.FromMinutes(1));
        Assert.Empty(await RunAsync());
        await Runner.RollBackAsync("key", 2, cancellationToken: Cancel);
        _clock.Advance(Grace);
        await RunAsync();
        Assert.Equal("made-1", await GetAsync());
        Assert.Equal(["made-1"], _shop.Keys);

        await SetAsync("meant");
        Assert.Empty(Assert.Single(await Runner.GetStatusAsync(Cancel)).Unrevoked);
        _clock.Advance(Grace);
        Assert.Equal([5], Assert.Single(await Runner.GetStatusAsync(Cancel)).Unrevoked);
        Assert.Equal([(RotationAction.Retired, 5), (RotationAction.Revoked, 5)], await RunAsync());
        Assert.Empty(_shop.Keys);
        await RequireNothingLeftAsync();
    }

    [Fact]
    public async Task What_another_program_writes_over_a_version_leaves_its_key_to_be_revoked()
    {
        await Runner.RotateAsync("key", Policy, Cancel);
        Plaintext.Write(_folder, Plaintext.Read(_folder).Replace("{\"key\":\"made-1\"", "{\"key\":\"outside\"", StringComparison.Ordinal), _clock);
        Assert.Equal("outside", await GetAsync());
        _clock.Advance(Grace);
        await RunAsync();
        Assert.Empty(_shop.Keys);
    }

    [Fact]
    public async Task A_key_that_is_set_again_is_not_revoked_while_it_is_in_use()
    {
        await Runner.RotateAsync("key", Policy with { Grace = TimeSpan.Zero }, Cancel);
        _shop.FailsAt = "revoke";
        await Runner.RotateAsync("key", cancellationToken: Cancel);
        Assert.Equal([2], Assert.Single(await Runner.GetStatusAsync(Cancel)).Unrevoked);
        await SetAsync("made-1");
        _shop.FailsAt = null;
        Assert.Equal([(RotationAction.Retired, 3), (RotationAction.Revoked, 3)], await RunAsync());
        Assert.Equal(["made-1"], _shop.Keys);

        await SetAsync("another");
        await RunAsync();
        Assert.Empty(_shop.Keys);
        Assert.DoesNotContain("made-1", Plaintext.Read(_folder), StringComparison.Ordinal);
        await Assert.ThrowsAsync<SecretsException>(async () => await Runner.RollBackAsync("key", 2, cancellationToken: Cancel));
    }

    [Fact]
    public async Task A_value_that_another_program_sets_while_it_is_revoked_is_said_to_be_dead_and_what_it_replaced_can_come_back()
    {
        await Runner.RotateAsync("key", Policy with { Grace = TimeSpan.Zero }, Cancel);
        _shop.During = step =>
        {
            if (step == "revoke")
            {
                Plaintext.Write(_folder, Plaintext.Read(_folder).Replace("{\"key\":\"made-2\"", "{\"key\":\"made-1\"", StringComparison.Ordinal), _clock);
            }

            return Task.CompletedTask;
        };
        var settled = (await Runner.RotateAsync("key", cancellationToken: Cancel)).Settled;
        _shop.During = static _ => Task.CompletedTask;
        Assert.Equal("made-1", await GetAsync());
        Assert.Equal([RotationAction.Revoked, RotationAction.Failed], settled.Select(done => done.Action));
        Assert.Contains("version 4 of 'key' is in use and does not work", settled[1].Error!.Problem, StringComparison.Ordinal);
        Assert.Contains(await LedgerEntries.ReadAsync(_folder), entry => entry is { Kind: LedgerKind.Revoked, Version: 2 });
        Assert.Equal(4, Assert.Single(await Runner.GetStatusAsync(Cancel)).Dead);

        // the only key that works stays, though its time is over
        Assert.Empty(await RunAsync());
        Assert.Equal(["made-2"], _shop.Keys);
        Assert.Equal(5, (await Runner.RollBackAsync("key", cancellationToken: Cancel)).Version);
        Assert.Equal("made-2", await GetAsync());
        await RunAsync();
        Assert.Equal(["made-2"], _shop.Keys);
        await RequireNothingLeftAsync();
    }

    [Fact]
    public async Task A_value_whose_revoking_was_cut_off_can_be_set_again_when_its_key_is_left_alone()
    {
        await Runner.RotateAsync("key", Policy with { Grace = TimeSpan.Zero }, Cancel);
        using var cutOff = new CancellationTokenSource();
        _shop.During = async step =>
        {
            if (step == "revoke")
            {
                await cutOff.CancelAsync();
                cutOff.Token.ThrowIfCancellationRequested();
            }
        };
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await Runner.RotateAsync("key", cancellationToken: cutOff.Token));
        _shop.During = static _ => Task.CompletedTask;
        var refused = await Assert.ThrowsAsync<SecretsException>(() => SetAsync("made-1"));
        Assert.Contains("the key of version 2 of 'key', which has that value, is being revoked", refused.Problem, StringComparison.Ordinal);
        Assert.Equal([(RotationAction.KeyLeft, 2)], (await Runner.AbandonAsync("key", Cancel)).Select(left => (left.Action, left.Version!.Value)));
        await SetAsync("made-1");
        Assert.Equal("made-1", await GetAsync());
    }

    [Fact]
    public async Task A_key_that_another_secret_has_in_use_is_not_revoked()
    {
        await Runner.RotateAsync("key", Policy, Cancel);
        await SetAsync("made-1", "second_name");
        await Runner.RotateAsync("key", Policy with { Grace = TimeSpan.Zero }, Cancel);
        var refused = Assert.Single(await Runner.RunDueAsync(Cancel));
        Assert.Contains("the secret 'second_name' has the same value", refused.Error!.Problem, StringComparison.Ordinal);
        Assert.True(_shop.Live.ContainsKey("made-1"));

        // and may have been replaced by mistake
        await SetAsync("something else", "second_name");
        Assert.Empty(await RunAsync());
        await Runner.RollBackAsync("second_name", cancellationToken: Cancel);
        Assert.True(_shop.Live.ContainsKey("made-1"));
        await SetAsync("something else", "second_name");
        _clock.Advance(RotationPolicy.UsualGrace);
        Assert.Contains((RotationAction.Revoked, 2), await RunAsync());
        Assert.False(_shop.Live.ContainsKey("made-1"));
        var error = await Assert.ThrowsAsync<SecretsException>(async () => await Runner.RollBackAsync("second_name", 3, cancellationToken: Cancel));
        Assert.Contains("was revoked", error.Problem, StringComparison.Ordinal);
        Assert.DoesNotContain("made-1", Plaintext.Read(_folder), StringComparison.Ordinal);
        await RequireNothingLeftAsync();
    }

    [Fact]
    public async Task A_secret_that_got_another_name_keeps_its_key()
    {
        await Runner.RotateAsync("key", Policy, Cancel);
        await SetAsync("made-1", "second_name");
        await Manager.RemoveAsync("key", Cancel);
        _clock.Advance(Grace);
        await RunAsync();
        Assert.True(_shop.Live.ContainsKey("made-1"));

        await SetAsync("something else", "second_name");
        _clock.Advance(RotationPolicy.UsualGrace);
        Assert.Contains((RotationAction.Revoked, 1), await RunAsync());
        Assert.False(_shop.Live.ContainsKey("made-1"));
    }

    [Theory]
    [InlineData("key", false)]
    [InlineData("key", true)]
    [InlineData("second_name", false)]
    [InlineData("second_name", true)]
    public async Task A_key_that_is_set_again_after_its_secret_was_removed_is_not_revoked_while_it_is_in_use(string name, bool isRemovedByAnother)
    {
        await Runner.RotateAsync("key", Policy, Cancel);
        await RemoveAsync(isRemovedByAnother);
        await SetAsync("made-1", name);
        _clock.Advance(TimeSpan.FromDays(10));
        await Runner.RunDueAsync(Cancel);
        Assert.True(_shop.Live.ContainsKey("made-1"));

        await SetAsync("something else", name);
        _clock.Advance(TimeSpan.FromDays(10));
        Assert.Contains(await Runner.RunDueAsync(Cancel), done => done is { Name: "key", Action: RotationAction.Revoked });
        Assert.False(_shop.Live.ContainsKey("made-1"));
    }

    [Fact]
    public async Task Of_a_value_that_was_removed_the_vault_has_what_the_format_says_until_its_key_is_revoked()
    {
        await Runner.RotateAsync("key", Policy, Cancel);
        await Manager.RemoveAsync("key", Cancel);
        var versions = JsonNode.Parse(Plaintext.Read(_folder))!["$mallku"]!["secrets"]!["key"]!["versions"]!.AsArray();
        var digests = versions.Select(version => Convert.FromHexString(version!["digest"]!.GetValue<string>())).ToList();
        Assert.Equal(HMACSHA256.HashData(digests[0].AsSpan(0, 32), "by hand"u8), digests[0][32..]);
        Assert.Equal(HMACSHA256.HashData(digests[1].AsSpan(0, 32), "made-1"u8), digests[1][32..]);
        Assert.DoesNotContain("made-1", Plaintext.Read(_folder), StringComparison.Ordinal);

        _clock.Advance(Grace);
        await RunAsync();
        await Runner.AbandonAsync("key", Cancel);
        Assert.DoesNotContain("digest", Plaintext.Read(_folder), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_key_of_a_secret_that_was_removed_is_revoked_by_its_token_after_the_grace(bool isByAnother)
    {
        await Runner.RotateAsync("key", Policy, Cancel);
        await RemoveAsync(isByAnother);
        Assert.Empty(await RunAsync());
        Assert.Equal(["by hand", "made-1"], _shop.Keys);
        _clock.Advance(Grace);
        Assert.Equal([1, 2], Assert.Single(await Runner.GetStatusAsync(Cancel)).Unrevoked);
        var done = await Runner.RunDueAsync(Cancel);

        // of the one that was made by hand, the vault has neither a value nor a name
        Assert.Equal([(RotationAction.Failed, 1), (RotationAction.Revoked, 2)], done.Select(item => (item.Action, item.Version!.Value)));
        Assert.Contains("the value of version 1 of 'key' is gone", done[0].Error!.Problem, StringComparison.Ordinal);
        Assert.Equal(["by hand"], _shop.Keys);
        Assert.Equal("without its value", (await LedgerEntries.ReadAsync(_folder)).Single(entry => entry.Kind == LedgerKind.Revoked).Note);
        await Runner.AbandonAsync("key", Cancel);
        await RequireNothingLeftAsync();
    }

    [Fact]
    public async Task A_key_that_is_to_stay_after_its_secret_was_removed_can_be_left_alone()
    {
        await Runner.RotateAsync("key", Policy, Cancel);
        await Manager.RemoveAsync("key", Cancel);
        await Runner.AbandonAsync("key", Cancel);
        _clock.Advance(Grace);
        Assert.Empty(await RunAsync());
        Assert.True(_shop.Live.ContainsKey("made-1"));
    }

    [Fact]
    public async Task A_key_that_is_to_stay_after_it_was_set_over_can_be_left_alone()
    {
        await Runner.RotateAsync("key", Policy with { Grace = TimeSpan.Zero }, Cancel);
        await SetAsync("meant");
        Assert.Equal([(RotationAction.KeyLeft, 2)], (await Runner.AbandonAsync("key", Cancel)).Select(left => (left.Action, left.Version!.Value)));
        Assert.Empty(await RunAsync());
        Assert.Equal(["made-1"], _shop.Keys);
        await RequireNothingLeftAsync();
    }

    [Fact]
    public async Task The_key_of_a_rotator_that_a_process_does_not_know_waits_for_one_that_does()
    {
        await Runner.RotateAsync("key", Policy, Cancel);
        var stranger = Manager.CreateRotationRunner();
        await Assert.ThrowsAsync<SecretsException>(async () => await stranger.RollBackAsync("key", cancellationToken: Cancel));
        await stranger.RotateAsync("key", new RotationPolicy { Rotator = "generate", Grace = Grace }, Cancel);
        _clock.Advance(Grace);
        var left = (await stranger.RunDueAsync(Cancel)).Where(done => done.Action == RotationAction.Failed).ToList();
        Assert.Equal([1, 2], left.Select(done => done.Version!.Value));
        Assert.All(left, done => Assert.Contains("there is no rotator 'shop'", done.Error!.Problem, StringComparison.Ordinal));
        Assert.Contains(RotationInspection.Inspect(await stranger.GetStatusAsync(Cancel)), finding => finding.What.Contains("not revoked: version 1, 2", StringComparison.Ordinal));
        Assert.Equal(["by hand", "made-1"], _shop.Keys);
        await RunAsync();
        Assert.Empty(_shop.Keys);
    }

    [Fact]
    public async Task A_rotator_that_can_not_revoke_is_never_said_to_have_done_so()
    {
        var unable = new KeyShop { CanRevoke = false };
        await Runner.RotateAsync("key", Policy with { Grace = TimeSpan.Zero }, Cancel);
        _shop.FailsAt = "revoke";
        await Runner.RotateAsync("key", cancellationToken: Cancel);
        var done = Assert.Single(await Manager.CreateRotationRunner([unable]).RunDueAsync(Cancel));
        Assert.Equal(RotationAction.Failed, done.Action);
        Assert.Contains("can't revoke version 2", done.Error!.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_vault_from_before_makers_were_written_down_is_understood()
    {
        await Runner.RotateAsync("key", Policy, Cancel);
        var before = Plaintext.Read(_folder);
        var older = before.Replace(",\"keyId\":\"id-1\",\"revokeBy\":\"shop\",\"account\":\"account-1\"", ",\"keyId\":\"id-1\"", StringComparison.Ordinal);
        Assert.NotEqual(before, older, StringComparer.Ordinal);
        Plaintext.Write(_folder, older, _clock);
        await SetAsync("meant");
        _clock.Advance(Grace);
        await RunAsync();
        Assert.Empty(_shop.Keys);
    }

    private async Task RemoveAsync(bool isByAnother)
    {
        if (isByAnother)
        {
            Plaintext.Write(_folder, $"{{\"$mallku\":{Plaintext.Members(Plaintext.Read(_folder))["$mallku"]}}}", _clock);
        }
        else
        {
            await Manager.RemoveAsync("key", Cancel);
        }
    }
}
