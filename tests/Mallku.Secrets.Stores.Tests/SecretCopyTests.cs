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

    [Fact]
    public async Task What_was_removed_there_under_another_spelling_goes_on_with_numbers_that_were_not_used()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("two_names", "older");
        await folder.SetAsync("two_names", "of the vault");
        await using var stage = await StoreStage.CreateAsync();
        var store = stage.Open();
        await StoreStage.SetAsync(store, "TWO-NAMES", "one");
        await StoreStage.SetAsync(store, "TWO-NAMES", "two");
        await store.RemoveAsync(SecretName.Existing("TWO-NAMES"), Token);
        var copy = new SecretCopy(OpenVault(folder), store);
        Assert.Equal((CopyStep.Overwrite, 1), await PlanAsync(copy, "two_names"));
        Assert.Empty(await copy.DoAllAsync([await copy.PlanAsync("two_names", overwrite: false, Token)], static (_, _) => { }, Token));
        Assert.Equal("of the vault", await StoreStage.GetAsync(stage.Open(), "two_names"));
        Assert.Equal(3, (await store.ReadAsync("two_names", Token))!.Record.Current!.Number);
        Assert.Equal((CopyStep.Same, 0), await PlanAsync(copy, "two_names"));
    }

    [Fact]
    public async Task One_that_cant_be_copied_keeps_no_other_from_its_turn()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "of the vault");
        await folder.SetAsync("b", "of the vault");
        await folder.SetAsync("c", "of the vault");
        await using var stage = await StoreStage.CreateAsync();
        await StoreStage.SetAsync(stage.Open(), "b", "of the store");
        var head = await stage.Records.ListAsync(RecordKind.Secret, "", null, Token).SingleAsync(Token);
        Assert.True(await stage.Records.WriteAsync([new RecordWrite(head.Key, head.Revision, "{\"a\":1}"u8.ToArray())], Token));
        var copy = new SecretCopy(OpenVault(folder), stage.Open());
        var plan = await copy.PlanAllAsync(["a", "b", "c"], overwrite: false, static (_, _) => { }, Token);
        Assert.Equal([CopyStep.New, CopyStep.Refused, CopyStep.New], plan.Select(static planned => planned.Step));

        // meanwhile
        await StoreStage.SetAsync(stage.Open(), "a", "of another");
        var failed = Assert.Single(await copy.DoAllAsync(plan.FindAll(static planned => planned.Step == CopyStep.New), static (_, _) => { }, Token));
        Assert.Equal("a", failed.Planned.Name);
        Assert.Contains("meanwhile", failed.Fault.Problem, StringComparison.Ordinal);
        Assert.Equal("of the vault", await StoreStage.GetAsync(stage.Open(), "c"));
    }

    [Fact]
    public async Task A_plan_and_a_copy_of_many_read_the_vault_as_often_as_it_changes_and_say_how_far_they_are()
    {
        const int many = 300;
        using var folder = await TemporaryFolder.WithVaultAsync();
        var (vault, names) = (OpenVault(folder), Enumerable.Range(0, many).Select(static i => $"key_{i:000}").ToList());
        using var value = SecretValue.FromString("of the vault");
        await vault.SetAsync([.. names.Select(name => KeyValuePair.Create(SecretName.Parse(name), value))], new SetOptions(), Token);
        await using var stage = await StoreStage.CreateAsync();
        using var heard = new Heard();
        var told = new List<(long Done, long Total)>();
        var copy = new SecretCopy(vault, stage.Open());
        var plan = await copy.PlanAllAsync(names, overwrite: false, (done, total) => told.Add((done, total)), Token);
        Assert.Equal(string.Join(' ', names), string.Join(' ', plan.Select(static planned => planned.Name)));
        Assert.All(plan, static planned => Assert.Equal(CopyStep.New, planned.Step));
        Assert.Equal(Enumerable.Range(1, many).Select(static done => ((long)done, (long)many)), told);
        told.Clear();
        Assert.Empty(await copy.DoAllAsync(plan, (done, total) => told.Add((done, total)), Token));
        Assert.Equal((many, many), told[^1]);
        Assert.All(await copy.PlanAllAsync(names, overwrite: false, static (_, _) => { }, Token), static planned => Assert.Equal(CopyStep.Same, planned.Step));

        // one that was just written is looked into once more half a second later
        Assert.Matches("^: [12]$", Assert.Single(heard.Sums("mallku.secrets.vault.opens")));
    }

    [Fact]
    public async Task Many_go_into_a_vault_in_few_writes_each_with_its_entry_and_whole_where_one_is_cut_off()
    {
        const int many = 600;
        await using var stage = await StoreStage.CreateAsync();
        var (store, names) = (stage.Open(), Enumerable.Range(0, many).Select(static i => $"key_{i:000}").ToList());
        foreach (var name in names)
        {
            await StoreStage.SetAsync(store, name, "of " + name);
        }

        using var folder = await TemporaryFolder.WithVaultAsync();
        var vault = OpenVault(folder);
        var copy = new SecretCopy(store, vault);
        var plan = await copy.PlanAllAsync(names, overwrite: false, static (_, _) => { }, Token);
        var generation = (await vault.OpenAsync(Token)).Generation;
        using var cut = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await copy.DoAllAsync(
            plan,
            (done, _) =>
            {
                Assert.Equal((int)done, OpenVault(folder).OpenAsync(Token).AsTask().GetAwaiter().GetResult().Document.Existing.Count());
                cut.Cancel();
            },
            cut.Token));

        // and on
        plan = (await copy.PlanAllAsync(names, overwrite: false, static (_, _) => { }, Token)).FindAll(static planned => planned.Step == CopyStep.New);
        Assert.InRange(plan.Count, 1, many - 1);
        await folder.SetAsync(plan[1].Name, "of another");
        var told = new List<(long Done, long Total)>();
        var failed = Assert.Single(await copy.DoAllAsync(plan, (done, total) => told.Add((done, total)), Token));
        Assert.Equal((plan[1].Name, (plan.Count, plan.Count)), (failed.Planned.Name, told[^1]));
        Assert.Contains("meanwhile", failed.Fault.Problem, StringComparison.Ordinal);
        vault = OpenVault(folder);
        Assert.InRange((await vault.OpenAsync(Token)).Generation, generation + 2, generation + 10);
        foreach (var name in names.Where(name => name != failed.Planned.Name))
        {
            Assert.Equal(await HistoryAsync(store, name), await HistoryAsync(vault, name));
        }

        var entries = await folder.Open().Ledger.ReadEntriesAsync(cancellationToken: Token).Where(static entry => entry is { Kind: LedgerKind.Created, Note: "copied from the store" }).ToListAsync(Token);
        Assert.Equal(names.Where(name => name != failed.Planned.Name), entries.Select(static entry => entry.Secret!).Order(StringComparer.Ordinal), StringComparer.Ordinal);
        Assert.Null((await folder.Open().Ledger.VerifyAsync(cancellationToken: Token)).Fault);
    }

    [Fact]
    public async Task One_that_the_vault_can_not_hold_keeps_no_other_from_its_turn()
    {
        await using var stage = await StoreStage.CreateAsync();
        var store = stage.Open();
        foreach (var name in new[] { "a", "b", "c" })
        {
            await StoreStage.SetAsync(store, name, "of " + name);
        }

        // deeper than a vault has its values with their versions
        var deep = System.Text.Encoding.UTF8.GetBytes(new string('[', SecretFormat.MaxDepth - 1) + new string(']', SecretFormat.MaxDepth - 1));
        await store.ChangeAsync("b", edit => edit.Record.Add(edit.Own(deep), VersionRecord.NewId(), edit.Now, "test"), Token);
        using var folder = await TemporaryFolder.WithVaultAsync();
        var copy = new SecretCopy(store, OpenVault(folder));
        var failed = Assert.Single(await copy.DoAllAsync(await copy.PlanAllAsync(["a", "b", "c"], overwrite: false, static (_, _) => { }, Token), static (_, _) => { }, Token));
        Assert.Equal("b", failed.Planned.Name);
        Assert.Equal(["a", "c"], (await OpenVault(folder).OpenAsync(Token)).Document.Secrets.Keys, StringComparer.Ordinal);
    }

    [Fact]
    public async Task A_vault_that_may_have_used_numbers_before_it_was_recovered_takes_all_versions_under_numbers_that_it_has_not()
    {
        await using var stage = await StoreStage.CreateAsync();
        var store = stage.Open();
        await StoreStage.SetAsync(store, "a", "one");
        await StoreStage.SetAsync(store, "a", "two");
        using var folder = await TemporaryFolder.WithVaultAsync();
        var vault = OpenVault(folder);
        await vault.ChangeAllAsync(
            static (opened, _) =>
            {
                opened.Document.SkipNumbers();
                return true;
            },
            Token);
        var first = (await vault.OpenAsync(Token)).Document.First;
        Assert.InRange(first, 2, int.MaxValue);
        var copy = new SecretCopy(store, vault);
        Assert.Equal((CopyStep.New, 2), await PlanAsync(copy, "a"));
        await copy.DoAsync(await copy.PlanAsync("a", overwrite: false, Token), Token);
        var (there, here) = ((await store.ReadAsync("a", Token))!.Record, (await vault.ReadAsync("a", Token))!.Record);
        Assert.Equal(there.Versions.Select(version => (version.Number + first - 1, version.Id, version.State, version.Created)), here.Versions.Select(static version => (version.Number, version.Id, version.State, version.Created)));
        Assert.Equal("two", await folder.GetAsync("a"));
        Assert.Equal(first + 2, (await folder.SetAsync("a", "three")).Version);
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
