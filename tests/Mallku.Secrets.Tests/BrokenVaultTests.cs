using Mallku.Secrets.Ledger;
using Mallku.Secrets.Tests.Ledger;

namespace Mallku.Secrets.Tests;

/// <summary>
/// A value of the environment beside a vault, or a ledger, that can't be used: what a lookup ends with, and that an
/// explanation says the same.
/// </summary>
public sealed class BrokenVaultTests : IDisposable
{
    private const UnixFileMode OthersToo = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupRead | UnixFileMode.GroupExecute;
    private readonly string _name = "broken_vault_" + Guid.NewGuid().ToString("N")[..8];

    public BrokenVaultTests() => Environment.SetEnvironmentVariable(_name.ToUpperInvariant(), "of the environment");

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public static TheoryData<string> Faults => ["vault modes", "vault damaged", "key gone", "ledger modes", "ledger gone", "no checkpoint", "no segment", "older ledger"];

    public void Dispose() => Environment.SetEnvironmentVariable(_name.ToUpperInvariant(), null);

    [Theory]
    [MemberData(nameof(Faults))]
    public async Task A_value_of_the_environment_is_withheld_with_the_way_to_have_it(string fault)
    {
        using var folder = await BeginAsync();
        Break(folder, fault);

        var error = await Assert.ThrowsAnyAsync<SecretsException>(() => folder.GetAsync(_name));

        Assert.Contains("--no-ledger", error.Remedy, StringComparison.Ordinal);
        Mend(folder);
    }

    [Theory]
    [MemberData(nameof(Faults))]
    public async Task A_value_of_the_environment_needs_no_vault_where_the_ledger_is_off(string fault)
    {
        using var folder = await BeginAsync();
        Break(folder, fault);
        var manager = SecretsManager.Open(folder.Options with { UseLedger = false });

        Assert.Equal("of the environment", (await manager.GetRequiredAsync(_name, Cancel)).RevealString());
        var explanation = await manager.ExplainAsync(_name, Cancel);
        Assert.Equal(0, explanation.Winner);
        Assert.Null(explanation.Error);
        Mend(folder);
    }

    [Theory]
    [MemberData(nameof(Faults))]
    public async Task An_explanation_tells_what_a_lookup_ends_with_and_writes_nothing(string fault)
    {
        using var folder = await BeginAsync();
        Break(folder, fault);
        foreach (var name in (string[])[_name, "a"])
        {
            var error = await Assert.ThrowsAnyAsync<SecretsException>(async () => await folder.Open().GetAsync(name, Cancel));
            var before = Directory.Exists(LedgerFile.Folder(folder)) ? folder.Photograph() : null;

            var explanation = await folder.Open().ExplainAsync(name, Cancel);

            Assert.Equal((error.GetType(), error.Problem, error.Remedy), (explanation.Error?.GetType(), explanation.Error?.Problem, explanation.Error?.Remedy));
            Assert.Null(explanation.Winner);
            Assert.Equal(before, Directory.Exists(LedgerFile.Folder(folder)) ? folder.Photograph() : null);
        }

        Mend(folder);
    }

    [Fact]
    public async Task A_value_of_the_environment_is_withheld_while_the_vault_that_was_used_is_gone()
    {
        using var folder = await BeginAsync();
        var manager = SecretsManager.Open(folder.Settings with { IsDirectoryNamed = false }, LedgerKind.Read);
        await manager.GetRequiredAsync("a", Cancel);
        await manager.FlushAsync(Cancel);
        Directory.Move(folder.Vault, folder.Vault + ".away");
        await manager.RefreshAsync(Cancel);

        var error = await Assert.ThrowsAsync<VaultOpenException>(async () => await manager.GetAsync(_name, Cancel));

        Assert.Contains("is gone", error.Problem, StringComparison.Ordinal);
        Assert.Contains("--no-ledger", error.Remedy, StringComparison.Ordinal);
        Directory.Move(folder.Vault + ".away", folder.Vault);
        Assert.Equal("of the environment", (await manager.GetRequiredAsync(_name, Cancel)).RevealString());
    }

    [Fact]
    public async Task An_explanation_of_what_a_lookup_hands_out_has_no_error_and_writes_nothing()
    {
        using var folder = await BeginAsync();
        var before = folder.Photograph();
        foreach (var name in (string[])[_name, "a"])
        {
            var explanation = await folder.Open().ExplainAsync(name, Cancel);
            Assert.NotNull(explanation.Winner);
            Assert.Null(explanation.Error);
        }

        Assert.Equal(before, folder.Photograph());
    }

    private static async Task<TemporaryFolder> BeginAsync()
    {
        var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        var older = Path.Combine(folder.Path, "older");
        Directory.CreateDirectory(older);
        foreach (var file in Directory.EnumerateFiles(LedgerFile.Folder(folder)))
        {
            File.Copy(file, Path.Combine(older, Path.GetFileName(file)));
        }

        await folder.SetAsync("a", "a2");
        return folder;
    }

    private static void Break(TemporaryFolder folder, string fault)
    {
        var ledger = LedgerFile.Folder(folder);
        switch (fault)
        {
            case "vault modes":
                File.SetUnixFileMode(folder.Vault, OthersToo);
                break;
            case "vault damaged":
                File.WriteAllText(folder.VaultFile, "damaged");
                break;
            case "key gone":
                File.Delete(folder.KeyFile);
                break;
            case "ledger modes":
                File.SetUnixFileMode(ledger, OthersToo);
                break;
            case "ledger gone":
                Directory.Delete(ledger, recursive: true);
                break;
            case "no checkpoint":
                File.Delete(LedgerFile.Checkpoint(folder));
                break;
            case "no segment":
                File.Delete(LedgerFile.Segment(folder));
                break;
            case "older ledger":
                foreach (var file in Directory.EnumerateFiles(Path.Combine(folder.Path, "older")))
                {
                    File.Copy(file, Path.Combine(ledger, Path.GetFileName(file)), overwrite: true);
                }

                break;
        }
    }

    private static void Mend(TemporaryFolder folder) =>
        File.SetUnixFileMode(folder.Vault, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
}
