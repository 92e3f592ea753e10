using System.Diagnostics;
using System.Text;
using Mallku.Secrets.Files;
using Mallku.Secrets.Tests.Vault;
using Mallku.Secrets.Vault;

namespace Mallku.Secrets.Tests.Ledger;

/// <summary>What is recorded, when, and what happens where it can't be.</summary>
public sealed class RecordingTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_first_use_of_each_version_is_recorded_before_it_is_returned_and_further_ones_as_a_count()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        var before = LedgerFile.Count(folder);
        var manager = folder.Open();

        await manager.GetAsync("a", Cancel);
        Assert.Equal(["read a 1 vault 1"], LedgerFile.Since(folder, before));

        for (var i = 0; i < 1000; i++)
        {
            await manager.GetAsync("a", Cancel);
        }

        await manager.FlushAsync(Cancel);
        Assert.Equal(1001, Sum(folder, before));

        await folder.SetAsync("a", "a2");
        await manager.RefreshAsync(Cancel);
        await manager.GetAsync("a", Cancel);
        Assert.Equal("read a 2 vault 1", LedgerFile.Summarize(folder)[^1]);
    }

    [Fact]
    public async Task Each_purpose_of_one_manager_is_recorded_for_itself()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        var before = LedgerFile.Count(folder);
        var manager = SecretsManager.Open(folder.Options with { Purpose = "service" });
        var adapter = manager.WithPurpose("adapter");
        await manager.GetAsync("a", Cancel);
        await adapter.GetAsync("a", Cancel);
        await adapter.FindFirstAsync(["nobody", "none"], Cancel);
        await adapter.FlushAsync(Cancel);
        Assert.Equal(
            ["read a service", "read a adapter", "missing nobody adapter"],
            LedgerFile.Summarize(folder, "kind", "secret", "purpose").Skip(before).ToList());
    }

    [Fact]
    public async Task Counts_are_written_by_themselves_and_are_exact_under_load()
    {
        const int threads = 8, each = 20_000;
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        var before = LedgerFile.Count(folder);
        var manager = folder.Open();

        await Task.WhenAll(Enumerable.Range(0, threads).Select(_ => Task.Run(
            async () =>
            {
                for (var i = 0; i < each; i++)
                {
                    await manager.GetRequiredAsync("a", Cancel);
                }
            },
            Cancel)));

        var watch = Stopwatch.StartNew();
        while (Sum(folder, before) < threads * each && watch.Elapsed < TimeSpan.FromSeconds(20))
        {
            await Task.Delay(50, Cancel);
        }

        Assert.Equal(threads * each, Sum(folder, before));
        Assert.True(LedgerFile.Count(folder) - before < 1000, "the counts are not coalesced");
    }

    [Fact]
    public async Task What_nobody_has_and_what_several_names_match_is_recorded()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a-b", "1");
        await WriteByPythonAsync(folder);
        var before = LedgerFile.Count(folder);
        var manager = folder.Open();

        await manager.GetAsync("nobody_has_this", Cancel);
        await manager.GetAsync("nobody_has_this", Cancel);
        await Assert.ThrowsAsync<AmbiguousSecretNameException>(async () => await manager.GetAsync("A_B", Cancel));
        await manager.FlushAsync(Cancel);

        Assert.Equal(["missing nobody_has_this - - 2", "denied A_B - - 1"], LedgerFile.Since(folder, before));
    }

    [Fact]
    public async Task What_another_program_changed_is_recorded_with_the_next_change()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        await folder.SetAsync("b", "b1");
        PythonProgram.Update(folder.Vault, """{"set": {"a": "a2", "new": "n1"}, "remove": ["b"]}""");
        var before = LedgerFile.Count(folder);

        await folder.SetAsync("c", "c1");

        Assert.Equal(
            ["updated a 2 external 1", "removed b 1 external 1", "created new 1 external 1", "created c 1 vault 1"], LedgerFile.Since(folder, before));
    }

    [Fact]
    public async Task A_value_of_the_environment_is_recorded_where_there_is_a_vault()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        var before = LedgerFile.Count(folder);
        var variable = "LEDGER_TEST_" + Guid.NewGuid().ToString("N").ToUpperInvariant();
        Environment.SetEnvironmentVariable(variable, "from the environment");
        try
        {
            var manager = folder.Open();
            await manager.RefreshAsync(Cancel);
            await manager.GetRequiredAsync(variable.ToLowerInvariant(), Cancel);
            Assert.Equal([$"read {variable.ToLowerInvariant()} - environment 1"], LedgerFile.Since(folder, before));

            using var without = new TemporaryFolder();
            var outside = new SecretsOptions { Directory = without.Vault };
            manager = SecretsManager.Open(outside);
            await manager.RefreshAsync(Cancel);
            await manager.GetRequiredAsync(variable.ToLowerInvariant(), Cancel);
        }
        finally
        {
            Environment.SetEnvironmentVariable(variable, null);
        }
    }

    [Fact]
    public async Task Without_the_ledger_its_last_entry_says_so_once_and_the_next_change_says_what_happened_meanwhile()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        var before = LedgerFile.Count(folder);
        var off = folder.Options with { UseLedger = false };

        await SecretsManager.Open(off).GetRequiredAsync("a", Cancel);
        await SecretsManager.Open(off).GetRequiredAsync("a", Cancel);
        using (var value = SecretValue.FromString("a2"))
        {
            await SecretsManager.Open(off).SetAsync("a", value, cancellationToken: Cancel);
        }

        Assert.Equal(["suspended - - - 1"], LedgerFile.Since(folder, before));
        await folder.GetAsync("a");
        await folder.SetAsync("a", "a3");
        Assert.Equal(["suspended - - - 1", "read a 2 vault 1", "resumed - - - 1", "updated a 3 vault 1"], LedgerFile.Since(folder, before));
    }

    [Fact]
    public async Task A_value_is_withheld_and_nothing_is_changed_while_the_ledger_can_not_be_written_in_time()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        var impatient = folder.Options with { LedgerTimeout = TimeSpan.FromMilliseconds(300) };
        var vault = await File.ReadAllBytesAsync(folder.VaultFile, Cancel);
        var descriptor = Posix.OpenOrCreate(Path.Combine(LedgerFile.Folder(folder), ".lock"));
        try
        {
            Posix.Lock(descriptor, "the ledger's lock");
            var watch = Stopwatch.StartNew();
            var read = await Assert.ThrowsAsync<LedgerException>(async () => await SecretsManager.Open(impatient).GetAsync("a", Cancel));
            using var value = SecretValue.FromString("a2");
            await Assert.ThrowsAsync<LedgerException>(async () => await SecretsManager.Open(impatient).SetAsync("a", value, cancellationToken: Cancel));

            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(5), "it took " + watch.Elapsed);
            Assert.Contains("--no-ledger", read.Remedy, StringComparison.Ordinal);
            Assert.Equal(vault, await File.ReadAllBytesAsync(folder.VaultFile, Cancel));
        }
        finally
        {
            Posix.Close(descriptor);
        }

        // what was given up is not written later
        var before = LedgerFile.Count(folder);
        Assert.Equal("a1", await folder.GetAsync("a"));
        Assert.Equal(["read a 1 vault 1"], LedgerFile.Since(folder, before));
        Assert.Equal(2, (await folder.SetAsync("a", "a2")).Version);
    }

    [Fact]
    public async Task A_use_that_waits_for_no_disk_waits_for_it_once_the_counts_could_not_be_written()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        var before = LedgerFile.Count(folder);
        var manager = folder.Open();
        await manager.GetRequiredAsync("a", Cancel);
        await manager.GetRequiredAsync("a", Cancel);
        var hidden = LedgerFile.Folder(folder) + ".hidden";
        Directory.Move(LedgerFile.Folder(folder), hidden);

        await Assert.ThrowsAsync<LedgerException>(async () => await manager.FlushAsync(Cancel));
        await Assert.ThrowsAsync<LedgerException>(async () => await manager.GetRequiredAsync("a", Cancel));

        Directory.Move(hidden, LedgerFile.Folder(folder));
        await manager.GetRequiredAsync("a", Cancel);
        await manager.FlushAsync(Cancel);
        Assert.Equal(3, Sum(folder, before));
    }

    [Fact]
    public async Task Bytes_behind_the_checkpoint_are_put_aside_and_noted()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        var before = LedgerFile.Count(folder);
        await File.AppendAllTextAsync(LedgerFile.Segment(folder), "{\"index\":3, never acknowledged", Cancel);

        await folder.GetAsync("a");

        Assert.Equal(["recovered - - - 1", "read a 1 vault 1"], LedgerFile.Since(folder, before));
        var aside = Assert.Single(Directory.EnumerateFiles(LedgerFile.Folder(folder), "unacknowledged-*"));
        Assert.Equal("{\"index\":3, never acknowledged", await File.ReadAllTextAsync(aside, Cancel));
    }

    [Fact]
    public async Task A_change_that_did_not_reach_the_vault_is_closed_and_its_generation_is_not_used_again()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        await folder.SetAsync("a", "a2");
        var from = await LedgerFile.CutChangeOffAsync(folder.Open().Vault);
        var before = LedgerFile.Count(folder);

        Assert.Equal("a2", await folder.GetAsync("a"));
        await folder.SetAsync("b", "b1");

        Assert.Equal(["read a 2 vault 1", "aborted - - - 1", "created b 1 vault 1"], LedgerFile.Since(folder, before));
        Assert.Equal(from + 2, (await folder.Open().Vault.OpenAsync(Cancel)).Document.Generation);
    }

    [Fact]
    public async Task No_ledger_is_given_up_while_it_is_switched_off()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("key", "value");
        var off = SecretsManager.Open(folder.Options with { UseLedger = false });
        var refused = await Assert.ThrowsAsync<SecretsException>(async () => await VaultLedger.RestartAsync(off.Vault, Cancel));
        Assert.Contains("switched off", refused.Problem, StringComparison.Ordinal);
        Assert.Equal("value", await folder.GetAsync("key"));
        Assert.Null((await folder.Open().Ledger.VerifyAsync(cancellationToken: Cancel)).Fault);
    }

    [Fact]
    public async Task A_ledger_that_is_gone_cut_off_put_back_or_signed_by_another_is_refused_and_can_be_given_up()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        var ledger = LedgerFile.Folder(folder);
        var (older, newest) = (Path.Combine(folder.Path, "older"), Path.Combine(folder.Path, "newest"));
        Copy(ledger, older);
        await folder.SetAsync("a", "a2");
        Copy(ledger, newest);
        using var other = await TemporaryFolder.WithVaultAsync();

        Action[] damages =
        [
            () => Directory.Delete(ledger, recursive: true),
            () => File.Delete(LedgerFile.Checkpoint(folder)),
            () => File.Delete(LedgerFile.Segment(folder)),
            () => File.WriteAllBytes(LedgerFile.Segment(folder), File.ReadAllBytes(LedgerFile.Segment(folder))[..^1]),
            () => Copy(older, ledger),
            () => Copy(LedgerFile.Folder(other), ledger),
        ];
        foreach (var damage in damages)
        {
            damage();
            Assert.Contains("mallku audit", (await Assert.ThrowsAsync<LedgerException>(() => folder.GetAsync("a"))).Remedy, StringComparison.Ordinal);
            await Assert.ThrowsAsync<LedgerException>(() => folder.SetAsync("a", "a3"));
            Copy(newest, ledger);
            Assert.Equal("a2", await folder.GetAsync("a"));
            Copy(ledger, newest);
        }

        Directory.Delete(ledger, recursive: true);
        Assert.Null(await VaultLedger.RestartAsync(folder.Open().Vault, Cancel));
        Assert.Equal(["opened - - - 1", "restarted - - - 1"], LedgerFile.Summarize(folder));
        Assert.Equal("a2", await folder.GetAsync("a"));
        Assert.NotNull(await VaultLedger.RestartAsync(folder.Open().Vault, Cancel));
        Assert.Equal("a2", await folder.GetAsync("a"));
    }

    [Fact]
    public async Task An_older_vault_that_was_put_back_is_refused_until_a_person_wants_it()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        await folder.SetAsync("a", "a2");
        var (vault, former) = (await File.ReadAllBytesAsync(folder.VaultFile, Cancel), await File.ReadAllBytesAsync(folder.VaultFile + ".previous", Cancel));
        await folder.SetAsync("a", "a3");
        await folder.SetAsync("a", "a4");
        await File.WriteAllBytesAsync(folder.VaultFile, vault, Cancel);
        await File.WriteAllBytesAsync(folder.VaultFile + ".previous", former, Cancel);

        Assert.Contains("--as-is", (await Assert.ThrowsAsync<LedgerException>(() => folder.GetAsync("a"))).Remedy, StringComparison.Ordinal);
        await Assert.ThrowsAsync<LedgerException>(() => folder.SetAsync("a", "a5"));

        await VaultRecovery.RecoverAsync(folder.Open().Vault, asIs: true, Cancel);
        Assert.Equal("a2", await folder.GetAsync("a"));
        Assert.Contains(LedgerFile.Summarize(folder), entry => entry.StartsWith("restored", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_a_vault_that_was_put_back_is_behind_is_recorded_with_its_generation(bool hasFormer)
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        var older = await File.ReadAllBytesAsync(folder.VaultFile, Cancel);
        var generation = (await folder.Open().Vault.OpenAsync(Cancel)).Document.Generation;
        await folder.SetAsync("a", "a2");
        await folder.SetAsync("a", "a3");
        var newest = (await folder.Open().Vault.OpenAsync(Cancel)).Document.Generation;
        await File.WriteAllBytesAsync(folder.VaultFile, older, Cancel);
        if (!hasFormer)
        {
            File.Delete(folder.VaultFile + ".previous");
        }

        await VaultRecovery.RecoverAsync(folder.Open().Vault, asIs: true, Cancel);

        var recorded = $"restored {generation} the vault was put back from generation {newest} to {generation}";
        Assert.Contains(LedgerFile.Summarize(folder, "kind", "generation", "note"), entry => entry == recorded);
        var next = (await folder.SetAsync("a", "a4")).Version;
        Assert.True(next > 3, $"version {next} was used before");
    }

    [Fact]
    public async Task A_ledger_that_somebody_was_giving_up_when_he_was_cut_off_is_named_and_can_be_given_up_or_put_back()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        var (ledger, aside) = (LedgerFile.Folder(folder), LedgerFile.Folder(folder) + ".20260102T030405Z");
        using var other = await TemporaryFolder.WithVaultAsync();
        Directory.Move(ledger, aside);

        Assert.Contains($"mv {aside} {ledger}", (await Assert.ThrowsAsync<LedgerException>(() => folder.GetAsync("a"))).Remedy, StringComparison.Ordinal);
        Assert.Contains($"mv {aside} {ledger}", (await folder.Open().Ledger.VerifyAsync(cancellationToken: Cancel)).Fault!.Remedy, StringComparison.Ordinal);

        // the next one was begun, which the vault does not know of
        Copy(LedgerFile.Folder(other), ledger);
        Assert.Contains(
            $"mv {ledger} {ledger}.begun && mv {aside} {ledger}", (await Assert.ThrowsAsync<LedgerException>(() => folder.GetAsync("a"))).Remedy, StringComparison.Ordinal);

        Assert.Equal(aside, await VaultLedger.RestartAsync(folder.Open().Vault, Cancel));
        Assert.Contains(LedgerFile.Summarize(folder, "kind", "note"), entry => entry.StartsWith("restarted", StringComparison.Ordinal) && entry.EndsWith(Path.GetFileName(aside), StringComparison.Ordinal));
        Assert.Equal("a1", await folder.GetAsync("a"));
    }

    [Fact]
    public async Task An_older_vault_that_is_changed_without_the_ledger_is_refused_all_the_same()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        var older = await File.ReadAllBytesAsync(folder.VaultFile, Cancel);
        await folder.SetAsync("a", "a2");
        await folder.SetAsync("a", "a3");
        await File.WriteAllBytesAsync(folder.VaultFile, older, Cancel);
        File.Delete(folder.VaultFile + ".previous");
        await SetWithoutLedgerAsync(folder, "b");

        Assert.Contains("--as-is", (await Assert.ThrowsAsync<LedgerException>(() => folder.GetAsync("a"))).Remedy, StringComparison.Ordinal);
        await Assert.ThrowsAsync<LedgerException>(() => folder.SetAsync("a", "a4"));
        Assert.NotNull((await folder.Open().Ledger.VerifyAsync(cancellationToken: Cancel)).Fault);
        Assert.Contains("--as-is", (await Assert.ThrowsAsync<LedgerException>(async () => await VaultRecovery.RecoverAsync(folder.Open().Vault, asIs: false, Cancel))).Remedy, StringComparison.Ordinal);

        await VaultRecovery.RecoverAsync(folder.Open().Vault, asIs: true, Cancel);
        Assert.Equal("a1", await folder.GetAsync("a"));
        Assert.Contains(LedgerFile.Summarize(folder, "kind"), entry => entry == "restored");
        Assert.Contains(LedgerFile.Summarize(folder, "kind"), entry => entry == "resumed");
    }

    [Fact]
    public async Task A_change_without_the_ledger_after_one_that_went_on_with_it_and_was_cut_off_is_no_older_vault()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        await SetWithoutLedgerAsync(folder, "b");
        await LedgerFile.CutChangeOffAsync(folder.Open().Vault);
        await SetWithoutLedgerAsync(folder, "c");

        Assert.Equal("a1", await folder.GetAsync("a"));
        await folder.SetAsync("a", "a2");
        Assert.DoesNotContain(LedgerFile.Summarize(folder, "kind"), entry => entry == "restored");
        Assert.Equal(2, LedgerFile.Summarize(folder, "kind").Count(entry => entry == "resumed"));
    }

    [Fact]
    public async Task An_older_vault_that_is_wanted_while_the_ledger_is_off_is_told_with_its_generation()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        var older = await File.ReadAllBytesAsync(folder.VaultFile, Cancel);
        var generation = (await folder.Open().Vault.OpenAsync(Cancel)).Document.Generation;
        await folder.SetAsync("a", "a2");
        await folder.SetAsync("a", "a3");
        await File.WriteAllBytesAsync(folder.VaultFile, older, Cancel);
        Assert.True((await VaultRecovery.RecoverAsync(SecretsManager.Open(folder.Options with { UseLedger = false }).Vault, asIs: true, Cancel)).AsIs!.IsUntold);
        Assert.Contains("--as-is", (await Assert.ThrowsAsync<LedgerException>(() => folder.GetAsync("a"))).Remedy, StringComparison.Ordinal);
        // a person has said that it is wanted
        Assert.False((await VaultRecovery.RecoverAsync(folder.Open().Vault, asIs: true, Cancel)).AsIs!.IsUntold);
        Assert.False((await VaultRecovery.RecoverAsync(SecretsManager.Open(folder.Options with { UseLedger = false }).Vault, asIs: true, Cancel)).AsIs!.IsUntold);
        Assert.Equal("a1", await folder.GetAsync("a"));
        Assert.Contains(LedgerFile.Summarize(folder, "kind", "generation"), entry => entry == $"restored {generation}");
        Assert.DoesNotContain(LedgerFile.Summarize(folder, "kind"), entry => entry == "aborted");
    }

    [Fact]
    public async Task A_ledger_that_could_not_be_given_up_is_in_its_place_again()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        File.Delete(LedgerFile.Checkpoint(folder));
        var before = LedgerFile.Summarize(folder);
        await Assert.ThrowsAsync<LedgerException>(async () => await VaultLedger.RestartAsync(SecretsManager.Open(folder.Options with { WitnessCommand = "false" }).Vault, Cancel));
        Assert.Equal(before, LedgerFile.Summarize(folder));

        var kept = await VaultLedger.RestartAsync(folder.Open().Vault, Cancel);
        Assert.Equal(before, LedgerFile.Summarize(kept!));
        Assert.Contains(LedgerFile.Summarize(folder, "note"), note => note.EndsWith("kept as " + Path.GetFileName(kept), StringComparison.Ordinal));
    }

    [Fact]
    public async Task Who_reads_while_a_ledger_is_given_up_goes_on_with_the_next_one()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        using var done = new CancellationTokenSource();
        var readers = Enumerable.Range(0, 4).Select(_ => Task.Run(
            async () =>
            {
                var count = 0;
                for (; !done.IsCancellationRequested; count++)
                {
                    Assert.Equal("a1", await folder.GetAsync("a"));
                }

                return count;
            },
            Cancel)).ToList();
        for (var i = 0; i < 20; i++)
        {
            await VaultLedger.RestartAsync(folder.Open().Vault, Cancel);
        }

        await done.CancelAsync();
        Assert.All(await Task.WhenAll(readers), static count => Assert.True(count > 0));
        Assert.Null((await folder.Open().Ledger.VerifyAsync(cancellationToken: Cancel)).Fault);
    }

    [Fact]
    public async Task Who_looks_into_a_ledger_that_was_given_up_since_he_opened_the_vault_sees_the_next_one()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        var (doctor, verifier, viewer, other) = (folder.Open(), await OpenedLedger.OpenAsync(folder.Open().Vault, Cancel), folder.Open(), folder.Open());
        var opened = await doctor.Vault.OpenAsync(Cancel);
        var former = (await viewer.Vault.ViewLedgerAsync(Cancel))!;
        await other.Vault.OpenAsync(Cancel);
        await VaultLedger.RestartAsync(folder.Open().Vault, Cancel);

        Assert.DoesNotContain(await LedgerInspection.InspectAsync(doctor.Vault, opened, Cancel), static finding => finding.Level == FindingLevel.Error);
        Assert.Null((await verifier.VerifyAsync([], progress: null, Cancel)).Fault);
        Assert.NotEqual(former.Verifier.Name, (await viewer.Vault.ViewLedgerAsync(Cancel))!.Verifier.Name, StringComparer.Ordinal);
        Assert.Null(await other.Vault.TryRecordAsync(Cancel));
    }

    [Fact]
    public async Task Who_looks_into_a_ledger_that_is_just_given_up_waits_for_the_next_one()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        var vault = folder.Open().Vault;
        var opened = await vault.OpenAsync(Cancel);
        var fifo = Path.Combine(folder.Path, "fifo");
        using (var mkfifo = Process.Start("mkfifo", [fifo]))
        {
            await mkfifo.WaitForExitAsync(Cancel);
        }

        // its first entries are written, and the vault does not know it yet
        var options = folder.Options with { WitnessCommand = $"cat '{fifo}'", LedgerTimeout = TimeSpan.FromMinutes(1) };
        var restart = VaultLedger.RestartAsync(SecretsManager.Open(options).Vault, Cancel).AsTask();
        var looked = new TaskCompletionSource();
        Task<long> looking;
        await using (await Task.Run(() => File.OpenWrite(fifo), Cancel))
        {
            looking = vault.LookAtLedgerAsync(opened, Look, static _ => false, Cancel).AsTask();
            await looked.Task;
        }

        await restart;
        Assert.True(await looking > 0);

        ValueTask<long> Look(OpenedVault now)
        {
            looked.TrySetResult();
            return new(vault.Ledger.Find(now.Document)!.ReadCurrent().Size);
        }
    }

    [Fact]
    public async Task What_keeps_a_ledger_from_being_written_is_said_with_its_own_remedy()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        File.SetUnixFileMode(LedgerFile.Checkpoint(folder), (UnixFileMode)0b110_100_100);
        Assert.Contains($"chmod 600 {LedgerFile.Checkpoint(folder)}", (await Assert.ThrowsAsync<LedgerException>(() => folder.GetAsync("a"))).Remedy, StringComparison.Ordinal);
        var unread = await Assert.ThrowsAsync<LedgerException>(async () => await folder.Open().Ledger.GetCheckpointAsync(Cancel));
        Assert.Contains($"chmod 600 {LedgerFile.Checkpoint(folder)}", unread.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Where_it_can_not_be_told_whether_a_ledger_is_in_use_the_error_says_why()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        Directory.Delete(folder.Vault, recursive: true);
        await VaultCreation.CreateAsync(SecretsManager.Open(folder.Options with { UseLedger = false }).Vault, Cancel);
        var before = await File.ReadAllBytesAsync(folder.VaultFile, Cancel);
        await folder.SetAsync("a", "new");
        await File.WriteAllBytesAsync(folder.VaultFile, before, Cancel);
        File.Delete(folder.VaultFile + ".previous");
        File.Delete(LedgerFile.Segment(folder));
        Directory.CreateDirectory(LedgerFile.Segment(folder));

        var error = await Assert.ThrowsAsync<LedgerException>(() => folder.SetAsync("a", "newer"));
        Assert.Contains($"the ledger in '{LedgerFile.Folder(folder)}' can't be read", error.Problem, StringComparison.Ordinal);
        Assert.Equal(before, await File.ReadAllBytesAsync(folder.VaultFile, Cancel));
    }

    [Fact]
    public async Task An_older_vault_that_was_written_without_the_ledger_is_refused_too()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        using (var old = SecretValue.FromString("old"))
        {
            await SecretsManager.Open(folder.Options with { UseLedger = false }).SetAsync("a", old, cancellationToken: Cancel);
        }

        var before = await File.ReadAllBytesAsync(folder.VaultFile, Cancel);
        await folder.SetAsync("a", "new");
        await folder.SetAsync("a", "newer");
        await File.WriteAllBytesAsync(folder.VaultFile, before, Cancel);
        File.Delete(folder.VaultFile + ".previous");

        await Assert.ThrowsAsync<LedgerException>(() => folder.GetAsync("a"));
    }

    [Fact]
    public async Task A_ledger_folder_that_others_can_write_is_refused()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        File.SetUnixFileMode(LedgerFile.Folder(folder), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.OtherWrite);

        Assert.Contains("0702", (await Assert.ThrowsAsync<LedgerException>(() => folder.GetAsync("a"))).Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task No_entry_holds_a_value()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", Refusal.Canary);
        await folder.GetAsync("a");
        await VaultKeys.RotateAsync(folder.Open().Vault, Cancel);
        await folder.Open().RemoveAsync("a", Cancel);

        foreach (var file in Directory.EnumerateFiles(LedgerFile.Folder(folder)))
        {
            Assert.DoesNotContain(Refusal.Canary, Encoding.UTF8.GetString(await File.ReadAllBytesAsync(file, Cancel)), StringComparison.Ordinal);
        }
    }

    private static int Sum(TemporaryFolder folder, int before) =>
        LedgerFile.Since(folder, before).Where(entry => entry.StartsWith("read a 1 vault ", StringComparison.Ordinal)).Sum(entry => int.Parse(entry.Split(' ')[^1]));

    private static Task<SecretChange> WriteByPythonAsync(TemporaryFolder folder)
    {
        PythonProgram.Update(folder.Vault, """{"set": {"a.b": "2", "A-b": "3"}}""");
        return folder.SetAsync("other", "o");
    }

    private static async Task SetWithoutLedgerAsync(TemporaryFolder folder, string name)
    {
        using var value = SecretValue.FromString("value");
        await SecretsManager.Open(folder.Options with { UseLedger = false }).SetAsync(name, value, cancellationToken: Cancel);
    }

    private static void Copy(string from, string to)
    {
        if (Directory.Exists(to))
        {
            Directory.Delete(to, recursive: true);
        }

        Directory.CreateDirectory(to, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        foreach (var file in Directory.EnumerateFiles(from))
        {
            File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
        }
    }
}
