using Mallku.FireCircle.Rotators;
using Mallku.Secrets.Rotation;

namespace Mallku.FireCircle.Tests;

/// <summary>A key is called revoked where it is, and its value is sent to the provider whose key it is, and to no other.</summary>
public sealed class RevocationTests
{
    private static readonly RotationPolicy OpenAI = new() { Rotator = "openai", Account = "proj_test", Grace = TimeSpan.Zero };
    private static readonly RotationPolicy Xai = new() { Rotator = "xai", Account = "team-test", Grace = TimeSpan.Zero };

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(400, "")]
    [InlineData(401, "")]
    [InlineData(400, "/models")]
    [InlineData(400, "/api-keys")]
    public async Task A_refusal_by_xAI_of_a_key_that_was_made_by_hand_is_no_word_of_its_deletion(int status, string andAt)
    {
        await using var desk = await Desk.SetAsync("xai");
        var byHand = desk.Stage.Server.AddKey("xai", "made by hand", "xai-" + Stage.NewKey());
        var rotator = new XaiRotator(desk.Factory);
        var key = new RotatedKey("xai_api_key", Version: 1, new string('0', 32), Token: null, KeyId: null, Xai);
        using var value = SecretValue.FromString(byHand.Value);
        desk.Stage.Server.AnswersInstead = path => path == "/xai/v1/api-key" || (andAt.Length > 0 && path.EndsWith(andAt, StringComparison.Ordinal)) ? status : null;
        var error = await Assert.ThrowsAsync<SecretsException>(async () => await rotator.RevokeAsync(key, value, Cancel));
        Assert.DoesNotContain(byHand.Value, error.ToString(), StringComparison.Ordinal);
        Assert.Contains(byHand, desk.Stage.Server.Keys);

        desk.Stage.Server.AnswersInstead = static _ => null;
        await rotator.RevokeAsync(key, value, Cancel);
        Assert.Empty(desk.Stage.Server.Keys);
    }

    [Fact]
    public async Task A_key_of_another_team_of_xAI_that_is_refused_once_is_not_called_revoked_either()
    {
        await using var desk = await Desk.SetAsync("xai");
        var elsewhere = "xai-" + Stage.NewKey();
        desk.Stage.Server.Accept(elsewhere);
        desk.Stage.Server.AnswersInstead = static path => path == "/xai/v1/api-key" ? 400 : null;
        using var value = SecretValue.FromString(elsewhere);
        var key = new RotatedKey("xai_api_key", Version: 1, new string('0', 32), Token: null, KeyId: null, Xai);
        await Assert.ThrowsAsync<SecretsException>(async () => await new XaiRotator(desk.Factory).RevokeAsync(key, value, Cancel));
    }

    [Theory]
    [InlineData("openai")]
    [InlineData("anthropic")]
    public async Task A_refusal_of_a_key_that_is_listed_is_a_failure(string provider)
    {
        await using var desk = await Desk.SetAsync(provider);
        var byHand = desk.Stage.Server.AddKey(provider, "made by hand", "sk-by-hand-" + Stage.NewKey());
        IRotator rotator = provider == "openai" ? new OpenAIRotator(desk.Factory) : new AssistedRotator(desk.Factory, static (_, _, _) => throw new InvalidOperationException());
        var key = new RotatedKey(provider + "_api_key", Version: 1, new string('0', 32), Token: null, KeyId: null, OpenAI);
        using var value = SecretValue.FromString(byHand.Value);
        desk.Stage.Server.AnswersInstead = static path => path.EndsWith("/models", StringComparison.Ordinal) ? 401 : null;
        await Assert.ThrowsAsync<SecretsException>(async () => await rotator.RevokeAsync(key, value, Cancel));
        Assert.Contains(byHand, desk.Stage.Server.Keys);

        desk.Stage.Server.AnswersInstead = static _ => null;
        await rotator.RevokeAsync(key, value, Cancel);
        Assert.Empty(desk.Stage.Server.Keys);
    }

    [Fact]
    public async Task A_key_of_another_team_of_xAI_is_not_called_revoked_though_no_list_has_it()
    {
        await using var desk = await Desk.SetAsync("xai");
        var elsewhere = "xai-" + Stage.NewKey();
        desk.Stage.Server.Accept(elsewhere);
        using var value = SecretValue.FromString(elsewhere);
        var key = new RotatedKey("xai_api_key", Version: 1, new string('0', 32), Token: null, KeyId: null, Xai);
        var error = await Assert.ThrowsAsync<SecretsException>(async () => await new XaiRotator(desk.Factory).RevokeAsync(key, value, Cancel));
        Assert.Contains("may be live", error.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_key_of_another_project_is_not_called_revoked_and_one_that_looks_alike_is_left_alone()
    {
        await using var desk = await Desk.SetAsync("openai");
        const string mine = "sk-proj-AAmine-in-another-project-wxyz", others = "sk-proj-AAsomebody-elses-in-use-wxyz";
        desk.Stage.Server.Accept(mine);
        var other = desk.Stage.Server.AddKey("openai", "production of another team", others);
        await desk.StoreAsync("openai_api_key", mine);
        var rotated = await desk.Runner.RotateAsync("openai_api_key", OpenAI, Cancel);
        var left = Assert.Single(rotated.Settled);
        Assert.Equal((RotationAction.Failed, 1), (left.Action, left.Version));
        Assert.Contains("no key of the account", left.Error!.Problem, StringComparison.Ordinal);
        Assert.Contains(other, desk.Stage.Server.Keys);

        // where the provider does not tell of which project a key is, it is seen afterwards that it was another one
        desk.Stage.Server.IgnoresProjects = true;
        left = Assert.Single(await desk.Runner.RunDueAsync(Cancel));
        Assert.Equal((RotationAction.Failed, 1), (left.Action, left.Version));
        Assert.Contains("may be live", left.Error!.Problem, StringComparison.Ordinal);
        Assert.Equal(RotationAction.Failed, Assert.Single(await desk.Runner.RunDueAsync(Cancel)).Action);
        desk.Stage.Server.Refuse(mine);
        Assert.Equal(RotationAction.Revoked, Assert.Single(await desk.Runner.RunDueAsync(Cancel)).Action);
    }

    [Fact]
    public async Task A_value_that_is_dead_takes_no_other_key_with_it_that_looks_alike()
    {
        await using var desk = await Desk.SetAsync("openai");
        var other = desk.Stage.Server.AddKey("openai", "another's", "sk-proj-AAsomebody-elses-in-use-wxyz");
        using var value = SecretValue.FromString("sk-proj-AAmine-which-was-deleted-wxyz");
        var key = new RotatedKey("openai_api_key", Version: 1, new string('0', 32), Token: null, KeyId: null, OpenAI);
        await Assert.ThrowsAsync<SecretsException>(async () => await new OpenAIRotator(desk.Factory).RevokeAsync(key, value, Cancel));
        Assert.Contains(other, desk.Stage.Server.Keys);
    }

    [Theory]
    [InlineData("db_password", "correct-horse-battery", "openai")]
    [InlineData("db_password", "correct-horse-battery", "xai")]
    [InlineData("openai_api_key", "sk-proj-my-openai-key-1234567890abcdef", "xai")]
    public async Task A_secret_that_nothing_says_is_a_key_of_the_provider_is_not_sent_there_and_nothing_is_begun(string name, string value, string rotator)
    {
        await using var desk = await Desk.SetAsync(rotator);
        await desk.StoreAsync(name, value);
        var policy = rotator == "xai" ? Xai : OpenAI;
        var error = await Assert.ThrowsAsync<SecretsException>(async () => await desk.Runner.RotateAsync(name, policy, Cancel));
        Assert.Contains($"nothing says that '{name}' is a key of", error.Problem, StringComparison.Ordinal);
        Assert.Contains($"keep a key of {(rotator == "xai" ? "xAI" : "OpenAI")} as {rotator}_api_key", error.Remedy, StringComparison.Ordinal);
        Assert.DoesNotContain(value, error.ToString(), StringComparison.Ordinal);
        await Assert.ThrowsAsync<SecretsException>(async () => await desk.Runner.SetPolicyAsync(name, policy, Cancel));
        Assert.Null(await desk.Runner.GetPolicyAsync(name, Cancel));
        Assert.Null((await desk.Runner.GetStatusAsync(Cancel)).Single(status => status.Name == name).Pending);

        // nor where an older version of it is to be revoked
        using var secret = SecretValue.FromString(value);
        var key = new RotatedKey(name, Version: 1, new string('0', 32), Token: null, KeyId: null, policy);
        IRotator sender = rotator == "xai" ? new XaiRotator(desk.Factory) : new OpenAIRotator(desk.Factory);
        await Assert.ThrowsAsync<SecretsException>(async () => await sender.RevokeAsync(key, secret, Cancel));
        await Assert.ThrowsAsync<SecretsException>(async () => await sender.TestAsync(key, secret, Cancel));
        Assert.DoesNotContain(desk.Stage.Server.Seen, request => request.Key == value);
    }

    [Fact]
    public async Task A_key_of_the_providers_shape_is_rotated_under_any_name_and_so_is_what_the_rotator_made()
    {
        await using var desk = await Desk.SetAsync("xai");
        await desk.StoreAsync("team_key", desk.Stage.Server.AddKey("xai", "made by hand", "xai-" + Stage.NewKey()).Value);
        var kept = Xai with { Grace = TimeSpan.FromHours(1) };
        Assert.Equal(2, (await desk.Runner.RotateAsync("team_key", kept, Cancel)).Version);
        Assert.Equal(3, (await desk.Runner.RotateAsync("team_key", cancellationToken: Cancel)).Version);
        Assert.Equal(4, (await desk.Runner.RollBackAsync("team_key", 2, cancellationToken: Cancel)).Version);
        Assert.Equal(5, (await desk.Runner.RotateAsync("team_key", cancellationToken: Cancel)).Version);

        await desk.StoreAsync("team_key", "a password, set by mistake");
        await Assert.ThrowsAsync<SecretsException>(async () => await desk.Runner.RotateAsync("team_key", cancellationToken: Cancel));
        Assert.DoesNotContain(desk.Stage.Server.Seen, request => request.Key?.Contains("mistake", StringComparison.Ordinal) ?? false);
    }

    [Theory]
    [InlineData("openai", "sk-proj-canary0123456789")]
    [InlineData("xai", "xai-canary-0123456789abcdef0123456789abcdef")]
    public async Task A_key_in_the_place_of_the_account_is_refused_before_it_is_kept_or_sent(string rotator, string account)
    {
        await using var desk = await Desk.SetAsync(rotator);
        var name = rotator + "_api_key";
        await desk.StoreAsync(name, desk.Stage.Server.AddKey(rotator, "made by hand", "xai-" + Stage.NewKey()).Value);
        var policy = (rotator == "xai" ? Xai : OpenAI) with { Account = account };
        var error = await Assert.ThrowsAsync<SecretsException>(async () => await desk.Runner.RotateAsync(name, policy, Cancel));
        Assert.Contains("looks like a key", error.Problem, StringComparison.Ordinal);
        Assert.DoesNotContain(account, error.ToString(), StringComparison.Ordinal);
        Assert.Null(await desk.Runner.GetPolicyAsync(name, Cancel));
        Assert.Empty(desk.Stage.Server.Seen);

        await desk.Runner.SetPolicyAsync(name, policy with { Account = rotator == "xai" ? "9f1c2b3a-4d5e-6f70-8192-a3b4c5d6e7f8" : "proj_a1B2c3D4e5F6g7H8i9J0k1L2" }, Cancel);
    }
}
