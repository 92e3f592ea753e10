using Mallku.Secrets.Ledger;
using Mallku.Secrets.Tests;
using Mallku.Secrets.Vault;

namespace Mallku.Secrets.Stores.Tests;

/// <summary>A manager that looks in the environment, in a vault where there is one, and in a shared store.</summary>
[Collection(Machines.Name)]
public sealed class ManagerTests : IAsyncDisposable
{
    private readonly Machines _machines = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public ValueTask DisposeAsync() => _machines.DisposeAsync();

    [Fact]
    public async Task A_machine_without_a_vault_uses_the_store_and_records_it()
    {
        var (one, other) = (await _machines.OpenAsync("one"), await _machines.OpenAsync("other"));
        using var value = SecretValue.FromString("sk-shared");
        var change = await one.SetAsync("openai_api_key", value, cancellationToken: Token);
        Assert.Equal(("store", 1, true), (change.Store, change.Version, change.Created));
        var found = await other.FindAsync("OPENAI-API-KEY", Token);
        Assert.Equal(("openai_api_key", "store", 1, "sk-shared"), (found!.Name, found.Source, found.Version!.Value, found.Value.RevealString()));
        Assert.Equal("openai_api_key", Assert.Single(await other.ListAsync(Token)).Name);
        Assert.Single((await other.GetHistoryAsync("openai_api_key", Token))!.Versions);

        await other.FlushAsync(Token);
        var entries = await other.Ledger.ReadEntriesAsync(cancellationToken: Token).ToListAsync(Token);
        var read = Assert.Single(entries, static entry => entry.Kind == LedgerKind.Read);
        Assert.Equal(("openai_api_key", "store", 1), (read.Secret, read.Source, read.Version!.Value));
        Assert.Null((await other.Ledger.VerifyAsync(cancellationToken: Token)).Fault);
        Assert.Contains(await one.Ledger.ReadEntriesAsync(cancellationToken: Token).ToListAsync(Token), static entry => entry is { Kind: LedgerKind.Created, Secret: "openai_api_key", Source: "store" });

        await one.RemoveAsync("openai_api_key", Token);
        await other.RefreshAsync(Token);
        Assert.Null(await other.GetAsync("openai_api_key", Token));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_use_without_the_ledger_leaves_no_later_one_without_it(bool hasVault)
    {
        using var folder = new TemporaryFolder();
        var options = hasVault ? folder.Options : new SecretsOptions();
        var off = await _machines.OpenAsync("one", options with { UseLedger = false });
        if (hasVault)
        {
            await VaultCreation.CreateAsync(off.Vault, Token);
        }

        using var value = SecretValue.FromString("sk-shared");
        await off.SetAsync("openai_api_key", value, new SetOptions { Into = SecretPlace.Store }, Token);
        Assert.NotNull(await off.GetAsync("openai_api_key", Token));

        var on = await _machines.OpenAsync("one", options);
        Assert.NotNull(await on.GetAsync("openai_api_key", Token));
        await on.SetAsync("openai_api_key", value, cancellationToken: Token);
        var entries = await on.Ledger.ReadEntriesAsync(cancellationToken: Token).Where(static entry => entry.Source == "store").ToListAsync(Token);
        Assert.Equal([(LedgerKind.Read, 1), (LedgerKind.Updated, 2)], entries.Select(static entry => (entry.Kind, entry.Version!.Value)));
        Assert.Null((await on.Ledger.VerifyAsync(cancellationToken: Token)).Fault);
    }

    [Fact]
    public async Task First_uses_at_the_same_time_make_one_ledger()
    {
        for (var round = 0; round < 10; round++)
        {
            var managers = new List<SecretsManager>();
            for (var i = 0; i < 4; i++)
            {
                managers.Add(await _machines.OpenAsync($"machine-{round}"));
            }

            await Task.WhenAll(Enumerable.Range(0, 32).Select(i => Task.Run(
                async () =>
                {
                    using var value = SecretValue.FromString("value");
                    await managers[i % managers.Count].SetAsync($"key_{round}_{i}", value, cancellationToken: Token);
                },
                Token)));
            var entries = await managers[0].Ledger.ReadEntriesAsync(cancellationToken: Token).ToListAsync(Token);
            Assert.Equal(32, entries.Count(static entry => entry.Kind == LedgerKind.Created));
            Assert.Null((await managers[0].Ledger.VerifyAsync(cancellationToken: Token)).Fault);
        }
    }

    [Fact]
    public async Task How_many_versions_are_kept_is_said_once_for_all_machines_and_from_the_same_write_on()
    {
        var other = await _machines.OpenAsync("other");
        for (var i = 1; i <= 10; i++)
        {
            await SetAsync(other, $"value {i}");
        }

        await SetAsync(await _machines.OpenAsync("one", new SecretsOptions { KeepVersions = 12 }), "value 11");
        Assert.Equal(11, (await other.GetHistoryAsync("key", Token))!.Versions.Count);
        for (var i = 12; i <= 13; i++)
        {
            await SetAsync(other, $"value {i}");
        }

        Assert.Equal(Enumerable.Range(2, 12).Reverse(), (await other.GetHistoryAsync("key", Token))!.Versions.Select(static version => version.Number));
        await SetAsync(await _machines.OpenAsync("one", new SecretsOptions { KeepVersions = 2 }), "value 14");
        await SetAsync(await _machines.OpenAsync("third"), "value 15");
        Assert.Equal([15, 14], (await other.GetHistoryAsync("key", Token))!.Versions.Select(static version => version.Number));

        async Task SetAsync(SecretsManager manager, string text)
        {
            using var value = SecretValue.FromString(text);
            await manager.SetAsync("key", value, cancellationToken: Token);
        }
    }

    [Fact]
    public async Task A_store_is_begun_once_and_its_key_opens_it()
    {
        await using var records = new MemoryRecordStore();
        using var key = await SharedStore.CreateAsync(records, Token);
        Environment.SetEnvironmentVariable("MALLKU_STATE_DIR", _machines.StateOf("one"));
        var file = Path.Combine(Directory.CreateDirectory(_machines.StateOf("one")).FullName, "key");
        await File.WriteAllTextAsync(file, key.RevealString() + "\n", Token);
        File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        var manager = SecretsManager.Open(new SecretsOptions { Store = records, StoreKeyFile = file });
        using var value = SecretValue.FromString("value");
        await manager.SetAsync("key", value, cancellationToken: Token);
        Assert.Equal("value", (await manager.GetRequiredAsync("key", Token)).RevealString());
        await manager.FlushAsync(Token);
        await Assert.ThrowsAsync<SecretsException>(async () => await SharedStore.CreateAsync(records, Token));
        File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.OtherRead);
        Assert.ThrowsAny<SecretsException>(() => SecretsManager.Open(new SecretsOptions { Store = records, StoreKeyFile = file }));
    }

    [Fact]
    public async Task Where_a_secret_lives_it_is_written_and_a_new_one_in_the_store()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("of_vault", "old");
        var manager = await _machines.OpenAsync("machine", folder.Options);
        using var value = SecretValue.FromString("new");
        Assert.Equal("vault", (await manager.SetAsync("OF-VAULT", value, cancellationToken: Token)).Store);
        Assert.Equal("store", (await manager.SetAsync("fresh", value, cancellationToken: Token)).Store);
        Assert.Equal("vault", (await manager.SetAsync("local", value, new SetOptions { Into = SecretPlace.Vault }, Token)).Store);
        Assert.Equal("store", (await manager.SetAsync("local", value, new SetOptions { Into = SecretPlace.Store }, Token)).Store);

        // the vault is asked first
        Assert.Equal("vault", (await manager.FindAsync("local", Token))!.Source);
        var listed = await manager.ListAsync(Token);
        Assert.Equal("fresh store, local vault, of_vault vault", string.Join(", ", listed.Select(static facts => $"{facts.Name} {facts.Source}")));
        Assert.Equal(["store"], listed[1].Shadowed);
        Assert.Equal("vault", (await manager.RemoveAsync("local", Token)).Store);
        Assert.Equal("store", (await manager.FindAsync("local", Token))!.Source);
        await manager.FlushAsync(Token);
    }

    [Fact]
    public async Task A_process_that_runs_sees_what_another_machine_changes()
    {
        var (writer, reader) = (await _machines.OpenAsync("writer"), await _machines.OpenAsync("reader"));
        for (var i = 0; i < 10; i++)
        {
            using var value = SecretValue.FromString($"value {i}");
            await writer.SetAsync("key", value, cancellationToken: Token);
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(10));
            while ((await reader.GetAsync("key", Token))?.RevealString() != $"value {i}")
            {
                await Task.Delay(1, patience.Token);
            }
        }

        await reader.FlushAsync(Token);
    }

    [Fact]
    public async Task A_key_that_is_missing_or_anothers_is_told_and_never_shown()
    {
        await _machines.OpenAsync("one");
        var none = Assert.Throws<VaultOpenException>(() => SecretsManager.Open(new SecretsOptions { Store = _machines.Records, StoreKeyFile = _machines.StateOf("none") }));
        Assert.Contains("store's key", none.Problem, StringComparison.Ordinal);
        using var other = StoreKey.Generate();
        using var text = other.ToText();
        Environment.SetEnvironmentVariable("MALLKU_STATE_DIR", _machines.StateOf("one"));
        var manager = SecretsManager.Open(new SecretsOptions { Store = _machines.Records, StoreKey = text });
        var refused = await Assert.ThrowsAsync<VaultOpenException>(async () => await manager.GetAsync("a", Token));
        Assert.DoesNotContain(text.RevealString(), refused.ToString(), StringComparison.Ordinal);
    }
}
