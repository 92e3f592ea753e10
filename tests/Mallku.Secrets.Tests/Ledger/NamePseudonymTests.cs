using System.Text;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Tests.Vault;
using Mallku.Secrets.Vault;

namespace Mallku.Secrets.Tests.Ledger;

/// <summary>Names that a ledger does not have in clear: those of a vault that wants pseudonyms, and what may be a value.</summary>
public sealed class NamePseudonymTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    // made by Python's hmac and hashlib, HKDF written out as in RFC 5869: docs/formats/ledger-v1.md has the lines
    [Theory]
    [InlineData("openai_api_key", "~f7264bb6d0b11bb223c7bd4b77611859")]
    [InlineData("sk-proj-4f1d", "~8f2fb098e5c58f18995266fae28ea938")]
    [InlineData("schlüssel ☂", "~df4dcf60996bc3b8fcd43a519f4bc710")]
    public void A_pseudonym_is_what_another_program_computes(string name, string pseudonym)
    {
        var pseudonyms = new NamePseudonyms([.. Enumerable.Range(0, 32).Select(i => (byte)i)]);
        Assert.Equal(pseudonym, pseudonyms.Of(name));
        Assert.True(NamePseudonyms.IsPseudonym(pseudonym));
        Assert.False(SecretName.TryParse(pseudonym, out _));
    }

    [Fact]
    public async Task A_vault_that_begins_with_pseudonyms_has_no_name_in_its_ledger_whatever_is_done()
    {
        using var folder = new TemporaryFolder();
        var options = folder.Options with { UsePseudonyms = true };
        await VaultCreation.CreateAsync(SecretsManager.Open(options).Vault, Cancel);
        await folder.SetAsync("canary_one", "1");
        await folder.SetAsync("canary_one", "2");
        await folder.SetAsync("canary_two", "1");
        PythonProgram.Update(folder.Vault, """{"set": {"canary-two": "1", "canary_python, against the rules": "2"}}""");

        var manager = folder.Open();
        Assert.Equal("2", (await manager.GetRequiredAsync("canary_one", Cancel)).RevealString());
        await manager.GetRequiredAsync("canary_one", Cancel);
        await manager.GetRequiredAsync("canary_python, against the rules", Cancel);
        Assert.Null(await manager.GetAsync("canary_nobody_has", Cancel));
        await Assert.ThrowsAsync<AmbiguousSecretNameException>(async () => await manager.GetAsync("CANARY_TWO", Cancel));
        await manager.FlushAsync(Cancel);
        await folder.Open().RemoveAsync("canary_one", Cancel);
        await VaultKeys.RotateAsync(folder.Open().Vault, Cancel);

        AssertNowhere(folder, "canary");
        Assert.Equal(
            [
                "opened - - - 1", "created canary_one 1 vault 1", "updated canary_one 2 vault 1", "created canary_two 1 vault 1", "read canary_one 2 vault 1",
                "read canary_python, against the rules 1 vault 1", "read canary_one 2 vault 1", "missing ~ - - 1", "denied ~ - - 1",
                "created canary-two 1 external 1", "created canary_python, against the rules 1 external 1", "removed canary_one 2 vault 1", "key-rotated - - vault 1",
            ],
            await RevealAsync(folder));
    }

    [Fact]
    public async Task Switching_is_an_entry_and_holds_for_processes_that_have_the_vault_open()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "1");
        var another = folder.Open();
        await another.GetRequiredAsync("a", Cancel);
        var before = LedgerFile.Count(folder);

        Assert.True(await VaultNames.SwitchAsync(folder.Open().Vault, toPseudonyms: true, Cancel));
        Assert.False(await VaultNames.SwitchAsync(folder.Open().Vault, toPseudonyms: true, Cancel));
        await folder.SetAsync("a", "2");
        await another.RefreshAsync(Cancel);
        await another.GetRequiredAsync("a", Cancel);
        Assert.True(await VaultNames.SwitchAsync(folder.Open().Vault, toPseudonyms: false, Cancel));
        await folder.SetAsync("a", "3");

        var a = await GetPseudonymAsync(folder, "a");
        Assert.Equal(
            ["names-switched - - - 1", $"updated {a} 2 vault 1", $"read {a} 2 vault 1", "names-switched - - - 1", "updated a 3 vault 1"], LedgerFile.Since(folder, before));
        Assert.Equal(
            ["opened - - - 1", "created a 1 vault 1", "read a 1 vault 1", "names-switched - - - 1", "updated a 2 vault 1", "read a 2 vault 1", "names-switched - - - 1", "updated a 3 vault 1"],
            await RevealAsync(folder));
        Assert.DoesNotContain(await LedgerInspection.InspectAsync(folder.Open().Vault, await folder.Open().Vault.OpenAsync(Cancel), Cancel), finding => finding.Level != FindingLevel.Ok);
    }

    [Fact]
    public async Task A_ledger_is_begun_by_the_switch_where_there_is_none()
    {
        using var folder = new TemporaryFolder();
        PythonProgram.Write(folder.Vault, """{"canary": "1"}""");

        var off = SecretsManager.Open(folder.Options with { UseLedger = false });
        await Assert.ThrowsAsync<SecretsException>(async () => await VaultNames.SwitchAsync(off.Vault, toPseudonyms: true, Cancel));
        Assert.True(await VaultNames.SwitchAsync(folder.Open().Vault, toPseudonyms: true, Cancel));

        AssertNowhere(folder, "canary");
        Assert.Equal(["opened - - - 1", "names-switched - - - 1", "created canary 1 external 1"], await RevealAsync(folder));
        Assert.Equal("1", await folder.GetAsync("canary"));
    }

    [Fact]
    public async Task No_recovery_and_no_new_ledger_brings_names_in_clear_back()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await VaultNames.SwitchAsync(folder.Open().Vault, toPseudonyms: true, Cancel);
        await File.WriteAllTextAsync(folder.VaultFile, "damaged", Cancel);
        await VaultRecovery.RecoverAsync(folder.Open().Vault, asIs: false, Cancel);
        await folder.SetAsync("canary", "1");
        AssertNowhere(folder, "canary");

        await VaultLedger.RestartAsync(folder.Open().Vault, Cancel);
        await folder.SetAsync("canary", "2");
        await folder.GetAsync("canary");
        AssertNowhere(folder, "canary");
        Assert.Equal("read canary 5 vault 1", (await RevealAsync(folder))[^1]);
    }

    [Fact]
    public async Task A_vault_that_wants_what_this_program_does_not_know_is_refused()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await VaultNames.SwitchAsync(folder.Open().Vault, toPseudonyms: true, Cancel);
        Plaintext.Write(folder, Plaintext.Read(folder).Replace("\"names\":\"pseudonyms\"", "\"names\":\"none\"", StringComparison.Ordinal));
        await Assert.ThrowsAsync<VaultOpenException>(async () => await folder.Open().GetAsync("a", Cancel));
    }

    [Theory]
    [InlineData("sk-proj-4fA81kq")]
    [InlineData("q8Zr3vK1mW6tX0bN5cJ7")]
    public async Task A_value_that_was_typed_as_a_name_is_neither_recorded_nor_repeated(string value)
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        var before = LedgerFile.Count(folder);
        var manager = folder.Open();

        var error = await Assert.ThrowsAsync<SecretNotFoundException>(async () => await manager.GetRequiredAsync(value, Cancel));
        await Assert.ThrowsAsync<SecretNotFoundException>(async () => await manager.RemoveAsync(value, Cancel));
        await manager.FlushAsync(Cancel);

        Assert.DoesNotContain(value, error.ToString() + error.Name, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain(SecretName.Parse(value).ToEnvironmentVariable(), error.ToString(), StringComparison.Ordinal);
        Assert.Contains("openai_api_key", error.Remedy, StringComparison.Ordinal);
        AssertNowhere(folder, value);
        Assert.Equal([$"missing {await GetPseudonymAsync(folder, value)} - - 1"], LedgerFile.Since(folder, before));
    }

    [Fact]
    public async Task A_name_that_exists_is_never_taken_for_a_value()
    {
        const string hash = "d41d8cd98f00b204e9800998ecf8427e";
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync(hash, "1");
        var before = LedgerFile.Count(folder);
        Assert.Equal("1", await folder.GetAsync(hash));
        Assert.Equal("1", await folder.GetAsync(hash.ToUpperInvariant()));
        PythonProgram.Update(folder.Vault, $$$"""{"set": {"{{{hash.ToUpperInvariant()}}}": "2"}}""");
        var error = await Assert.ThrowsAsync<AmbiguousSecretNameException>(async () => await folder.GetAsync("D" + hash[1..]));

        Assert.Contains(hash, error.Message, StringComparison.Ordinal);
        Assert.Equal([$"read {hash} 1 vault 1", $"read {hash} 1 vault 1"], LedgerFile.Since(folder, before));
    }

    /// <summary>What an owner of the vault sees, with <c>~</c> for a name that the vault does not know.</summary>
    private static async Task<IReadOnlyList<string>> RevealAsync(TemporaryFolder folder)
    {
        var vault = folder.Open().Vault;
        var document = (await vault.OpenAsync(Cancel)).Document;
        var session = vault.Ledger.Find(document)!;
        var names = new KnownNames(session.Key.Pseudonyms, document.Secrets.Keys);
        return
        [
            .. LedgerLog.ReadEntries(vault.Ledger.Folder, session.ReadCurrent()).Select(names.Reveal).Select(entry =>
                $"{EntryLine.ToText(entry.Kind)} {(entry.Secret is null ? "-" : entry.Secret == entry.Pseudonym ? "~" : entry.Secret)} {entry.Version?.ToString() ?? "-"} {entry.Source ?? "-"} {entry.Count}"),
        ];
    }

    private static async Task<string> GetPseudonymAsync(TemporaryFolder folder, string name)
    {
        var vault = folder.Open().Vault;
        return vault.Ledger.Find((await vault.OpenAsync(Cancel)).Document)!.Key.Pseudonyms.Of(name);
    }

    private static void AssertNowhere(TemporaryFolder folder, string canary)
    {
        var bytes = Encoding.UTF8.GetBytes(canary);
        // in base64 a text looks different at each of three places; the characters that depend on its neighbours are left out
        var spellings = new[] { canary, Convert.ToHexString(bytes), Middle(bytes, 0), Middle(bytes, 1), Middle(bytes, 2) };
        foreach (var file in Directory.GetFiles(LedgerFile.Folder(folder)))
        {
            var text = File.ReadAllText(file);
            Assert.All(spellings, spelling => Assert.DoesNotContain(spelling, text, StringComparison.OrdinalIgnoreCase));
        }

        static string Middle(byte[] bytes, int shift) => Convert.ToBase64String([.. new byte[shift], .. bytes]).TrimEnd('=')[(shift == 0 ? 0 : shift + 1)..^2];
    }
}
