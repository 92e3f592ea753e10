using Mallku.Secrets.Ledger;
using Mallku.Secrets.Rotation;
using Mallku.Secrets.Tests;
using Mallku.Secrets.Tests.Rotation;
using Microsoft.Extensions.Time.Testing;

namespace Mallku.Secrets.Stores.Tests;

/// <summary>Rotations by managers of several machines, in a shared store and in a vault beside it.</summary>
[Collection(Machines.Name)]
public sealed class ManagerRotationTests : IAsyncDisposable
{
    private static readonly RotationPolicy Policy = new() { Rotator = "shop", Grace = TimeSpan.FromHours(6), Every = TimeSpan.FromDays(30) };
    private readonly MemoryRecordStore _medium = new();
    private readonly ForgetfulRecords _records;
    private readonly StoreKey _key = StoreKey.Generate();
    private readonly DirectoryInfo _state = Directory.CreateTempSubdirectory("mallku-state-");
    private readonly FakeTimeProvider _clock = new(new DateTimeOffset(2026, 11, 24, 10, 0, 0, TimeSpan.Zero));
    private readonly KeyShop _shop = new();
    private readonly List<SecretsManager> _opened = [];

    public ManagerRotationTests() => _records = new ForgetfulRecords(_medium);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        foreach (var manager in _opened)
        {
            await manager.FlushAsync(CancellationToken.None);
        }

        _state.Delete(recursive: true);
        _key.Dispose();
        await _medium.DisposeAsync();
    }

    [Fact]
    public async Task What_one_machine_rotates_the_others_callers_follow()
    {
        var (rotating, calling) = (await OpenAsync("rotating"), await OpenAsync("calling"));
        await SetAsync(rotating, "key", "by hand");
        Assert.Equal("by hand", (await calling.GetRequiredAsync("KEY", Token)).RevealString());
        var runner = rotating.CreateRotationRunner(_shop);
        for (var version = 2; version <= 6; version++)
        {
            Assert.Equal(version, (await runner.RotateAsync("Key", Policy, Token)).Version);
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(10));
            while ((await calling.FindAsync("key", Token))!.Version != version)
            {
                await Task.Delay(1, patience.Token);
            }

            Assert.Equal(_shop.InUse, (await calling.GetRequiredAsync("key", Token)).RevealString());
        }

        // who is refused with the newest may try those before it
        Assert.Equal([6, 5, 4, 3, 2, 1], (await calling.FindLiveAsync("key", Token)).Select(static found => found.Version!.Value));
        _clock.Advance(Policy.Grace);
        Assert.Equal([6], (await calling.FindLiveAsync("key", Token)).Select(static found => found.Version!.Value));

        // another machine goes on with what is due
        Assert.Equal(5, (await calling.CreateRotationRunner(_shop).RunDueAsync(Token)).Count(static done => done.Action == RotationAction.Revoked));
        Assert.Equal([_shop.InUse!], _shop.Keys);
        Assert.Equal(7, (await calling.CreateRotationRunner().RotateAsync("key", new RotationPolicy { Rotator = "generate" }, Token)).Version);

        // each is in the ledger of who did it
        await calling.FlushAsync(Token);
        Assert.Equal((5, 0), (await CountAsync(calling, LedgerKind.Revoked), await CountAsync(rotating, LedgerKind.Revoked)));
        Assert.Equal((1, 5), (await CountAsync(calling, LedgerKind.Rotated), await CountAsync(rotating, LedgerKind.Rotated)));
        Assert.Null((await rotating.Ledger.VerifyAsync(cancellationToken: Token)).Fault);
    }

    [Fact]
    public async Task Each_secret_is_rotated_where_it_lives()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        var manager = await OpenAsync("machine", folder.Options);
        await SetAsync(manager, "of_vault", "one", SecretPlace.Vault);
        await SetAsync(manager, "of_store", "two", SecretPlace.Store);
        await SetAsync(manager, "in-both", "three", SecretPlace.Vault);
        await SetAsync(manager, "IN_BOTH", "four", SecretPlace.Store);
        var runner = manager.CreateRotationRunner(_shop);
        foreach (var name in new[] { "of_vault", "of_store", "in-both", "IN_BOTH" })
        {
            await runner.RotateAsync(name, Policy, Token);
            Assert.Equal((name, 2, _shop.InUse), (await manager.FindAsync(name, Token)) is { } found ? (found.Name, found.Version, found.Value.RevealString()) : default);
        }

        Assert.Equal(["IN_BOTH store", "in-both vault", "of_store store", "of_vault vault"], await ListAsync(manager));
        Assert.Equal(["IN_BOTH", "in-both", "of_store", "of_vault"], (await runner.GetStatusAsync(Token)).Select(static status => status.Name).ToList());

        // a loose match is that of the vault, which is asked first; written, read, and told of where it lives
        _shop.Live.Add("three", null);
        Assert.Equal(3, (await runner.RollBackAsync("In_Both", cancellationToken: Token)).Version);
        Assert.Equal(2, (await manager.GetHistoryAsync("IN_BOTH", Token))!.Versions.Count);
        Assert.Equal(3, (await manager.GetHistoryAsync("In-Both", Token))!.Versions.Count);
        Assert.Equal("store", (await SetAsync(manager, "IN_BOTH", "five")).Store);
        Assert.Equal("vault", (await SetAsync(manager, "in-both", "six")).Store);
        await Assert.ThrowsAsync<SecretNotFoundException>(async () => await runner.RotateAsync("nowhere", Policy, Token));

        _clock.Advance(TimeSpan.FromDays(30));
        var done = (await runner.RunDueAsync(Token)).Where(static item => item.Action == RotationAction.Rotated).Select(static item => item.Name);
        Assert.Equal(["IN_BOTH", "in-both", "of_store", "of_vault"], done.Order(StringComparer.Ordinal).ToList());
    }

    [Fact]
    public async Task A_store_that_does_not_answer_keeps_no_secret_of_the_vault_from_its_turn()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        var manager = await OpenAsync("machine", folder.Options);
        await SetAsync(manager, "of_vault", "one", SecretPlace.Vault);
        await SetAsync(manager, "of_store", "two", SecretPlace.Store);
        var runner = manager.CreateRotationRunner(_shop);
        await runner.SetPolicyAsync("of_vault", Policy, Token);
        await runner.SetPolicyAsync("of_store", Policy, Token);
        _clock.Advance(TimeSpan.FromDays(30));
        _records.IsDown = true;
        var done = await runner.RunDueAsync(Token);
        Assert.Equal([RotationAction.Rotated, RotationAction.Failed], done.Select(static item => item.Action));
        Assert.IsType<StoreUnreachableException>(done[1].Error);
        Assert.Contains("the store", done[1].Name, StringComparison.Ordinal);

        // a secret that may live there, and one that is not found, are not told apart
        await Assert.ThrowsAsync<StoreUnreachableException>(async () => await runner.RotateAsync("of_store", Policy, Token));
        await Assert.ThrowsAsync<StoreUnreachableException>(async () => await SetAsync(manager, "of_store", "three"));
        Assert.Equal(3, (await runner.RotateAsync("of_vault", Policy, Token)).Version);
        var alone = (await OpenAsync("another")).CreateRotationRunner(_shop);
        await Assert.ThrowsAsync<StoreUnreachableException>(async () => await alone.RunDueAsync(Token));
        _records.IsDown = false;
        Assert.Equal(["of_store"], (await alone.RunDueAsync(Token)).Select(static item => item.Name).ToList());
    }

    [Fact]
    public async Task A_store_that_is_lost_while_a_key_is_made_leaves_no_key_behind_when_it_is_gone_on_with()
    {
        var manager = await OpenAsync("machine");
        await SetAsync(manager, "key", "by hand");
        _shop.During = step =>
        {
            _records.IsDown = step == "create";
            return Task.CompletedTask;
        };
        await Assert.ThrowsAsync<StoreUnreachableException>(async () => await manager.CreateRotationRunner(_shop).RotateAsync("key", Policy, Token));
        Assert.Equal(["made-1"], _shop.Keys);
        _records.IsDown = false;
        _shop.During = static _ => Task.CompletedTask;

        // its turn was given up when the store was down, and ends by itself
        var resuming = (await OpenAsync("another")).CreateRotationRunner(_shop).ResumeAsync("key", Token).AsTask();
        while (!resuming.IsCompleted)
        {
            _clock.Advance(TimeSpan.FromSeconds(1));
            await Task.Delay(1, Token);
        }

        Assert.Equal(2, (await resuming).Version);
        Assert.Equal(["made-2"], _shop.Keys);
    }

    private static async Task<SecretChange> SetAsync(SecretsManager manager, string name, string text, SecretPlace? into = null)
    {
        using var value = SecretValue.FromString(text);
        return await manager.SetAsync(name, value, new SetOptions { Into = into }, Token);
    }

    private static async Task<List<string>> ListAsync(SecretsManager manager) => [.. (await manager.ListAsync(Token)).Select(static facts => $"{facts.Name} {facts.Source}")];

    private static async Task<int> CountAsync(SecretsManager manager, LedgerKind kind) =>
        await manager.Ledger.ReadEntriesAsync(cancellationToken: Token).CountAsync(entry => entry.Kind == kind, Token);

    // each with a state of its own, as another machine has it
    private async Task<SecretsManager> OpenAsync(string machine, SecretsOptions? options = null)
    {
        if (await _medium.ReadAsync(StoreRoot.Record, Token) is null)
        {
            await new StoreRoot(_medium, _key).CreateAsync(_clock, Token);
        }

        using var text = _key.ToText();
        Environment.SetEnvironmentVariable("MALLKU_STATE_DIR", Path.Combine(_state.FullName, machine));
        var manager = SecretsManager.Open((options ?? new SecretsOptions()) with { Store = _records, StoreKey = text, TimeProvider = _clock });
        _opened.Add(manager);
        return manager;
    }
}
