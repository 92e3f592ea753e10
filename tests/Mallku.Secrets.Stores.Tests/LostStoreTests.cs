using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Stores.Tests;

/// <summary>A store that has lost what it holds of itself, or has an older state of it.</summary>
public sealed class LostStoreTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_store_whose_own_record_is_gone_is_gone_for_who_has_seen_it_and_is_not_made_anew()
    {
        await using var stage = await StoreStage.CreateAsync();
        await StoreStage.SetAsync(stage.Open(seen: "here"), "key", "value");
        var own = (await stage.Records.ReadAsync(StoreRoot.Record, Token))!;
        Assert.True(await stage.Records.WriteAsync([new RecordWrite(own.Key, own.Revision, Data: null)], Token));

        foreach (var use in new Func<SealedStore, Task>[]
        {
            static store => StoreStage.GetAsync(store, "key"),
            static store => StoreStage.SetAsync(store, "key", "other"),
            static async store => await store.ListAsync(Token),
        })
        {
            var gone = await Assert.ThrowsAsync<VaultOpenException>(() => use(stage.Open(seen: "here")));
            Assert.Contains("is gone", gone.Problem, StringComparison.Ordinal);
            Assert.Contains("backup", gone.Remedy, StringComparison.Ordinal);
            Assert.DoesNotContain("store init", gone.Remedy, StringComparison.Ordinal);
        }

        using var key = StoreKey.Generate();
        var refused = await Assert.ThrowsAsync<SecretsException>(async () => await new StoreRoot(stage.Records, key).CreateAsync(TimeProvider.System, Token));
        Assert.Contains("nothing was made", refused.Problem, StringComparison.Ordinal);
        Assert.Null(await stage.Records.ReadAsync(StoreRoot.Record, Token));

        // put back, all is as it was
        Assert.True(await stage.Records.WriteAsync([new RecordWrite(own.Key, Expected: null, own.Data)], Token));
        Assert.Equal("value", await StoreStage.GetAsync(stage.Open(seen: "here"), "key"));

        // or gone for good, and this machine forgets it
        Assert.True(await stage.Records.WriteAsync([new RecordWrite(own.Key, (await stage.Records.ReadAsync(own.Key, Token))!.Revision, Data: null)], Token));
        StoreStage.Forget(await Assert.ThrowsAsync<VaultOpenException>(() => StoreStage.GetAsync(stage.Open(seen: "here"), "key")));
        var absent = await Assert.ThrowsAsync<VaultOpenException>(() => StoreStage.GetAsync(stage.Open(seen: "here"), "key"));
        Assert.Contains("store init", absent.Remedy, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(RecordKind.Secret)]
    [InlineData(RecordKind.Version)]
    [InlineData(RecordKind.Instance)]
    [InlineData(RecordKind.Audit)]
    public async Task No_store_is_made_over_what_another_has_left(RecordKind kind)
    {
        await using var records = new MemoryRecordStore();
        Assert.True(await records.WriteAsync([new RecordWrite(new(kind, "left"), Expected: null, "{}"u8.ToArray())], Token));
        var refused = await Assert.ThrowsAsync<SecretsException>(async () => await SharedStore.CreateAsync(records, Token));
        Assert.Contains("nothing was made", refused.Problem, StringComparison.Ordinal);
        Assert.Null(await records.ReadAsync(StoreRoot.Record, Token));
    }

    [Fact]
    public async Task Who_finds_an_older_state_of_the_stores_own_record_is_told_first_to_put_the_newer_one_back()
    {
        await using var stage = await StoreStage.CreateAsync();
        var older = (await stage.Records.ReadAsync(StoreRoot.Record, Token))!;
        var one = stage.Open();
        await StoreStage.SetAsync(one, "key", "value");
        await one.ResealAsync(progress: null, Token);
        var newer = (await stage.Records.ReadAsync(StoreRoot.Record, Token))!;
        Assert.True(await stage.Records.WriteAsync([new RecordWrite(older.Key, newer.Revision, older.Data)], Token));
        var refused = await Assert.ThrowsAsync<SecretsException>(() => StoreStage.SetAsync(stage.Open(), "new", "value"));
        Assert.StartsWith("put the newer state of its own record back", refused.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Where_values_were_left_of_a_secret_that_is_gone_the_ledger_names_no_other_instance()
    {
        await using var stage = await StoreStage.CreateAsync();
        await StoreStage.SetAsync(stage.Open(), "key", "value");
        var head = await stage.Records.ListAsync(RecordKind.Secret, "", before: null, Token).SingleAsync(Token);
        Assert.True(await stage.Records.WriteAsync([new RecordWrite(head.Key, head.Revision, Data: null)], Token));
        stage.Told.Clear();
        Assert.Equal(1, await StoreStage.SetAsync(stage.Open(), "key", "other"));
        Assert.Equal([SealedStore.NotTaken], stage.Told.Where(static told => told.Kind == LedgerKind.Aborted).Select(static told => told.Note), StringComparer.Ordinal);
    }
}
