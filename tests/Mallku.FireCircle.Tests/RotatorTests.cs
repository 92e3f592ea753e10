using Mallku.FireCircle.Rotators;
using Mallku.Secrets.Rotation;
using Microsoft.Extensions.Time.Testing;

namespace Mallku.FireCircle.Tests;

/// <summary>Rotations by the providers' interfaces for managing keys, against a server that refuses revoked keys at once.</summary>
public sealed class RotatorTests
{
    private static readonly RotationPolicy OpenAI = new() { Rotator = "openai", Account = "proj_test", Grace = TimeSpan.Zero };

    private static readonly RotationPolicy Xai = new() { Rotator = "xai", Account = "team-test", Grace = TimeSpan.Zero };

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_new_service_account_takes_the_place_of_a_key_that_was_made_by_hand_and_of_the_one_before()
    {
        await using var desk = await Desk.SetAsync("openai");
        var byHand = desk.Stage.Server.AddKey("openai", "made by hand", "sk-proj-" + Stage.NewKey());
        desk.Stage.Server.AddKey("openai", "somebody else's", "sk-proj-" + Stage.NewKey());
        await desk.StoreAsync("openai_api_key", byHand.Value);

        var rotated = await desk.Runner.RotateAsync("openai_api_key", OpenAI, Cancel);
        Assert.Equal([RotationAction.Revoked], rotated.Settled.Select(done => done.Action));
        await RequireCurrentAsync(desk, "somebody else's");
        var first = desk.Stage.Server.Keys.Single(key => key.IsServiceAccount);

        await desk.Runner.RotateAsync("openai_api_key", cancellationToken: Cancel);
        await RequireCurrentAsync(desk, "somebody else's");
        Assert.DoesNotContain(first, desk.Stage.Server.Keys);
        Assert.Empty(desk.Stage.Server.Faults);
    }

    [Fact]
    public async Task A_key_whose_answer_was_lost_is_deleted_and_exactly_one_with_the_token_is_live()
    {
        await using var desk = await Desk.SetAsync("openai");
        var byHand = desk.Stage.Server.AddKey("openai", "made by hand", "sk-proj-" + Stage.NewKey());
        desk.Stage.Server.AddKey("openai", "another", "sk-proj-" + Stage.NewKey());
        desk.Stage.Server.AddKey("openai", "a third", "sk-proj-" + Stage.NewKey());
        await desk.StoreAsync("openai_api_key", byHand.Value);
        desk.Stage.Server.LosesNextKey = true;
        var error = await Assert.ThrowsAsync<SecretsException>(async () => await desk.Runner.RotateAsync("openai_api_key", OpenAI, Cancel));
        Assert.Contains("'create'", error.Problem, StringComparison.Ordinal);
        var orphan = desk.Stage.Server.Keys.Single(key => key.IsServiceAccount);
        Assert.Equal(byHand.Value, (await desk.Stage.Secrets.GetAsync("openai_api_key", Cancel))!.RevealString());

        await desk.Runner.ResumeAsync("openai_api_key", Cancel);
        var live = desk.Stage.Server.Keys.Single(key => key.IsServiceAccount);
        Assert.NotEqual(orphan.Value, live.Value, StringComparer.Ordinal);
        Assert.NotEqual(orphan.Name, live.Name, StringComparer.Ordinal);
        await RequireCurrentAsync(desk, "another", "a third");
    }

    [Theory]
    [InlineData("openai", true)]
    [InlineData("openai", false)]
    [InlineData("xai", true)]
    [InlineData("xai", false)]
    public async Task A_key_that_the_provider_makes_long_after_it_was_asked_is_deleted_and_no_other(string provider, bool isResumed)
    {
        await using var desk = await Desk.SetAsync(provider);
        var (name, policy) = (provider + "_api_key", (provider == "openai" ? OpenAI : Xai) with { Grace = TimeSpan.FromDays(1) });
        var byHand = desk.Stage.Server.AddKey(provider, "made by hand", $"{provider}-{Stage.NewKey()}");
        await desk.StoreAsync(name, byHand.Value);
        desk.Stage.Server.LosesNextKey = true;
        await Assert.ThrowsAsync<SecretsException>(async () => await desk.Runner.RotateAsync(name, policy, Cancel));
        var orphan = desk.Stage.Server.Keys.Single(key => key != byHand);
        if (isResumed)
        {
            await desk.Runner.ResumeAsync(name, Cancel);
        }
        else
        {
            Assert.Empty(await desk.Runner.AbandonAsync(name, Cancel));
        }

        var live = desk.Stage.Server.Keys.ToList();
        Assert.Equal(isResumed ? 2 : 1, live.Count);
        Assert.DoesNotContain(orphan, live);
        var late = provider == "openai"
            ? desk.Stage.Server.AddServiceAccount(provider, orphan.Name, $"late-{Stage.NewKey()}")
            : desk.Stage.Server.AddKey(provider, orphan.Name, $"late-{Stage.NewKey()}");
        Assert.Contains(late, desk.Stage.Server.Keys);
        desk.Clock = new FakeTimeProvider(DateTimeOffset.UtcNow + TimeSpan.FromMinutes(11));
        Assert.Equal([2], (await desk.Runner.GetStatusAsync(Cancel)).Single(status => status.Name == name).Unanswered);
        Assert.Empty(await desk.Runner.RunDueAsync(Cancel));
        Assert.Equal(live, desk.Stage.Server.Keys.ToList());
        Assert.Empty((await desk.Runner.GetStatusAsync(Cancel)).Single(status => status.Name == name).Unanswered);
        Assert.Empty(desk.Stage.Server.Faults);
    }

    [Fact]
    public async Task A_rotation_that_is_given_up_deletes_the_key_whose_answer_was_lost()
    {
        await using var desk = await Desk.SetAsync("openai");
        await desk.StoreAsync("openai_api_key", "sk-by-hand-0123456789");
        desk.Stage.Server.LosesNextKey = true;
        await Assert.ThrowsAsync<SecretsException>(async () => await desk.Runner.RotateAsync("openai_api_key", OpenAI, Cancel));
        Assert.Empty(await desk.Runner.AbandonAsync("openai_api_key", Cancel));
        Assert.Empty(desk.Stage.Server.Keys);
        Assert.Empty(await desk.Runner.RunDueAsync(Cancel));
    }

    [Fact]
    public async Task What_the_interface_refuses_is_an_error_without_a_key_and_changes_nothing()
    {
        await using var desk = await Desk.SetAsync("openai", hasAdministrator: false);
        await desk.StoreAsync("openai_api_key", "sk-by-hand-0123456789");
        await Assert.ThrowsAsync<SecretsException>(async () => await desk.Runner.RotateAsync("openai_api_key", OpenAI with { Account = null }, Cancel));
        var missing = await Assert.ThrowsAsync<SecretsException>(async () => await desk.Runner.RotateAsync("openai_api_key", OpenAI, Cancel));
        Assert.Contains("openai_admin_key", missing.ToString(), StringComparison.Ordinal);

        await desk.StoreAsync("openai_admin_key", "canary-not-an-administrator");
        var refused = await Assert.ThrowsAsync<SecretsException>(async () => await desk.Runner.ResumeAsync("openai_api_key", Cancel));
        Assert.Contains("OpenAI answered 401", refused.Problem, StringComparison.Ordinal);
        Assert.DoesNotContain("canary", refused.ToString(), StringComparison.Ordinal);
        Assert.Equal("sk-by-hand-0123456789", (await desk.Stage.Secrets.GetAsync("openai_api_key", Cancel))!.RevealString());
        Assert.Empty(desk.Stage.Server.Keys);
    }

    [Fact]
    public async Task A_key_that_a_person_types_in_is_tried_and_the_old_one_deactivated()
    {
        await using var desk = await Desk.SetAsync("anthropic");
        desk.Stage.Server.AddKey("anthropic", "another", "sk-ant-api03-" + Stage.NewKey());
        var old = desk.Stage.Server.AddKey("anthropic", "old", "sk-ant-api03-" + Stage.NewKey());
        await desk.StoreAsync("anthropic_api_key", old.Value);
        var policy = new RotationPolicy { Rotator = "assisted", Grace = TimeSpan.Zero };

        desk.Typed = "sk-ant-api03-mistyped-0123456789";
        var error = await Assert.ThrowsAsync<SecretsException>(async () => await desk.Runner.RotateAsync("anthropic_api_key", policy, Cancel));
        Assert.Contains("does not work at Anthropic", error.Problem, StringComparison.Ordinal);
        Assert.DoesNotContain("mistyped-", error.ToString(), StringComparison.Ordinal);
        Assert.Equal([RotationAction.Revoked], (await desk.Runner.AbandonAsync("anthropic_api_key", Cancel)).Select(done => done.Action));

        var fresh = desk.Stage.Server.AddKey("anthropic", "fresh", "sk-ant-api03-" + Stage.NewKey());
        desk.Typed = fresh.Value;
        var rotated = await desk.Runner.RotateAsync("anthropic_api_key", cancellationToken: Cancel);
        Assert.Equal([RotationAction.Revoked], rotated.Settled.Select(done => done.Action));
        Assert.Equal("https://console.anthropic.com/settings/keys", desk.Console?.AbsoluteUri);
        Assert.Equal("another fresh", string.Join(' ', desk.Stage.Server.Keys.Select(key => key.Name).Order(StringComparer.Ordinal)));
        Assert.Empty(desk.Stage.Server.Faults);
    }

    [Theory]
    [InlineData("openai")]
    [InlineData("anthropic")]
    public async Task A_key_made_by_hand_that_is_revoked_already_is_no_error_and_one_that_works_and_is_not_listed_is(string provider)
    {
        await using var desk = await Desk.SetAsync(provider);
        var byHand = desk.Stage.Server.AddKey(provider, "made by hand", "sk-by-hand-" + Stage.NewKey());
        IRotator rotator = provider == "openai" ? new OpenAIRotator(desk.Factory) : new AssistedRotator(desk.Factory, (_, _, _) => throw new InvalidOperationException());
        var key = new RotatedKey(provider + "_api_key", Version: 1, new string('0', 32), Token: null, KeyId: null, OpenAI);
        using var value = SecretValue.FromString(byHand.Value);
        await rotator.RevokeAsync(key, value, Cancel);
        Assert.Empty(desk.Stage.Server.Keys);
        await rotator.RevokeAsync(key, value, Cancel);

        desk.Stage.Server.Accept(byHand.Value);
        var error = await Assert.ThrowsAsync<SecretsException>(async () => await rotator.RevokeAsync(key, value, Cancel));
        Assert.Contains("none of the keys", error.Problem, StringComparison.Ordinal);

        // it may be live, though it may do little
        desk.Stage.Server.Refuse(byHand.Value);
        desk.Stage.Server.RefusalStatus = 403;
        await Assert.ThrowsAsync<SecretsException>(async () => await rotator.RevokeAsync(key, value, Cancel));
    }

    [Fact]
    public async Task Where_only_a_person_can_revoke_it_is_said_until_he_has()
    {
        await using var desk = await Desk.SetAsync("openai");
        await desk.StoreAsync("mistral_api_key", "old-0123456789");
        desk.Typed = await desk.Stage.StoreAsync("elsewhere");
        var rotated = await desk.Runner.RotateAsync("mistral_api_key", new RotationPolicy { Rotator = "assisted", Grace = TimeSpan.Zero }, Cancel);
        var left = Assert.Single(rotated.Settled);
        Assert.Equal((RotationAction.Failed, 1), (left.Action, left.Version));
        Assert.Contains("https://console.mistral.ai/api-keys", left.Error!.Remedy, StringComparison.Ordinal);
        await desk.Runner.AbandonAsync("mistral_api_key", Cancel);
        Assert.Empty(await desk.Runner.RunDueAsync(Cancel));
    }

    [Fact]
    public async Task It_can_be_told_before_a_rotation_whether_anybody_tries_the_new_key()
    {
        await using var desk = await Desk.SetAsync("openai");
        var rotator = new AssistedRotator(desk.Factory, static (_, _, _) => throw new InvalidOperationException());
        Assert.Equal("mistral", rotator.FindProvider("MISTRAL-api_key")?.Id);
        Assert.Null(rotator.FindProvider("house_key"));
    }

    [Fact]
    public async Task Nothing_is_called_revoked_where_a_person_typed_no_key_in_or_its_value_is_gone()
    {
        await using var desk = await Desk.SetAsync("anthropic");
        await desk.StoreAsync("anthropic_api_key", "sk-ant-api03-by-hand-0123456789");
        var policy = new RotationPolicy { Rotator = "assisted", Grace = TimeSpan.Zero };
        await Assert.ThrowsAsync<SecretsException>(async () => await desk.Runner.RotateAsync("anthropic_api_key", policy, Cancel));
        Assert.Empty(await desk.Runner.AbandonAsync("anthropic_api_key", Cancel));
        Assert.Empty(await desk.Runner.RunDueAsync(Cancel));

        var fresh = desk.Stage.Server.AddKey("anthropic", "fresh", "sk-ant-api03-" + Stage.NewKey());
        desk.Typed = fresh.Value;
        await desk.Runner.RotateAsync("anthropic_api_key", cancellationToken: Cancel);
        await SecretsManager.Open(desk.Stage.Options).RemoveAsync("anthropic_api_key", Cancel);
        var left = Assert.Single(await desk.Runner.RunDueAsync(Cancel));
        Assert.Equal((RotationAction.Failed, 3), (left.Action, left.Version));
        Assert.Contains("only a person can revoke version 3", left.Error!.Problem, StringComparison.Ordinal);
        Assert.Contains(fresh, desk.Stage.Server.Keys);
    }

    [Fact]
    public async Task A_service_account_is_deleted_in_the_project_in_which_it_was_made()
    {
        await using var desk = await Desk.SetAsync("openai");
        await desk.StoreAsync("openai_api_key", "sk-by-hand-0123456789");
        await desk.Runner.RotateAsync("openai_api_key", OpenAI with { Grace = TimeSpan.FromDays(1) }, Cancel);
        var made = desk.Stage.Server.Keys.Single(key => key.IsServiceAccount);
        await desk.Runner.SetPolicyAsync("openai_api_key", OpenAI with { Account = "proj_other" }, Cancel);
        await SecretsManager.Open(desk.Stage.Options).RemoveAsync("openai_api_key", Cancel);
        Assert.Equal([(RotationAction.Revoked, 2)], (await desk.Runner.RunDueAsync(Cancel)).Where(done => done.Version == 2).Select(done => (done.Action, done.Version ?? 0)));
        Assert.DoesNotContain(made, desk.Stage.Server.Keys);
    }

    [Fact]
    public async Task A_new_key_of_xAI_has_the_rights_of_the_one_that_it_replaces_which_is_deleted()
    {
        await using var desk = await Desk.SetAsync("xai");
        string[] rights = ["api-key:endpoint:chat", "api-key:model:grok-4"];
        var value = "xai-" + Stage.NewKey();
        var byHand = desk.Stage.Server.AddKey("xai", "made by hand", value, rights);

        // what the list shows of both is the same
        desk.Stage.Server.AddKey("xai", "somebody else's", "xai-another" + value[^4..]);
        await desk.StoreAsync("xai_api_key", byHand.Value);
        var rotated = await desk.Runner.RotateAsync("xai_api_key", Xai, Cancel);
        Assert.Equal([RotationAction.Revoked], rotated.Settled.Select(done => done.Action));
        var first = await FindCurrentAsync(desk);
        Assert.Equal(rights, first.Rights);
        Assert.Equal(["somebody else's", first.Name], desk.Stage.Server.Keys.Select(key => key.Name).OrderDescending(StringComparer.Ordinal).ToList());

        await desk.Runner.RotateAsync("xai_api_key", cancellationToken: Cancel);
        Assert.Equal(rights, (await FindCurrentAsync(desk)).Rights);
        Assert.DoesNotContain(first, desk.Stage.Server.Keys);
        Assert.Equal(2, desk.Stage.Server.Keys.Count());
        Assert.Empty(desk.Stage.Server.Faults);
    }

    [Fact]
    public async Task A_key_of_xAI_whose_answer_was_lost_is_deleted_wherever_in_the_list_it_stands()
    {
        await using var desk = await Desk.SetAsync("xai");
        foreach (var other in new[] { "a", "b", "c" })
        {
            desk.Stage.Server.AddKey("xai", other, $"xai-{other}" + Stage.NewKey());
        }

        await desk.StoreAsync("xai_api_key", desk.Stage.Server.AddKey("xai", "made by hand", "xai-" + Stage.NewKey()).Value);
        desk.Stage.Server.LosesNextKey = true;
        await Assert.ThrowsAsync<SecretsException>(async () => await desk.Runner.RotateAsync("xai_api_key", Xai, Cancel));
        var orphan = desk.Stage.Server.Keys.Single(key => key.Name.StartsWith("mallku-xai_api_key-", StringComparison.Ordinal));

        await desk.Runner.ResumeAsync("xai_api_key", Cancel);
        var live = desk.Stage.Server.Keys.Single(key => key.Name.StartsWith("mallku-xai_api_key-", StringComparison.Ordinal));
        Assert.NotEqual(orphan.Value, live.Value, StringComparer.Ordinal);
        Assert.NotEqual(orphan.Name, live.Name, StringComparer.Ordinal);
        Assert.Equal(live, await FindCurrentAsync(desk));
        Assert.Equal(["a", "b", "c", live.Name], desk.Stage.Server.Keys.Select(key => key.Name).Order(StringComparer.Ordinal).ToList());
        Assert.Empty(desk.Stage.Server.Faults);
    }

    [Fact]
    public async Task A_key_of_xAI_whose_current_one_is_refused_is_not_made_since_nobody_knows_what_it_may_do()
    {
        await using var desk = await Desk.SetAsync("xai");
        await desk.StoreAsync("xai_api_key", "xai-refused-0123456789");
        await Assert.ThrowsAsync<SecretsException>(async () => await desk.Runner.RotateAsync("xai_api_key", Xai with { Account = "../x" }, Cancel));
        var error = await Assert.ThrowsAsync<SecretsException>(async () => await desk.Runner.RotateAsync("xai_api_key", Xai, Cancel));
        Assert.Contains("xAI refuses the current key", error.Problem, StringComparison.Ordinal);
        Assert.Empty(desk.Stage.Server.Keys);
    }

    [Fact]
    public async Task A_key_of_xAI_made_by_hand_that_is_deleted_already_is_no_error_and_one_that_is_forbidden_to_say_what_it_is_is()
    {
        await using var desk = await Desk.SetAsync("xai");
        var byHand = desk.Stage.Server.AddKey("xai", "made by hand", "xai-" + Stage.NewKey());
        var rotator = new XaiRotator(desk.Factory);
        var key = new RotatedKey("xai_api_key", Version: 1, new string('0', 32), Token: null, KeyId: null, Xai);
        using var value = SecretValue.FromString(byHand.Value);
        await rotator.RevokeAsync(key, value, Cancel);
        Assert.Empty(desk.Stage.Server.Keys);
        await rotator.RevokeAsync(key, value, Cancel);
        await rotator.RevokeAsync(key with { KeyId = byHand.Id }, value, Cancel);

        desk.Stage.Server.RefusalStatus = 403;
        var error = await Assert.ThrowsAsync<SecretsException>(async () => await rotator.RevokeAsync(key, value, Cancel));
        Assert.Contains("answered 403", error.Problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("xai")]
    [InlineData("openai")]
    public async Task A_key_that_the_provider_does_not_find_where_it_has_no_such_account_is_not_called_revoked(string provider)
    {
        await using var desk = await Desk.SetAsync(provider);
        var policy = (provider == "xai" ? Xai : OpenAI) with { Account = "another" };
        var key = new RotatedKey(provider + "_api_key", Version: 1, new string('0', 32), Token: null, KeyId: "no-such-key", policy);
        IRotator rotator = provider == "xai" ? new XaiRotator(desk.Factory) : new OpenAIRotator(desk.Factory);
        await Assert.ThrowsAsync<SecretsException>(async () => await rotator.RevokeAsync(key, value: null, Cancel));
        await rotator.RevokeAsync(key with { Policy = provider == "xai" ? Xai : OpenAI }, value: null, Cancel);
    }

    [Fact]
    public async Task A_key_of_xAI_whose_value_is_gone_is_found_by_its_token()
    {
        await using var desk = await Desk.SetAsync("xai");
        var token = new string('a', 32);
        desk.Stage.Server.AddKey("xai", $"mallku-xai_api_key-{token}", "xai-" + Stage.NewKey());
        desk.Stage.Server.AddKey("xai", "another", "xai-" + Stage.NewKey());
        await new XaiRotator(desk.Factory).RevokeAsync(new RotatedKey("xai_api_key", Version: 2, new string('0', 32), token, KeyId: null, Xai), value: null, Cancel);
        Assert.Equal("another", Assert.Single(desk.Stage.Server.Keys).Name);
    }

    private static async Task<TestServer.ManagedKey> FindCurrentAsync(Desk desk)
    {
        await desk.Stage.Secrets.RefreshAsync(Cancel);
        var current = (await desk.Stage.Secrets.GetAsync("xai_api_key", Cancel))!.RevealString();
        Assert.Equal(KeyOutcome.Works, (await desk.Factory.CheckAsync("xai", cancellationToken: Cancel)).Outcome);
        return desk.Stage.Server.Keys.Single(key => key.Value == current);
    }

    // the server takes the current value, it is the one service account's, and no other key was touched
    private static async Task RequireCurrentAsync(Desk desk, params string[] others)
    {
        await desk.Stage.Secrets.RefreshAsync(Cancel);
        var current = (await desk.Stage.Secrets.GetAsync("openai_api_key", Cancel))!.RevealString();
        Assert.Equal(current, desk.Stage.Server.Keys.Single(key => key.IsServiceAccount).Value);
        Assert.Equal(others.Order(StringComparer.Ordinal).ToList(), desk.Stage.Server.Keys.Where(key => !key.IsServiceAccount).Select(key => key.Name).Order(StringComparer.Ordinal).ToList());
        Assert.Equal(KeyOutcome.Works, (await desk.Factory.CheckAsync("openai", cancellationToken: Cancel)).Outcome);
    }
}
