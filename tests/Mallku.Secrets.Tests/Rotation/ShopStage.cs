using Mallku.Secrets.Rotation;
using Microsoft.Extensions.Time.Testing;

namespace Mallku.Secrets.Tests.Rotation;

/// <summary>A vault with a secret whose key was made by hand, two providers of keys, and a clock: what a test of rotations needs.</summary>
public abstract class ShopStage : IAsyncLifetime
{
    private protected static readonly TimeSpan Grace = TimeSpan.FromHours(6);
    private protected static readonly RotationPolicy Policy = new() { Rotator = "shop", Grace = Grace, Account = "account-1" };
    private protected readonly FakeTimeProvider _clock = new(new DateTimeOffset(2026, 11, 24, 10, 0, 0, TimeSpan.Zero));
    private protected readonly KeyShop _shop = new();
    private protected readonly KeyShop _other = new() { Name = "other" };
    private protected TemporaryFolder _folder = null!;

    private protected static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private protected SecretsManager Manager => SecretsManager.Open(_folder.Options with { TimeProvider = _clock });

    private protected RotationRunner Runner => Manager.CreateRotationRunner([_shop, _other]);

    public async ValueTask InitializeAsync()
    {
        _folder = await TemporaryFolder.WithVaultAsync();
        await SetAsync("by hand");
        _shop.Live.Add("by hand", null);
    }

    public ValueTask DisposeAsync()
    {
        _folder.Dispose();
        GC.SuppressFinalize(this);
        return default;
    }

    private protected async Task SetAsync(string value, string name = "key")
    {
        using var secret = SecretValue.FromString(value);
        await Manager.SetAsync(name, secret, cancellationToken: Cancel);
    }

    private protected async Task<List<(RotationAction Action, int Version)>> RunAsync() =>
        [.. (await Runner.RunDueAsync(Cancel)).Select(done => (done.Action, done.Version!.Value))];

    private protected async Task RequireNothingLeftAsync()
    {
        Assert.Empty(await Runner.RunDueAsync(Cancel));
        Assert.All(await Runner.GetStatusAsync(Cancel), status => Assert.Empty(status.Unrevoked));
    }

    private protected async Task<string?> GetAsync() => (await Manager.GetAsync("key", Cancel))?.RevealString();

    private protected async Task<string[]> LiveAsync() => [.. (await Manager.FindLiveAsync("key", Cancel)).Select(found => found.Value.RevealString())];
}
