using Mallku.Secrets.Sources;

namespace Mallku.Secrets.Stores.Tests;

/// <summary>A user with keys of several stores.</summary>
[Collection(Machines.Name)]
public sealed class StoreKeyChoiceTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("mallku-keys-");
    private readonly List<string> _warned = [];

    public StoreKeyChoiceTests() => Environment.SetEnvironmentVariable("MALLKU_STATE_DIR", Path.Combine(_folder.FullName, "state"));

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task Which_key_opens_a_store_is_known_from_then_on_also_while_it_does_not_answer()
    {
        await using var stage = await StoreStage.CreateAsync();
        var records = new ForgetfulRecords(stage.Records);
        using var other = StoreKey.Generate();
        string[] kept = [Keep("a", other), Keep("b", stage.Key)];

        records.IsDown = true;
        Assert.NotNull((await ChooseAsync(records, kept)).Outage);
        records.IsDown = false;
        Assert.Equal((kept[1], null), await ChooseAsync(records, kept));
        records.IsDown = true;
        Assert.Equal((kept[1], null), await ChooseAsync(records, kept));

        // the key is gone: the store is asked for another
        Assert.NotNull((await ChooseAsync(records, kept[..1])).Outage);
        records.IsDown = false;
        await Assert.ThrowsAsync<VaultOpenException>(async () => await ChooseAsync(records, kept[..1]));
        Assert.Empty(_warned);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_key_that_cant_be_used_keeps_no_other_from_being_tried(bool isReadableByOthers)
    {
        await using var stage = await StoreStage.CreateAsync();
        using var other = StoreKey.Generate();
        string[] kept = [Keep("a", other), Keep("b", stage.Key)];
        File.WriteAllText(kept[0], isReadableByOthers ? File.ReadAllText(kept[0]) : "garbage");
        File.SetUnixFileMode(kept[0], isReadableByOthers ? (UnixFileMode)0b110_100_100 : (UnixFileMode)0b110_000_000);

        // where no other opens the store, it may have been the one
        var refused = await Assert.ThrowsAnyAsync<SecretsException>(async () => await ChooseAsync(stage.Records, kept[..1]));
        Assert.Contains(kept[0], refused.Problem, StringComparison.Ordinal);
        Assert.Equal((kept[1], null), await ChooseAsync(stage.Records, kept));
        Assert.Contains(kept[0], Assert.Single(_warned), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_in_the_vault_is_answered_by_who_does_not_know_the_key_of_a_store_that_does_not_answer()
    {
        using var folder = await Secrets.Tests.TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("here", "value");
        await using var stage = await StoreStage.CreateAsync();
        using var key = StoreKey.Generate();
        var manager = SecretsManager.Open(folder.Options with
        {
            Store = new SilentRecords(stage.Records, new StoreUnreachableException("it does not answer", "wait")),
            StoreKeyFile = Keep("a", key),
            FollowsStore = false,
        });
        Assert.Equal("value", (await manager.GetRequiredAsync("here", Token)).RevealString());
        await Assert.ThrowsAsync<StoreUnreachableException>(async () => await manager.GetAsync("elsewhere", Token));
        await Assert.ThrowsAsync<StoreUnreachableException>(async () => await manager.StoreLedger!.TellAsync(Token));
    }

    private ValueTask<(string KeyFile, StoreUnreachableException? Outage)> ChooseAsync(IRecordStore records, string[] kept) =>
        StoreKeyChoice.ChooseAsync(records, kept, _warned.Add, Token);

    private string Keep(string name, StoreKey key)
    {
        var path = Path.Combine(_folder.FullName, name + ".key");
        using var text = key.ToText();
        File.WriteAllText(path, text.RevealString());
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return path;
    }
}
