using Mallku.Secrets.Vault;

namespace Mallku.Secrets.Tests.Vault;

/// <summary>Damage to what is kept beside a vault that is whole: the vault opens, and doctor tells.</summary>
public sealed class DamagedBackupTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_damaged_former_key_keeps_nobody_from_a_vault_that_opens_with_the_current_one()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        await VaultKeys.RotateAsync(folder.Open().Vault, Cancel);
        await DamageAsync(folder.KeyFile + ".previous");

        Assert.Equal("a1", await folder.GetAsync("a"));
        var finding = (await InspectAsync(folder)).Single(finding => finding.Check == "former-key");
        Assert.Equal(FindingLevel.Warning, finding.Level);
        Assert.Contains("move it away", finding.Remedy, StringComparison.Ordinal);

        // what may be a key that somebody can mend is not written over
        var error = await Assert.ThrowsAsync<VaultOpenException>(async () => await VaultKeys.RotateAsync(folder.Open().Vault, Cancel));
        Assert.Contains("move it away", error.Remedy, StringComparison.Ordinal);
        await folder.SetAsync("a", "a2");
        Assert.Equal("a2", await folder.GetAsync("a"));
    }

    [Fact]
    public async Task An_older_vault_is_noticed_by_the_ledger_where_the_former_one_can_not_be_compared()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        await VaultKeys.RotateAsync(folder.Open().Vault, Cancel);
        await DamageAsync(folder.KeyFile + ".previous");
        var (vault, former) = (await File.ReadAllBytesAsync(folder.VaultFile, Cancel), await File.ReadAllBytesAsync(folder.VaultFile + ".previous", Cancel));
        await folder.SetAsync("a", "a2");
        await folder.SetAsync("a", "a3");
        await File.WriteAllBytesAsync(folder.VaultFile, vault, Cancel);
        await File.WriteAllBytesAsync(folder.VaultFile + ".previous", former, Cancel);

        var error = await Assert.ThrowsAsync<LedgerException>(() => folder.GetAsync("a"));

        Assert.Contains("an older vault was put back", error.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_former_vault_that_no_recovery_could_use_is_a_warning()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        Assert.DoesNotContain(await InspectAsync(folder), finding => finding.Check == "former-vault" && finding.Level != FindingLevel.Ok);
        await DamageAsync(folder.VaultFile + ".previous");

        var finding = Assert.Single(await InspectAsync(folder), finding => finding.Check == "former-vault");
        Assert.Equal(FindingLevel.Warning, finding.Level);
        Assert.Contains("mallku set NAME", finding.Remedy, StringComparison.Ordinal);

        // what the remedy says
        await folder.SetAsync("a", "a2");
        Assert.DoesNotContain(await InspectAsync(folder), finding => finding.Check == "former-vault" && finding.Level != FindingLevel.Ok);
    }

    [Fact]
    public async Task No_write_is_promised_while_every_write_is_refused()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        using var python = PythonProgram.Load(folder.Vault);
        await VaultKeys.RotateAsync(folder.Open().Vault, Cancel);
        python.Write("""{"set": {"p": "p1"}}""");
        await Assert.ThrowsAsync<VaultOpenException>(() => folder.SetAsync("a", "a2"));

        var finding = (await InspectAsync(folder)).Single(finding => finding.Check == "former-key");

        Assert.DoesNotContain("next write", finding.Remedy, StringComparison.Ordinal);
        Assert.Contains("mallku key recover", finding.Remedy, StringComparison.Ordinal);
    }

    private static async Task<IReadOnlyList<Finding>> InspectAsync(TemporaryFolder folder)
    {
        var before = folder.Photograph();
        var findings = await VaultInspection.InspectAsync(folder.Open().Vault, Cancel);
        Assert.Equal(before, folder.Photograph());
        return findings;
    }

    private static async Task DamageAsync(string file) => await File.WriteAllTextAsync(file, "garbage", Cancel);
}
