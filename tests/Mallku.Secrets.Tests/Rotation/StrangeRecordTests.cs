using System.Text.Json.Nodes;
using Mallku.Secrets.Rotation;
using Mallku.Secrets.Tests.Vault;
using Microsoft.Extensions.Time.Testing;

namespace Mallku.Secrets.Tests.Rotation;

/// <summary>What another program wrote of a secret's rotation, and no mallku would, is named, and touches nothing else.</summary>
public sealed class StrangeRecordTests : IAsyncLifetime
{
    private const string Rotation =
        """{"token":"00112233445566778899aabbccddeeff","rotator":"shop","number":2,"id":"ffeeddccbbaa99887766554433221100","from":"FROM","begun":"2026-11-24T10:00:00.000Z","step":"create"}""";

    private const string Pending =
        """{"number":2,"id":"ffeeddccbbaa99887766554433221100","state":"pending","created":"2026-11-24T10:00:00.000Z","source":"shop","value":"p"}""";

    private readonly FakeTimeProvider _clock = new(new DateTimeOffset(2026, 11, 24, 10, 0, 0, TimeSpan.Zero));
    private readonly KeyShop _shop = new();
    private TemporaryFolder _folder = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private SecretsManager Manager => SecretsManager.Open(_folder.Options with { TimeProvider = _clock });

    private RotationRunner Runner => Manager.CreateRotationRunner([_shop]);

    public async ValueTask InitializeAsync()
    {
        _folder = await TemporaryFolder.WithVaultAsync();
        await SetAsync("key", "current");
        await SetAsync("other", "another");
        await Runner.SetPolicyAsync("other", new RotationPolicy { Rotator = "shop", Every = TimeSpan.FromDays(1), Grace = TimeSpan.Zero }, Cancel);
    }

    public ValueTask DisposeAsync()
    {
        _folder.Dispose();
        return default;
    }

    [Theory]
    [InlineData("policy", """{"rotator":"shop","every":-1}""")]
    [InlineData("policy", """{"rotator":"shop","grace":99999999999}""")]
    [InlineData("policy", """{"rotator":"shop","length":"many"}""")]
    [InlineData("policy", """{"rotator":"a\u0007name"}""")]
    [InlineData("policy", """{"rotator":"shop","command":["/bin/true",7]}""")]
    [InlineData("policy", """{"every":86400}""")]
    [InlineData("policy", "[]")]
    [InlineData("rotation", "7")]
    [InlineData("rotation", Rotation, "\"step\":\"create\"", "\"step\":\"publish\"")]
    [InlineData("rotation", Rotation, "\"number\":2", "\"number\":9")]
    [InlineData("rotation", Rotation, "\"number\":2", "\"number\":1")]
    [InlineData("rotation", Rotation, "\"number\":2", "\"number\":0")]
    [InlineData("rotation", Rotation, "\"step\":\"create\"", "\"step\":\"finish\"")]
    [InlineData("rotation", Rotation, "00112233445566778899aabbccddeeff", "../../etc/passwd")]
    [InlineData("rotation", Rotation, "\"begun\"", "\"ended\"")]
    [InlineData("rotation", Rotation, "2026-11-24", "20261-11-24")]
    [InlineData("lost", "{}")]
    [InlineData("lost", """[{"number":1,"id":"ffeeddccbbaa99887766554433221100","asked":"2026-11-24T10:00:00.000Z","token":"../../etc/passwd","revokeBy":"shop"}]""")]
    [InlineData("lost", """[{"number":1,"id":"ffeeddccbbaa99887766554433221100","token":"00112233445566778899aabbccddeeff","revokeBy":"shop"}]""")]
    public async Task Is_named_and_leaves_all_else_usable(string member, string json, string? from = null, string? to = null)
    {
        json = from is null ? json : json.Replace(from, to, StringComparison.Ordinal);
        json = Write(member, json);
        await RequireNamedAsync(member);

        // and stays as it was written, for who knows what it means
        Assert.Equal(json, JsonNode.Parse(Plaintext.Members(Plaintext.Read(_folder), "$mallku", "secrets", "key")[member])!.ToJsonString());
        await ForgetAsync();
    }

    [Theory]
    [InlineData(null, false)]
    [InlineData("create", false)]
    [InlineData("create", true)]
    [InlineData("set", true)]
    public async Task So_is_a_pending_version_that_no_rotation_makes(string? step, bool isTwice)
    {
        Write("rotation", step is null ? null : Rotation.Replace("create", step, StringComparison.Ordinal), Pending, isTwice ? Pending.Replace("\"number\":2,\"id\":\"f", "\"number\":3,\"id\":\"0", StringComparison.Ordinal) : null);
        await RequireNamedAsync("rotation");
        await ForgetAsync();
    }

    [Theory]
    [InlineData("""{"rotator":"shop","every":1}""", "every minute at most")]
    [InlineData("""{"rotator":"shop","every":2147483647}""", "ten years at least")]
    [InlineData("""{"rotator":"shop","every":86400,"grace":2147483647}""", "a grace is from zero")]
    [InlineData("""{"rotator":"shop","cron":"now and then"}""", "no cron expression")]
    [InlineData("""{"rotator":"shop","cron":"0 0 30 2 *"}""", "never comes")]
    [InlineData("""{"rotator":"shop","cron":"0 0 1 1 *","every":86400}""", "not both")]
    public async Task A_time_that_never_comes_is_named_where_it_is_asked_for(string policy, string problem)
    {
        Write("policy", policy);
        var status = (await Runner.GetStatusAsync(Cancel)).Single(status => status.Name == "key");
        Assert.Contains(problem, status.Fault!.Problem, StringComparison.Ordinal);
        Assert.Contains("'key'", status.Fault.Problem, StringComparison.Ordinal);
        Assert.Contains(RotationInspection.Inspect([status]), finding => finding.What == status.Fault.Problem);
        _clock.Advance(TimeSpan.FromDays(2));
        var done = await Runner.RunDueAsync(Cancel);
        Assert.Equal([("key", RotationAction.Failed), ("other", RotationAction.Rotated), ("other", RotationAction.Revoked)], done.Select(item => (item.Name, item.Action)));
        await Runner.SetPolicyAsync("key", policy: null, Cancel);
        Assert.Empty(await Runner.RunDueAsync(Cancel));
    }

    [Theory]
    [InlineData("9999-12-31T23:59:59.999Z")]
    [InlineData("0001-01-01T00:00:00.000Z")]
    public async Task A_time_at_the_end_of_the_calendar_is_read(string time)
    {
        await Runner.SetPolicyAsync("key", new RotationPolicy { Rotator = "shop", Every = TimeSpan.FromDays(3660) }, Cancel);
        await Runner.SetPolicyAsync("other", new RotationPolicy { Rotator = "shop", Cron = "0 3 1 * *" }, Cancel);
        Plaintext.Write(_folder, Plaintext.Read(_folder).Replace("2026-11-24T10:00:00.000Z", time, StringComparison.Ordinal), _clock);
        var need = time[0] == '9' ? RotationNeed.Fresh : RotationNeed.Overdue;
        Assert.Equal(need, (await Runner.GetStatusAsync(Cancel)).Single(status => status.Name == "key").Need);
        Assert.NotEmpty(RotationInspection.Inspect(await Runner.GetStatusAsync(Cancel)));

        // no grace ends after the calendar does
        _clock.SetUtcNow(new DateTimeOffset(9999, 12, 31, 23, 0, 0, TimeSpan.Zero));
        _shop.Live.Add("current", null);
        await Runner.RotateAsync("key", new RotationPolicy { Rotator = "shop", Grace = TimeSpan.FromDays(366) }, Cancel);
        await Runner.RollBackAsync("key", cancellationToken: Cancel);
        await SetAsync("key", "by hand");
        await Manager.RemoveAsync("key", Cancel);
        Assert.Contains("other", (await Runner.GetStatusAsync(Cancel)).Select(status => status.Name), StringComparer.Ordinal);
    }

    private async Task RequireNamedAsync(string member)
    {
        Assert.Equal("current", (await Manager.GetRequiredAsync("key", Cancel)).RevealString());
        var runner = Runner;
        var status = (await runner.GetStatusAsync(Cancel)).Single(status => status.Name == "key");
        Assert.Contains($"the '{member}' that the vault has of 'key' can't be read", status.Fault!.Problem, StringComparison.Ordinal);
        Assert.Contains(RotationInspection.Inspect([status]), finding => finding.What == status.Fault.Problem);
        Func<Task>[] refused =
        [
            async () => await runner.RotateAsync("key", new RotationPolicy { Rotator = "shop" }, Cancel),
            async () => await runner.ResumeAsync("key", Cancel),
            async () => await runner.RollBackAsync("key", cancellationToken: Cancel),
            async () => await runner.SetPolicyAsync("key", policy: null, Cancel),
        ];
        foreach (var attempt in refused)
        {
            Assert.Equal(status.Fault.Problem, (await Assert.ThrowsAsync<SecretsException>(attempt)).Problem);
        }

        _clock.Advance(TimeSpan.FromDays(1));
        var done = await runner.RunDueAsync(Cancel);
        Assert.Equal([("key", RotationAction.Failed), ("other", RotationAction.Rotated), ("other", RotationAction.Revoked)], done.Select(item => (item.Name, item.Action)));
        Assert.Equal(status.Fault.Problem, done[0].Error!.Problem);
        await SetAsync("key", "set meanwhile");
    }

    private async Task ForgetAsync()
    {
        Assert.Empty(await Runner.AbandonAsync("key", Cancel));
        _shop.Live.Add("set meanwhile", null);
        await Runner.RotateAsync("key", new RotationPolicy { Rotator = "shop", Grace = TimeSpan.Zero }, Cancel);
        Assert.Null((await Runner.GetStatusAsync(Cancel)).Single(status => status.Name == "key").Fault);
        Assert.DoesNotContain((await Manager.GetHistoryAsync("key", Cancel))!.Versions, version => version.State == SecretVersionState.Pending);
    }

    // as it stands in the file
    private string Write(string member, string? json, params string?[] versions)
    {
        var plaintext = JsonNode.Parse(Plaintext.Read(_folder))!;
        var secret = plaintext["$mallku"]!["secrets"]!["key"]!.AsObject();
        var records = secret["versions"]!.AsArray();
        if (json is not null)
        {
            secret[member] = JsonNode.Parse(json.Replace("FROM", (string)records[0]!["id"]!, StringComparison.Ordinal));
        }

        secret["next"] = 4;
        foreach (var version in versions)
        {
            if (version is not null)
            {
                records.Add(JsonNode.Parse(version));
            }
        }

        Plaintext.Write(_folder, plaintext.ToJsonString(), _clock);
        return secret[member]?.ToJsonString() ?? "";
    }

    private async Task SetAsync(string name, string value)
    {
        using var secret = SecretValue.FromString(value);
        await Manager.SetAsync(name, secret, cancellationToken: Cancel);
    }
}
