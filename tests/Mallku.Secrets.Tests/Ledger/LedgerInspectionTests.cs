using Mallku.Secrets.Ledger;
using Mallku.Secrets.Vault;

namespace Mallku.Secrets.Tests.Ledger;

/// <summary>What doctor says of a vault's ledger, and that it changes nothing.</summary>
public sealed class LedgerInspectionTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string Ledger => Path.Combine(_folder.Vault, "ledger");

    private string Former => Path.Combine(_folder.Path, "former");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Says_how_many_entries_it_has()
    {
        await BeginAsync();
        var finding = Assert.Single(await InspectAsync());
        Assert.Equal(FindingLevel.Ok, finding.Level);
        Assert.Contains("as the vault knows it: 2 entries, the last of ", finding.What, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Says_that_nothing_is_recorded_where_there_is_no_vault()
    {
        var finding = Assert.Single(await InspectAsync());
        Assert.StartsWith("nothing is recorded", finding.What, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Says_that_an_older_vault_has_none_yet()
    {
        await VaultCreation.CreateAsync(SecretsManager.Open(_folder.Options with { UseLedger = false }).Vault, TestContext.Current.CancellationToken);
        var finding = Assert.Single(await InspectAsync());
        Assert.Equal((FindingLevel.Ok, "there is no ledger yet: it begins with the next write"), (finding.Level, finding.What));
    }

    [Fact]
    public async Task Sees_that_it_is_gone()
    {
        await BeginAsync();
        Directory.Delete(Ledger, recursive: true);
        Assert.Contains("the ledger is gone, or lies elsewhere; the vault knew of it when it was last written, at 2", (await FindErrorAsync()).What, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Sees_an_older_ledger()
    {
        await BeginAsync();
        Copy(Ledger, Former);
        await _folder.SetAsync("a", "2");
        Directory.Delete(Ledger, recursive: true);
        Copy(Former, Ledger);
        Assert.Contains("the ledger has 2 entries, and the vault of 2", (await FindErrorAsync()).What, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Sees_the_ledger_of_another_vault()
    {
        await BeginAsync();
        using var other = await SampleLedger.MakeAsync();
        Directory.Delete(Ledger, recursive: true);
        Copy(other.Folder.Path, Ledger);
        Assert.Contains("was not signed by the key", (await FindErrorAsync()).What, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Sees_an_older_vault()
    {
        await BeginAsync();
        File.Copy(_folder.VaultFile, Former);
        await _folder.SetAsync("a", "2");
        await _folder.SetAsync("a", "3");
        File.Delete(_folder.VaultFile + ".previous");
        File.Copy(Former, _folder.VaultFile, overwrite: true);
        Assert.Contains("an older vault was put back", (await FindErrorAsync()).What, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_older_ledger_and_an_older_vault_together_are_seen_by_a_checkpoint_that_was_kept()
    {
        await BeginAsync();
        Copy(_folder.Vault, Former);
        await _folder.SetAsync("a", "2");
        var vault = _folder.Open().Vault;
        var opened = await vault.OpenAsync(TestContext.Current.CancellationToken);
        var session = vault.Ledger.Find(opened.Document)!;
        var kept = new KeptCheckpoint(session.ReadCurrent(), "a person");
        Directory.Delete(_folder.Vault, recursive: true);
        Copy(Former, _folder.Vault);
        Assert.Equal(FindingLevel.Ok, Assert.Single(await InspectAsync()).Level);
        var found = await new LedgerVerifier(vault.Ledger.Folder, session.Key.Verifier).VerifyAsync([kept], progress: null, TestContext.Current.CancellationToken);
        Assert.Contains("an older ledger was put back", found.Fault?.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Warns_of_bytes_behind_the_checkpoint()
    {
        await BeginAsync();
        await File.AppendAllTextAsync(Path.Combine(Ledger, "00000000000000000000.jsonl"), "half an ent", TestContext.Current.CancellationToken);
        var findings = await InspectAsync();
        Assert.Equal([FindingLevel.Ok, FindingLevel.Warning], findings.Select(finding => finding.Level));
        Assert.StartsWith("11 bytes in ", findings[1].What, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Warns_of_a_ledger_that_was_switched_off()
    {
        await BeginAsync();
        using var value = SecretValue.FromString("2");
        await SecretsManager.Open(_folder.Options with { UseLedger = false }).SetAsync("a", value, cancellationToken: TestContext.Current.CancellationToken);
        var findings = await InspectAsync();
        Assert.Equal([FindingLevel.Ok, FindingLevel.Warning], findings.Select(finding => finding.Level));
    }

    private static void Copy(string from, string to)
    {
        Directory.CreateDirectory(to, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        foreach (var file in Directory.GetFiles(from))
        {
            File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
        }

        foreach (var folder in Directory.GetDirectories(from))
        {
            Copy(folder, Path.Combine(to, Path.GetFileName(folder)));
        }
    }

    [Theory]
    [InlineData("link", "00000000000000000000.jsonl")]
    [InlineData("link", ".lock")]
    [InlineData("folder", ".lock")]
    [InlineData("folder", "checkpoint.tmp")]
    public async Task Promises_no_use_that_is_refused_for_what_is_in_the_place_of_a_file(string what, string name)
    {
        await BeginAsync();
        var path = Path.Combine(Ledger, name);
        if (what == "link")
        {
            File.Move(path, Former);
            File.CreateSymbolicLink(path, Former);
        }
        else
        {
            File.Delete(path);
            Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }

        var vault = _folder.Open().Vault;
        var findings = await VaultInspection.InspectAsync(vault, TestContext.Current.CancellationToken);
        var tried = await Assert.ThrowsAsync<LedgerException>(async () => await vault.TryRecordAsync(TestContext.Current.CancellationToken));
        var refused = await Assert.ThrowsAsync<LedgerException>(async () => await _folder.Open().GetRequiredAsync("a", TestContext.Current.CancellationToken));

        Assert.Equal(refused.Problem, tried.Problem);
        Assert.Contains(findings, finding => finding.Level == FindingLevel.Error && finding.What == refused.Problem);
    }

    private async Task BeginAsync()
    {
        await VaultCreation.CreateAsync(_folder.Open().Vault, TestContext.Current.CancellationToken);
        await _folder.SetAsync("a", "1");
    }

    private async Task<Finding> FindErrorAsync()
    {
        var finding = Assert.Single(await InspectAsync());
        Assert.Equal(FindingLevel.Error, finding.Level);
        return finding;
    }

    private async Task<List<Finding>> InspectAsync()
    {
        var before = _folder.Photograph();
        var findings = await VaultInspection.InspectAsync(_folder.Open().Vault, TestContext.Current.CancellationToken);
        Assert.Equal(before, _folder.Photograph());
        return [.. findings.Where(finding => finding.Check == "ledger")];
    }
}
