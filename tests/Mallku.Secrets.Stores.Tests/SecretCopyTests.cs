using Mallku.Secrets.Ledger;
using Mallku.Secrets.Tests;
using Mallku.Secrets.Vault;

namespace Mallku.Secrets.Stores.Tests;

/// <summary>Secrets go from a vault to a shared store and back with all that is known of them.</summary>
public sealed class SecretCopyTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Versions_and_times_go_there_and_back()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "one");
        await folder.SetAsync("a", "two");
        await folder.SetAsync("b", "value");
        await using var stage = await StoreStage.CreateAsync();
        var (vault, store) = (OpenVault(folder), stage.Open());
        var there = new SecretCopy(vault, store);
        Assert.Equal((CopyStep.New, 2), await PlanAsync(there, "a"));
        await there.DoAsync(await there.PlanAsync("a", overwrite: false, Token), Token);
        Assert.Equal((CopyStep.Same, 0), await PlanAsync(there, "a"));
        Assert.Equal("two", await StoreStage.GetAsync(store, "a"));
        Assert.Equal(await HistoryAsync(vault, "a"), await HistoryAsync(store, "a"));
        Assert.Contains(stage.Told, static told => told is { Kind: LedgerKind.Created, Secret: "a", Note: "copied from the vault" });

        using var another = await TemporaryFolder.WithVaultAsync();
        var back = new SecretCopy(store, OpenVault(another));
        await back.DoAsync(await back.PlanAsync("a", overwrite: false, Token), Token);
        Assert.Equal(await HistoryAsync(vault, "a"), await HistoryAsync(OpenVault(another), "a"));
        Assert.Equal(3, (await StoreStage.SetAsync(store, "a", "three")));
    }

    [Fact]
    public async Task What_is_there_is_kept_or_becomes_a_version()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "of the vault");
        await folder.SetAsync("B", "of the vault");
        await using var stage = await StoreStage.CreateAsync();
        var store = stage.Open();
        await StoreStage.SetAsync(store, "a", "of the store");
        await StoreStage.SetAsync(store, "b", "of the store");
        var copy = new SecretCopy(OpenVault(folder), store);
        Assert.Equal((CopyStep.Keep, 0), await PlanAsync(copy, "a"));
        Assert.Equal((CopyStep.Refused, 0), await PlanAsync(copy, "B"));
        var planned = await copy.PlanAsync("a", overwrite: true, Token);
        Assert.Equal(CopyStep.Overwrite, planned.Step);
        await copy.DoAsync(planned, Token);
        Assert.Equal("of the vault", await StoreStage.GetAsync(store, "a"));
        Assert.Equal(2, (await store.ReadAsync("a", Token))!.Record.Versions.Count(static version => version.Value is not null));
        await Assert.ThrowsAsync<SecretNotFoundException>(async () => await copy.PlanAsync("nothing", overwrite: false, Token));
    }

    [Fact]
    public async Task What_came_there_since_the_plan_is_not_written_over()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "of the vault");
        await using var stage = await StoreStage.CreateAsync();
        var store = stage.Open();
        var copy = new SecretCopy(OpenVault(folder), store);
        var planned = await copy.PlanAsync("a", overwrite: false, Token);
        await StoreStage.SetAsync(stage.Open(), "a", "of another");
        await Assert.ThrowsAsync<SecretsException>(async () => await copy.DoAsync(planned, Token));
        Assert.Equal("of another", await StoreStage.GetAsync(stage.Open(), "a"));
    }

    private static FileVault OpenVault(TemporaryFolder folder) => SecretsManager.Open(folder.Options).Vault;

    private static async Task<(CopyStep Step, int Versions)> PlanAsync(SecretCopy copy, string name)
    {
        var planned = await copy.PlanAsync(name, overwrite: false, Token);
        return (planned.Step, planned.Versions);
    }

    private static async Task<string> HistoryAsync(ISecretStore store, string name)
    {
        var found = await store.ReadAsync(name, Token);
        var values = found!.Record.Versions.Select(static version => $"{version.Number} {version.Id} {version.State} {version.Created:O} {version.Source} {System.Text.Encoding.UTF8.GetString(version.Value!.Value.Span)}");
        var history = string.Join('\n', values);
        GC.KeepAlive(found.Owner);
        return history;
    }
}
