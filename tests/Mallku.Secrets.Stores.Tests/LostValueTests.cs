using Mallku.Secrets.Ledger;
using Mallku.Secrets.Rotation;
using Mallku.Secrets.Tests.Rotation;
using Microsoft.Extensions.Time.Testing;

namespace Mallku.Secrets.Stores.Tests;

/// <summary>A value that is gone from a store, or does not open, is named, and holds nothing else of its secret up.</summary>
public sealed class LostValueTests : IAsyncLifetime
{
    private static readonly RotationPolicy Policy = new() { Rotator = "shop", Grace = TimeSpan.FromHours(6) };
    private readonly FakeTimeProvider _clock = new(new DateTimeOffset(2026, 11, 24, 10, 0, 0, TimeSpan.Zero));
    private readonly KeyShop _shop = new();
    private StoreStage _stage = null!;
    private SealedStore _store = null!;
    private RotationRunner _runner = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _stage = await StoreStage.CreateAsync(clock: _clock);
        _store = _stage.Open(seen: "machine", clock: _clock);
        _runner = new RotationRunner(_store, [_shop]);
    }

    public ValueTask DisposeAsync() => _stage.DisposeAsync();

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public async Task A_rotation_whose_new_value_is_lost_names_it_and_is_given_up(bool isAltered, bool isSetMeanwhile)
    {
        await SetAsync("by hand");
        _shop.FailsAt = "test";
        await Assert.ThrowsAsync<SecretsException>(async () => await _runner.RotateAsync("key", Policy, Token));
        _shop.FailsAt = null;
        await LoseAsync(2, isAltered);
        await SetAsync("of another", name: "other");
        await _runner.SetPolicyAsync("other", new RotationPolicy { Rotator = "generate", Every = TimeSpan.FromDays(1) }, Token);
        _clock.Advance(TimeSpan.FromDays(1));

        Name(await Assert.ThrowsAnyAsync<SecretsException>(async () => await _runner.ResumeAsync("key", Token)));
        Name(await Assert.ThrowsAnyAsync<SecretsException>(async () => await _store.ResealAsync(progress: null, Token)));
        var done = await _runner.RunDueAsync(Token);
        Name(Assert.Single(done, static one => one is { Name: "key", Action: RotationAction.Failed }).Error!);
        Assert.Single(done, static one => one is { Name: "other", Action: RotationAction.Rotated });
        if (isSetMeanwhile)
        {
            Assert.Equal(3, await SetAsync("by hand again"));
        }

        await _runner.AbandonAsync("key", Token);
        Assert.Single(_stage.Told, static told => told is { Kind: LedgerKind.RotationAbandoned, Version: 2, Note: "the store had lost the value of version 2" });
        Assert.Equal(isSetMeanwhile ? "by hand again" : "by hand", _shop.InUse);

        // nobody can tell whether it is in use somewhere
        Assert.Equal(["made-1"], _shop.Keys);
        await RequireWholeAsync();
        Assert.Equal(_shop.InUse, await StoreStage.GetAsync(_store, "key"));
        await _store.RemoveAsync(SecretName.Parse("key"), Token);

        static void Name(SecretsException refused)
        {
            Assert.Contains("value of version 2 of 'key'", refused.Problem, StringComparison.Ordinal);
            Assert.Contains("mallku rotate key --abandon", refused.Remedy, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(false, "rotate")]
    [InlineData(true, "rotate")]
    [InlineData(false, "due")]
    [InlineData(true, "due")]
    [InlineData(false, "set")]
    [InlineData(true, "rollback")]
    [InlineData(false, "grace ends")]
    public async Task A_former_value_within_its_grace_that_is_lost_holds_nothing_up(bool isAltered, string change)
    {
        await SetAsync("one");
        await SetAsync("two", TimeSpan.FromDays(7));
        await SetAsync("three", TimeSpan.FromDays(7));
        await _runner.SetPolicyAsync("key", new RotationPolicy { Rotator = "generate", Every = TimeSpan.FromDays(1) }, Token);
        await LoseAsync(2, isAltered);
        var refused = await Assert.ThrowsAnyAsync<SecretsException>(async () => await _store.ResealAsync(progress: null, Token));
        Assert.Contains("value of version 2 of 'key'", refused.Problem, StringComparison.Ordinal);
        Assert.Contains("set it again", refused.Remedy, StringComparison.Ordinal);
        switch (change)
        {
            case "rotate":
                Assert.Equal(4, (await _runner.RotateAsync("key", cancellationToken: Token)).Version);
                break;
            case "due":
                _clock.Advance(TimeSpan.FromDays(1));
                Assert.Equal(RotationAction.Rotated, Assert.Single(await _runner.RunDueAsync(Token)).Action);
                break;
            case "set":
                Assert.Equal(4, await SetAsync("four"));
                break;
            case "rollback":
                Assert.Contains("version 2 of 'key' has lost its value", (await Assert.ThrowsAnyAsync<SecretsException>(async () => await _runner.RollBackAsync("key", cancellationToken: Token))).Problem, StringComparison.Ordinal);
                Assert.Equal(4, (await _runner.RollBackAsync("key", 1, cancellationToken: Token)).Version);
                Assert.Equal("one", await StoreStage.GetAsync(_store, "key"));
                break;
            default:
                _clock.Advance(TimeSpan.FromDays(8));
                Assert.All(await _runner.RunDueAsync(Token), static one => Assert.NotEqual(RotationAction.Failed, one.Action));
                break;
        }

        Assert.Single(_stage.Told, static told => told.Note?.Contains("the store had lost the value of version 2", StringComparison.Ordinal) == true);
        Assert.Equal(SecretVersionState.Retired, (await _store.ReadAsync("key", Token))!.Record.Get(2)!.State);
        await RequireWholeAsync();
    }

    [Fact]
    public async Task A_lost_value_that_is_replaced_gets_no_grace()
    {
        await SetAsync("one");
        await LoseAsync(1, isAltered: false);
        await SetAsync("two", TimeSpan.FromDays(1));
        Assert.Single(_stage.Told, static told => told is { Kind: LedgerKind.Updated, Version: 2, GraceEnds: null, Note: "the store had lost the value of version 1" });
        await RequireWholeAsync();
        Assert.Equal("two", await StoreStage.GetAsync(_store, "key"));
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, true)]
    public async Task A_current_value_that_is_lost_is_a_fault_until_another_is_brought_back_or_set(bool isAltered, bool isRotated)
    {
        await SetAsync("one");
        await SetAsync("two");
        _shop.Live.Add("one", null);
        if (isRotated)
        {
            await _runner.SetPolicyAsync("key", Policy, Token);
        }

        await LoseAsync(2, isAltered);
        await Assert.ThrowsAnyAsync<SecretsException>(() => StoreStage.GetAsync(_store, "key"));
        var refused = await Assert.ThrowsAnyAsync<SecretsException>(async () => await _runner.RotateAsync("key", Policy, Token));
        Assert.Contains("version 2 of 'key'", refused.Problem, StringComparison.Ordinal);
        Assert.Contains("set it again", refused.Remedy, StringComparison.Ordinal);
        Assert.Empty(_shop.Steps);

        // also after a change of something else
        await _runner.SetPolicyAsync("key", Policy with { Every = TimeSpan.FromDays(1) }, Token);
        await Assert.ThrowsAnyAsync<SecretsException>(() => StoreStage.GetAsync(_store, "key"));
        _clock.Advance(TimeSpan.FromDays(1));
        Assert.Contains("version 2 of 'key'", Assert.Single(await _runner.RunDueAsync(Token)).Error!.Problem, StringComparison.Ordinal);

        Assert.Equal(3, (await _runner.RollBackAsync("key", cancellationToken: Token)).Version);
        Assert.Equal("one", await StoreStage.GetAsync(_store, "key"));
        await RequireWholeAsync();
    }

    /// <summary>It may be in use in another secret, in another place, or again in this one.</summary>
    [Theory]
    [InlineData("in another secret")]
    [InlineData("set again")]
    [InlineData("brought back")]
    [InlineData("nowhere")]
    public async Task The_key_of_a_lost_value_is_revoked_by_nobody_but_a_person(string used)
    {
        await SetAsync("by hand");
        await _runner.RotateAsync("key", Policy, Token);
        if (used == "in another secret")
        {
            await SetAsync("made-1", name: "other");
        }

        await _runner.RotateAsync("key", Policy, Token);
        await LoseAsync(2, isAltered: used == "nowhere");
        if (used == "set again")
        {
            await SetAsync("made-1");
        }
        else if (used == "brought back")
        {
            await SetAsync("another");
            Assert.Equal(5, (await _runner.RollBackAsync("key", 3, cancellationToken: Token)).Version);
            await LoseAsync(5, isAltered: false);
            Assert.Equal(6, (await _runner.RollBackAsync("key", 3, cancellationToken: Token)).Version);
        }

        await _runner.SetPolicyAsync("key", Policy with { Every = TimeSpan.FromDays(300) }, Token);
        _clock.Advance(TimeSpan.FromDays(2));
        var done = await _runner.RunDueAsync(Token);
        Assert.Contains(
            "the value of version 2 of 'key' is gone, and nobody can tell whether its key is still in use",
            Assert.Single(done, static one => one is { Action: RotationAction.Failed, Version: 2 }).Error!.Problem,
            StringComparison.Ordinal);
        Assert.Contains("made-1", _shop.Keys, StringComparer.Ordinal);
        Assert.Contains(await _runner.AbandonAsync("key", Token), static one => one is { Action: RotationAction.KeyLeft, Version: 2 });
        Assert.DoesNotContain(await _runner.RunDueAsync(Token), static one => one.Version == 2);
        Assert.Contains("made-1", _shop.Keys, StringComparer.Ordinal);
    }

    [Theory]
    [InlineData("key", 2)]
    [InlineData("other", 1)]
    public async Task No_key_is_revoked_while_a_value_that_may_be_the_same_is_lost(string name, int version)
    {
        await SetAsync("by hand");
        await SetAsync("by hand", name: "other");
        _shop.Live.Add("by hand", null);
        await _runner.RotateAsync("key", Policy, Token);
        await LoseAsync(version, isAltered: false, name);
        _clock.Advance(TimeSpan.FromDays(2));
        var failed = Assert.Single(await _runner.RunDueAsync(Token), static one => one is { Action: RotationAction.Failed, Version: 1 });
        Assert.Contains($"has lost the value of version {version} of '{name}'", failed.Error!.Problem, StringComparison.Ordinal);
        Assert.Contains("by hand", _shop.Keys, StringComparer.Ordinal);
    }

    // each version's value is there, and a reseal that has named what was lost ends well
    private async Task RequireWholeAsync()
    {
        var whole = await _stage.Open(clock: _clock).ReadAsync("key", Token);
        GC.KeepAlive(whole!.Owner);
        await _store.ResealAsync(progress: null, Token);
        Assert.All(await _runner.RunDueAsync(Token), static one => Assert.True(one.Action != RotationAction.Failed || one.Error!.Remedy.Contains("look at the provider", StringComparison.Ordinal), one.Error?.Problem));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Who_looks_for_a_version_that_may_work_has_those_whose_values_are_there(bool isAltered)
    {
        await SetAsync("one", Policy.Grace);
        await SetAsync("two", Policy.Grace);
        await SetAsync("three", Policy.Grace);
        await LoseAsync(2, isAltered);
        var live = await _store.FetchPreviousAsync(SecretName.Parse("key"), Token);
        Assert.Equal("one", Assert.Single(live).Value.RevealString());
    }

    private async Task LoseAsync(int version, bool isAltered, string name = "key")
    {
        var key = StoreSealing.KeyOf((await _store.Root.OpenAsync(Token)).IdOf(SecretName.Parse(name)), version);
        var value = (await _stage.Records.ReadAsync(key, Token))!;
        ReadOnlyMemory<byte>? altered = null;
        if (isAltered)
        {
            var data = value.Data.ToArray();
            data[^10] = (byte)(data[^10] == 'A' ? 'B' : 'A');
            altered = data;
        }

        Assert.True(await _stage.Records.WriteAsync([new RecordWrite(key, value.Revision, altered)], Token));
    }

    private async Task<int> SetAsync(string value, TimeSpan grace = default, string name = "key")
    {
        using var secret = SecretValue.FromString(value);
        return (await _store.SetAsync(SecretName.Parse(name), secret, new SetOptions { Grace = grace }, Token)).Version;
    }
}
