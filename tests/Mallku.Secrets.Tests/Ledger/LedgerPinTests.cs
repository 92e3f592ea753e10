using Mallku.Secrets.Keys;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Vault;

namespace Mallku.Secrets.Tests.Ledger;

/// <summary>The ledger's public key that somebody keeps outside the folder: what it lets pass, and what not.</summary>
public sealed class LedgerPinTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_right_key_lets_uses_and_changes_pass_as_a_text_or_in_a_file()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        var key = await ReadKeyAsync(folder);
        var file = Path.Combine(folder.Path, "ledger.vkey");
        await File.WriteAllTextAsync(file, key + "\n", Cancel);
        foreach (var pin in new[] { key, file })
        {
            var pinned = folder.Options with { LedgerPublicKey = pin };
            Assert.NotNull(await SecretsManager.Open(pinned).GetAsync("a", Cancel));
            using var value = SecretValue.FromString("next");
            await SecretsManager.Open(pinned).SetAsync("a", value, cancellationToken: Cancel);
            await VaultKeys.RotateAsync(SecretsManager.Open(pinned).Vault, Cancel);
            var finding = Assert.Single(await VaultInspection.InspectAsync(SecretsManager.Open(pinned).Vault, Cancel), finding => finding.Check == "ledger-key");
            Assert.Equal(FindingLevel.Ok, finding.Level);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_vault_with_a_ledger_of_another_key_is_refused_at_every_use_and_change(bool usesLedger)
    {
        using var meant = await TemporaryFolder.WithVaultAsync();
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "another's");
        var pinned = folder.Options with { LedgerPublicKey = await ReadKeyAsync(meant), UseLedger = usesLedger };

        var error = await RequireRefusedAsync(folder, pinned);
        Assert.Contains("another vault was put in its place, or a new ledger was begun", error.Problem, StringComparison.Ordinal);
        Assert.Contains("MALLKU_LEDGER_KEY", error.Remedy, StringComparison.Ordinal);
        var finding = Assert.Single(await VaultInspection.InspectAsync(SecretsManager.Open(pinned).Vault, Cancel), finding => finding.Check == "ledger-key");
        Assert.Equal(FindingLevel.Error, finding.Level);
    }

    [Fact]
    public async Task The_same_name_with_another_key_is_refused()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        using var other = LedgerKey.Generate(DataKey.Generate(TimeProvider.System), folder.Vault);
        var origin = (await ReadKeyAsync(folder)).Split('+')[0];
        using var impostor = LedgerKey.TryImport(origin, other.ExportSeed());
        await RequireRefusedAsync(folder, folder.Options with { LedgerPublicKey = impostor!.Verifier.ToString() });
    }

    [Fact]
    public async Task A_vault_without_a_ledger_is_refused()
    {
        using var meant = await TemporaryFolder.WithVaultAsync();
        using var folder = new TemporaryFolder();
        await VaultCreation.CreateAsync(SecretsManager.Open(folder.Options with { UseLedger = false }).Vault, Cancel);
        var error = await RequireRefusedAsync(folder, folder.Options with { LedgerPublicKey = await ReadKeyAsync(meant) });
        Assert.Contains("has no ledger, and MALLKU_LEDGER_KEY pins", error.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_new_vault_and_a_new_ledger_can_not_have_a_pinned_key_and_are_not_begun()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        var pinned = folder.Options with { LedgerPublicKey = await ReadKeyAsync(folder) };
        var before = folder.Photograph();
        var error = await Assert.ThrowsAsync<LedgerException>(async () => await VaultLedger.RestartAsync(SecretsManager.Open(pinned).Vault, Cancel));
        Assert.Contains("a new ledger gets a key of its own; nothing was changed", error.Problem, StringComparison.Ordinal);
        Assert.Equal(before, folder.Photograph());

        using var fresh = new TemporaryFolder();
        await Assert.ThrowsAsync<LedgerException>(async () =>
            await VaultCreation.CreateAsync(SecretsManager.Open(fresh.Options with { LedgerPublicKey = pinned.LedgerPublicKey }).Vault, Cancel));
        Assert.False(Directory.Exists(fresh.Vault));

        // a vault that is there is said to be there
        var again = await Assert.ThrowsAsync<SecretsException>(async () => await VaultCreation.CreateAsync(SecretsManager.Open(pinned).Vault, Cancel));
        Assert.Contains("already", again.Problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("nonsense")]
    [InlineData("/no/such/file")]
    public async Task What_is_no_key_lets_nothing_pass(string pin)
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        var error = await RequireRefusedAsync(folder, folder.Options with { LedgerPublicKey = pin });
        Assert.Equal("MALLKU_LEDGER_KEY is neither a public key of a ledger nor a file that has one", error.Problem);
    }

    // by every way to a value or a change; neither the vault nor the ledger is another one after it
    private static async Task<LedgerException> RequireRefusedAsync(TemporaryFolder folder, SecretsOptions pinned)
    {
        var before = folder.Photograph();
        using var value = SecretValue.FromString("never stored");
        var error = await Assert.ThrowsAsync<LedgerException>(async () => await SecretsManager.Open(pinned).GetAsync("a", Cancel));
        await Assert.ThrowsAsync<LedgerException>(async () => await SecretsManager.Open(pinned).ListAsync(Cancel));
        await Assert.ThrowsAsync<LedgerException>(async () => await SecretsManager.Open(pinned).SetAsync("a", value, cancellationToken: Cancel));
        await Assert.ThrowsAsync<LedgerException>(async () => await SecretsManager.Open(pinned).RemoveAsync("a", Cancel));
        await Assert.ThrowsAsync<LedgerException>(async () => await VaultKeys.RotateAsync(SecretsManager.Open(pinned).Vault, Cancel));
        await Assert.ThrowsAsync<LedgerException>(async () => await VaultRecovery.RecoverAsync(SecretsManager.Open(pinned).Vault, asIs: true, Cancel));
        Assert.Equal(before, folder.Photograph());
        return error;
    }

    private static async Task<string> ReadKeyAsync(TemporaryFolder folder)
    {
        var vault = folder.Open().Vault;
        return vault.Ledger.Find((await vault.OpenAsync(Cancel)).Document)!.Key.Verifier.ToString();
    }
}
