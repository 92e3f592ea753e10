using Mallku.Secrets.Tests.Vault;
using Mallku.Secrets.Vault;

namespace Mallku.Secrets.Tests.Ledger;

/// <summary>A vault that knows of no ledger, and a ledger that is there: whose it is, and what becomes of it.</summary>
public sealed class BegunLedgerTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_first_write_that_was_cut_off_leaves_nothing_to_do_by_hand_where_the_ledger_lies_elsewhere()
    {
        using var folder = await WithoutLedgerAsync();
        var options = Elsewhere(folder);
        await LedgerFile.CutChangeOffAsync(SecretsManager.Open(options).Vault);

        Assert.Equal("old", await GetAsync(options));
        await SetAsync(options, "new");

        Assert.Equal("new", await GetAsync(options));
        Assert.Equal(["opened - - - 1", "updated a 2 vault 1", "read a 2 vault 1"], Summarize(options));
        Assert.Single(Directory.GetDirectories(folder.Path, "elsewhere.2*"));
    }

    [Fact]
    public async Task Another_vaults_ledger_is_refused_with_what_to_do_and_is_left_as_it_is()
    {
        using var owner = await WithoutLedgerAsync();
        await SetAsync(Elsewhere(owner), "the owner's");
        using var folder = await WithoutLedgerAsync();
        var options = folder.Options with { LedgerDirectory = Elsewhere(owner).LedgerDirectory };
        // a common key says nothing of whose ledger it is
        using var key = SecretValue.FromString(await File.ReadAllTextAsync(owner.KeyFile, Cancel));
        using var sharing = await WithoutLedgerAsync(key);
        var sharer = sharing.Options with { Key = key, LedgerDirectory = options.LedgerDirectory };
        var before = owner.Photograph();

        foreach (var other in new[] { options, sharer })
        {
            foreach (var use in (Func<Task>[])
            [
                () => SetAsync(other, "new"),
                async () => await VaultRecovery.RecoverAsync(SecretsManager.Open(other).Vault, asIs: true, Cancel),
                async () => await VaultLedger.RestartAsync(SecretsManager.Open(other).Vault, Cancel),
            ])
            {
                var error = await Assert.ThrowsAsync<LedgerException>(use);
                Assert.Contains($"'{other.LedgerDirectory}' holds another vault's ledger", error.Problem, StringComparison.Ordinal);
                Assert.Contains("MALLKU_LEDGER_DIR", error.Remedy, StringComparison.Ordinal);
            }
        }

        Assert.Equal(before, owner.Photograph());
        Assert.Equal("the owner's", await GetAsync(Elsewhere(owner)));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_vault_from_before_its_ledger_is_refused_until_a_person_wants_it(bool isElsewhere)
    {
        using var folder = await WithoutLedgerAsync();
        var options = isElsewhere ? Elsewhere(folder) : folder.Options;
        var before = Plaintext.Read(folder);
        await SetAsync(options, "new");
        Assert.Equal("new", await GetAsync(options));
        // the ledger is this vault's under a later key too
        await VaultKeys.RotateAsync(SecretsManager.Open(options).Vault, Cancel);
        Plaintext.Write(folder, before);
        File.Delete(folder.VaultFile + ".previous");
        var photograph = folder.Photograph();

        foreach (var use in (Func<Task>[])
        [
            () => GetAsync(options),
            () => SetAsync(options, "newer"),
            async () => await VaultLedger.RestartAsync(SecretsManager.Open(options).Vault, Cancel),
        ])
        {
            Assert.Contains("mallku key recover --as-is", (await Assert.ThrowsAsync<LedgerException>(use)).Remedy, StringComparison.Ordinal);
        }

        Assert.Equal(photograph, folder.Photograph());
        await VaultRecovery.RecoverAsync(SecretsManager.Open(options).Vault, asIs: true, Cancel);
        Assert.Equal("old", await GetAsync(options));
        Assert.Equal(["opened - - - 1", "restarted - - - 1", "restored - - vault 1", "read a 1 vault 1"], Summarize(options));
        Assert.Single(Directory.GetDirectories(Path.GetDirectoryName(Located(options))!, Path.GetFileName(Located(options)) + ".2*"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_ledger_that_could_not_be_given_up_for_a_vault_from_before_it_is_missed_all_the_same(bool isKilled)
    {
        using var folder = await WithoutLedgerAsync();
        var before = Plaintext.Read(folder);
        await SetAsync(folder.Options, "new");
        // at another time than that of the first entries
        while (!(await SecretsManager.Open(folder.Options).Ledger.ReadEntriesAsync(cancellationToken: Cancel).ToListAsync(Cancel)).DistinctBy(static entry => entry.Time).Skip(1).Any())
        {
            await GetAsync(folder.Options);
        }

        Plaintext.Write(folder, before);
        File.Delete(folder.VaultFile + ".previous");
        if (isKilled)
        {
            // between the two names
            Directory.Move(LedgerFile.Folder(folder), LedgerFile.Folder(folder) + ".20260102T030405Z");
        }
        else
        {
            var failing = folder.Options with { WitnessCommand = "exit 1" };
            await Assert.ThrowsAsync<LedgerException>(async () => await VaultRecovery.RecoverAsync(SecretsManager.Open(failing).Vault, asIs: true, Cancel));
        }

        Assert.Contains("--as-is", (await Assert.ThrowsAsync<LedgerException>(() => GetAsync(folder.Options))).Remedy, StringComparison.Ordinal);
        await Assert.ThrowsAsync<LedgerException>(() => SetAsync(folder.Options, "newer"));
        await Assert.ThrowsAsync<LedgerException>(async () => await VaultRecovery.RecoverAsync(SecretsManager.Open(folder.Options with { UseLedger = false }).Vault, asIs: true, Cancel));
        await VaultRecovery.RecoverAsync(SecretsManager.Open(folder.Options).Vault, asIs: true, Cancel);
        Assert.Equal("old", await GetAsync(folder.Options));
        Assert.Contains(Summarize(folder.Options), static entry => entry == "restarted - - - 1");
    }

    [Fact]
    public async Task A_former_file_from_before_a_ledger_elsewhere_is_recovered()
    {
        using var folder = await WithoutLedgerAsync();
        var options = Elsewhere(folder);
        await SetAsync(options, "new");
        Assert.Equal("new", await GetAsync(options));
        await File.WriteAllTextAsync(folder.VaultFile, "damaged", Cancel);

        await VaultRecovery.RecoverAsync(SecretsManager.Open(options).Vault, asIs: false, Cancel);

        Assert.Equal("old", await GetAsync(options));
        Assert.Equal(["opened - - - 1", "restarted - - - 1", "merged - - vault 1", "read a 1 vault 1"], Summarize(options));
        Assert.Single(Directory.GetDirectories(folder.Path, "elsewhere.2*"));
    }

    [Fact]
    public async Task A_vault_that_another_program_starts_afresh_after_its_former_file_was_moved_back_is_noticed()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        await folder.SetAsync("b", "b1");
        File.Move(folder.VaultFile + ".previous", folder.VaultFile, overwrite: true);
        Plaintext.Write(folder, """{"c": "c1"}""");
        var before = folder.Photograph();

        foreach (var use in (Func<Task>[])[() => folder.GetAsync("c"), () => folder.SetAsync("d", "d1"), () => VaultLedger.RestartAsync(folder.Open().Vault, Cancel).AsTask()])
        {
            var error = await Assert.ThrowsAsync<LedgerException>(use);
            Assert.Contains("or another program has started it afresh", error.Problem, StringComparison.Ordinal);
            Assert.Contains("mallku key recover --as-is", error.Remedy, StringComparison.Ordinal);
        }

        Assert.Equal(before, folder.Photograph());
    }

    [Fact]
    public async Task A_ledger_is_not_given_up_for_an_older_vault()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        await folder.SetAsync("a", "a2");
        string[] files = [folder.VaultFile, folder.VaultFile + ".previous"];
        var older = files.Select(File.ReadAllBytes).ToList();
        await folder.SetAsync("a", "a3");
        await folder.SetAsync("a", "a4");
        for (var i = 0; i < files.Length; i++)
        {
            await File.WriteAllBytesAsync(files[i], older[i], Cancel);
        }

        var before = folder.Photograph();
        var error = await Assert.ThrowsAsync<LedgerException>(async () => await VaultLedger.RestartAsync(folder.Open().Vault, Cancel));

        Assert.Contains("mallku key recover --as-is", error.Remedy, StringComparison.Ordinal);
        Assert.Equal(before, folder.Photograph());
    }

    [Fact]
    public async Task A_new_ledger_says_of_which_generation_the_vault_was()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        var from = await LedgerFile.CutChangeOffAsync(folder.Open().Vault);
        // what another program changed is a generation of its own with the next write
        File.Copy(folder.VaultFile, folder.VaultFile + ".previous", overwrite: true);
        PythonProgram.Update(folder.Vault, """{"set": {"a": "outside"}}""");
        File.Copy(folder.VaultFile, folder.VaultFile + ".previous", overwrite: true);

        Assert.NotNull(await VaultLedger.RestartAsync(folder.Open().Vault, Cancel));

        Assert.Equal(["opened - - - 1", "restarted - - - 1", "updated a 2 external 1"], LedgerFile.Summarize(folder));
        Assert.Contains($"the vault, at generation {from}, knew ", await File.ReadAllTextAsync(LedgerFile.Segment(folder), Cancel), StringComparison.Ordinal);
        Assert.Equal(from + 2, (await folder.Open().Vault.OpenAsync(Cancel)).Document.Generation);
        Assert.Equal("outside", await folder.GetAsync("a"));
    }

    [Fact]
    public async Task A_change_without_the_ledger_uses_no_generation_that_the_ledger_has_planned()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        var planned = await LedgerFile.CutChangeOffAsync(folder.Open().Vault) + 1;
        var before = LedgerFile.Count(folder);
        var off = folder.Options with { UseLedger = false };
        Assert.Equal("a1", await GetAsync(off));
        await SetAsync(off, "a2");

        Assert.Equal(planned + 1, (await folder.Open().Vault.OpenAsync(Cancel)).Document.Generation);
        await folder.SetAsync("a", "a3");
        Assert.Equal(["suspended - - - 1", "aborted - - - 1", "resumed - - - 1", "updated a 3 vault 1"], LedgerFile.Since(folder, before));
    }

    [Fact]
    public async Task What_was_changed_without_the_ledger_is_told_from_the_generation_at_which_the_vault_left_it()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        var left = await LedgerFile.CutChangeOffAsync(folder.Open().Vault);
        var before = LedgerFile.Count(folder);
        var off = folder.Options with { UseLedger = false };
        await SetAsync(off, "a2");
        await SetAsync(off, "a3");
        var found = (await folder.Open().Vault.OpenAsync(Cancel)).Document.Generation;
        // the first change with the ledger again is cut off as well
        Assert.Equal(found, await LedgerFile.CutChangeOffAsync(folder.Open().Vault));
        await folder.SetAsync("a", "a4");

        Assert.Equal(
            $"""
            suspended - -
            aborted the vault was at generation {left}, and did not reach {left + 1} {left}
            resumed the vault went from generation {left} to {found} without the ledger {found}
            updated - {found + 1}
            aborted the vault was at generation {found}, and did not reach {found + 1} {found}
            updated - {found + 2}
            """,
            string.Join('\n', LedgerFile.Summarize(folder, "kind", "note", "generation").Skip(before)));
        Assert.Empty(await folder.Open().Ledger.FindUnusualUsesAsync(cancellationToken: Cancel));
    }

    [Fact]
    public async Task A_vault_that_was_changed_without_the_ledger_and_says_not_since_when_is_told_as_such()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        await SetAsync(folder.Options with { UseLedger = false }, "a2");
        await folder.Open().Vault.WriteAsync(
            opened =>
            {
                opened.Document.Ledger = opened.Document.Ledger! with { SuspendedAt = null };
                opened.Document.Generation++;
                using var plaintext = VaultFormat.Write(opened.Document, capacity: 4096);
                folder.Open().Vault.Writer.Replace(plaintext, opened.Key!);
                return new ValueTask<bool>(true);
            },
            Cancel);
        await folder.SetAsync("a", "a3");

        Assert.Contains("the vault came to generation 5 without the ledger", LedgerFile.Summarize(folder, "note"), StringComparer.Ordinal);
    }

    // a vault of before there were ledgers
    private static async Task<TemporaryFolder> WithoutLedgerAsync(SecretValue? key = null)
    {
        var folder = new TemporaryFolder();
        var off = folder.Options with { UseLedger = false, Key = key };
        await VaultCreation.CreateAsync(SecretsManager.Open(off).Vault, Cancel);
        await SetAsync(off, "old");
        File.Delete(folder.VaultFile + ".previous");
        return folder;
    }

    private static SecretsOptions Elsewhere(TemporaryFolder folder) => folder.Options with { LedgerDirectory = Path.Combine(folder.Path, "elsewhere") };

    private static string Located(SecretsOptions options) => options.LedgerDirectory ?? Path.Combine(options.Directory!, "ledger");

    private static IReadOnlyList<string> Summarize(SecretsOptions options) => LedgerFile.Summarize(Located(options));

    private static async Task SetAsync(SecretsOptions options, string text)
    {
        using var value = SecretValue.FromString(text);
        await SecretsManager.Open(options).SetAsync("a", value, cancellationToken: Cancel);
    }

    private static async Task<string?> GetAsync(SecretsOptions options)
    {
        var manager = SecretsManager.Open(options);
        var value = (await manager.GetAsync("a", Cancel))?.RevealString();
        await manager.FlushAsync(Cancel);
        return value;
    }
}
