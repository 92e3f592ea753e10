using System.Diagnostics;
using System.Text;
using Mallku.Secrets.Tests.Processes;
using Mallku.Secrets.Tests.Vault;
using Mallku.Secrets.Vault;

namespace Mallku.Secrets.Tests.Ledger;

/// <summary>Who gets each new checkpoint: a file and a command that are real, and what happens where they don't take it.</summary>
public sealed class WitnessTests : IDisposable
{
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(400);
    private readonly TemporaryFolder _folder = new();
    private readonly TemporaryFolder _elsewhere = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private string Witness => Path.Combine(_elsewhere.Path, "witness");

    private string Log => Path.Combine(_elsewhere.Path, "log");

    private SecretsOptions ByFile => _folder.Options with { WitnessFile = Witness };

    public void Dispose()
    {
        _folder.Dispose();
        _elsewhere.Dispose();
    }

    [Fact]
    public async Task A_file_has_the_newest_checkpoint_when_a_value_is_returned_or_a_change_acknowledged()
    {
        await BeginAsync(ByFile);
        for (var i = 0; i < 5; i++)
        {
            await SetAsync(ByFile, "a", "a" + i);
            Assert.Equal(Newest, await File.ReadAllTextAsync(Witness, Cancel));
            Assert.Equal("a" + i, await GetAsync(ByFile, "a"));
            Assert.Equal(Newest, await File.ReadAllTextAsync(Witness, Cancel));
        }

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead, File.GetUnixFileMode(Witness));
        Assert.Equal([Witness], Directory.GetFiles(_elsewhere.Path));
    }

    [Fact]
    public async Task A_command_gets_every_checkpoint_whole_in_order_and_without_the_vaults_key()
    {
        var command = $"cat >> '{Log}'; echo to nowhere; echo \"key=${{MALLKU_ENCRYPTION_KEY-none}}${{MALLKU_STORE_KEY-}}${{MALLKU_STORE_PASSWORD-}}${{MALLKU_STORE-}}\" >> '{Log}'";
        var byCommand = _folder.Options with { WitnessCommand = command };
        await BeginAsync(byCommand);
        var key = (await File.ReadAllTextAsync(_folder.KeyFile, Cancel)).Trim();
        using (var child = Child.StartWith([new("MALLKU_WITNESS_COMMAND", command), new("MALLKU_ENCRYPTION_KEY", key), new("MALLKU_STORE_KEY", "x"), new("MALLKU_STORE_PASSWORD", "x"), new("MALLKU_STORE", "postgres://me:x@host/db")], "set", _folder.Vault, "a", "a1"))
        {
            Assert.Equal(["set 1"], await child.ReadToEndAsync());
        }

        await GetAsync(byCommand, "a");

        var log = await File.ReadAllTextAsync(Log, Cancel);
        Assert.EndsWith(Newest + "key=none\n", log, StringComparison.Ordinal);
        var sizes = log.Split('\n').Where(line => long.TryParse(line, out _)).ToList();
        Assert.Equal(["1", "2", "3"], sizes);
        Assert.DoesNotContain(key, log, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Events_that_share_a_flush_share_a_call()
    {
        const int readers = 64;
        var byCommand = _folder.Options with { WitnessCommand = $"sleep 0.1; echo x >> '{Log}'", LedgerTimeout = TimeSpan.FromSeconds(60) };
        await BeginAsync(_folder.Options);
        for (var i = 0; i < readers; i++)
        {
            await SetAsync(_folder.Options, "a" + i, "value");
        }

        var manager = SecretsManager.Open(byCommand);
        await Task.WhenAll(Enumerable.Range(0, readers).Select(i => Task.Run(async () => await manager.GetRequiredAsync("a" + i, Cancel), Cancel)));

        Assert.InRange((await File.ReadAllLinesAsync(Log, Cancel)).Length, 1, readers / 4);
        Assert.Equal(readers, LedgerFile.Summarize(_folder).Count(entry => entry.StartsWith("read", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("exit 3", "ended with 3")]
    [InlineData("exec no-such-program-anywhere", "ended with 127")]
    [InlineData("kill -9 $$", "ended with 137")]
    public async Task A_command_that_fails_withholds_the_value_and_leaves_the_vault(string command, string why)
    {
        await BeginAsync(_folder.Options);
        await SetAsync(_folder.Options, "a", "a1");
        var failing = _folder.Options with { WitnessCommand = command };
        var vault = await File.ReadAllBytesAsync(_folder.VaultFile, Cancel);

        var error = await Assert.ThrowsAsync<LedgerException>(() => GetAsync(failing, "a"));
        Assert.Equal(
            $"the witness command (MALLKU_WITNESS_COMMAND) {why}, and did not take the ledger's newest checkpoint, so nothing was handed out or changed", error.Problem);
        Assert.Contains("unset MALLKU_WITNESS_COMMAND", error.Remedy, StringComparison.Ordinal);
        await Assert.ThrowsAsync<LedgerException>(() => SetAsync(failing, "a", "a2"));
        Assert.Equal(vault, await File.ReadAllBytesAsync(_folder.VaultFile, Cancel));

        var before = LedgerFile.Count(_folder);
        Assert.Equal(2, (await SetAsync(_folder.Options, "a", "a2")).Version);
        Assert.Equal(["aborted - - - 1", "updated a 2 vault 1"], LedgerFile.Since(_folder, before));
    }

    [Fact]
    public async Task Counts_are_not_told_twice_where_the_witness_alone_did_not_take_them_and_the_next_use_waits_for_it()
    {
        await BeginAsync(_folder.Options);
        await SetAsync(_folder.Options, "a", "a1");
        await File.WriteAllTextAsync(Log, "", Cancel);
        var manager = SecretsManager.Open(_folder.Options with { WitnessCommand = $"test -e '{Log}'" });
        await manager.GetRequiredAsync("a", Cancel);
        File.Delete(Log);
        await manager.GetRequiredAsync("a", Cancel);
        await manager.GetRequiredAsync("a", Cancel);

        // the report that comes by itself fails; until then, uses wait for nothing
        var (handedOut, withheld) = (3, 0);
        var watch = Stopwatch.StartNew();
        while (withheld == 0)
        {
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(30), "no use waits for the witness");
            await Task.Delay(50, Cancel);
            try
            {
                await manager.GetRequiredAsync("a", Cancel);
                handedOut++;
            }
            catch (LedgerException)
            {
                withheld++;
            }
        }

        await File.WriteAllTextAsync(Log, "", Cancel);
        await manager.GetRequiredAsync("a", Cancel);
        await manager.FlushAsync(Cancel);

        // a use that was withheld is in the ledger, too
        Assert.Equal(handedOut + withheld + 1, CountReads());
    }

    private int CountReads() =>
        LedgerFile.Summarize(_folder).Where(entry => entry.StartsWith("read a", StringComparison.Ordinal)).Sum(entry => int.Parse(entry.Split(' ')[^1], System.Globalization.CultureInfo.InvariantCulture));

    [Fact]
    public async Task A_command_that_hangs_is_ended_with_what_it_started_when_the_ledgers_time_is_over()
    {
        await BeginAsync(_folder.Options);
        await SetAsync(_folder.Options, "a", "a1");
        var hanging = _folder.Options with { WitnessCommand = $"echo $$ > '{Log}'; sleep 600 & echo $! >> '{Log}'; wait", LedgerTimeout = TimeSpan.FromSeconds(2) };

        var watch = Stopwatch.StartNew();
        var error = await Assert.ThrowsAsync<LedgerException>(() => GetAsync(hanging, "a"));

        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(20), "it took " + watch.Elapsed);
        Assert.Contains("the witness command (MALLKU_WITNESS_COMMAND) did not", error.Problem, StringComparison.Ordinal);
        Assert.Contains("unset MALLKU_WITNESS_COMMAND", error.Remedy, StringComparison.Ordinal);
        foreach (var id in await File.ReadAllLinesAsync(Log, Cancel))
        {
            await WaitForEndAsync(id);
        }

        // the lock is free again, and the next one goes on
        Assert.Equal("a1", await GetAsync(_folder.Options, "a"));
    }

    [Fact]
    public async Task A_slow_command_is_waited_for()
    {
        await BeginAsync(_folder.Options);
        await SetAsync(_folder.Options, "a", "a1");
        var slow = _folder.Options with { WitnessCommand = $"sleep 1; cat > '{Log}'", LedgerTimeout = TimeSpan.FromSeconds(60) };

        Assert.Equal("a1", await GetAsync(slow, "a"));
        Assert.Equal(Newest, await File.ReadAllTextAsync(Log, Cancel));
    }

    [Fact]
    public async Task A_command_that_reads_nothing_and_ends_well_has_taken_it()
    {
        await BeginAsync(_folder.Options with { WitnessCommand = "true" });
        await SetAsync(_folder.Options with { WitnessCommand = "exec <&-; true" }, "a", "a1");
        Assert.Equal("a1", await GetAsync(_folder.Options with { WitnessCommand = "true" }, "a"));
    }

    [Fact]
    public async Task A_file_that_can_not_be_written_withholds_the_value_and_leaves_vault_and_ledger()
    {
        await BeginAsync(_folder.Options);
        await SetAsync(_folder.Options, "a", "a1");
        var before = _folder.PhotographVault();
        var entries = LedgerFile.Count(_folder);
        var nowhere = _folder.Options with { WitnessFile = Path.Combine(_elsewhere.Path, "not mounted", "witness") };

        var error = await Assert.ThrowsAsync<LedgerException>(() => GetAsync(nowhere, "a"));
        Assert.Equal($"the witness '{nowhere.WitnessFile}' can't be written (its folder is not there), so nothing was handed out or changed", error.Problem);
        Assert.Contains("unset MALLKU_WITNESS_FILE", error.Remedy, StringComparison.Ordinal);
        await Assert.ThrowsAsync<LedgerException>(() => SetAsync(nowhere, "a", "a2"));
        Assert.Equal(before, _folder.PhotographVault());
        Assert.Equal(entries, LedgerFile.Count(_folder));

        // a write would leave the link and not reach what it points to
        File.CreateSymbolicLink(Witness, Path.Combine(_elsewhere.Path, "target"));
        Assert.Contains("symbolic link", (await Assert.ThrowsAsync<LedgerException>(() => GetAsync(ByFile, "a"))).Problem, StringComparison.Ordinal);
        Assert.NotNull(new FileInfo(Witness).LinkTarget);
    }

    [Fact]
    public async Task A_file_that_others_may_write_is_taken_and_one_that_is_no_checkpoint_is_left_alone()
    {
        await BeginAsync(ByFile);
        await SetAsync(ByFile, "a", "a1");
        File.SetUnixFileMode(Witness, (UnixFileMode)0b110_110_110);
        Assert.Equal("a1", await GetAsync(ByFile, "a"));

        // the first letter of the root
        var root = Newest.IndexOf('\n', Newest.IndexOf('\n', StringComparison.Ordinal) + 1) + 1;
        var altered = $"{Newest[..root]}{(Newest[root] == 'A' ? 'B' : 'A')}{Newest[(root + 1)..]}";
        foreach (var other in new[] { "", "export PATH=/usr/bin\n", altered, Newest[..^10] })
        {
            await File.WriteAllTextAsync(Witness, other, Cancel);
            await Assert.ThrowsAsync<LedgerException>(() => GetAsync(ByFile, "a"));
            Assert.Equal(other, await File.ReadAllTextAsync(Witness, Cancel));
        }
    }

    [Fact]
    public async Task Vault_and_ledger_that_were_put_back_together_are_refused_by_the_file_alone()
    {
        await BeginAsync(ByFile);
        await SetAsync(ByFile, "a", "a1");
        var older = Copy(_folder.Vault, "older");
        await SetAsync(ByFile, "a", "a2");
        await GetAsync(ByFile, "a");
        var newest = Copy(_folder.Vault, "newest");
        var witnessed = await File.ReadAllTextAsync(Witness, Cancel);
        PutBack(older);

        var error = await Assert.ThrowsAsync<LedgerException>(() => GetAsync(ByFile, "a"));
        Assert.Contains("knows of 4 entries", error.Problem, StringComparison.Ordinal);
        Assert.Contains("has 2: it was put back", error.Problem, StringComparison.Ordinal);
        await Assert.ThrowsAsync<LedgerException>(() => SetAsync(ByFile, "a", "a3"));
        Assert.Equal(witnessed, await File.ReadAllTextAsync(Witness, Cancel));

        // to as many entries, and to more, that are others
        foreach (var further in new[] { 1, 3 })
        {
            PutBack(older);
            for (var i = 0; i < further; i++)
            {
                await SetAsync(_folder.Options, "b", "b" + i);
                await GetAsync(_folder.Options, "b");
            }

            Assert.Contains("does not go on from what the witness", (await Assert.ThrowsAsync<LedgerException>(() => GetAsync(ByFile, "a"))).Problem, StringComparison.Ordinal);
            Assert.Equal(witnessed, await File.ReadAllTextAsync(Witness, Cancel));
        }

        PutBack(newest);
        Assert.Equal("a2", await GetAsync(ByFile, "a"));
    }

    [Fact]
    public async Task A_vault_that_was_put_back_to_before_its_ledger_began_is_refused_by_the_file()
    {
        await BeginAsync(_folder.Options with { UseLedger = false });
        await SetAsync(_folder.Options with { UseLedger = false }, "a", "a1");
        Assert.Equal("a1", await GetAsync(ByFile, "a"));
        var older = Copy(_folder.Vault, "older");
        await SetAsync(ByFile, "a", "a2");
        PutBack(older);

        var refused = await Assert.ThrowsAsync<LedgerException>(() => GetAsync(ByFile, "a"));
        Assert.Matches($"^the witness '{Witness}' knows the ledger mallku-ledger/.*, and this vault has none: the vault and its ledger were replaced", refused.Problem);
        await Assert.ThrowsAsync<LedgerException>(() => SetAsync(ByFile, "a", "a3"));
        Assert.Equal(refused.Problem, (await Assert.ThrowsAsync<LedgerException>(async () => await new SecretsLedger(SecretsManager.Open(ByFile).Vault).VerifyAsync(cancellationToken: Cancel))).Problem);
        Assert.Equal(refused.Problem, (await Assert.ThrowsAsync<LedgerException>(async () => await SecretsManager.Open(ByFile).Vault.TryRecordAsync(Cancel))).Problem);
        var findings = await VaultInspection.InspectAsync(SecretsManager.Open(ByFile).Vault, Cancel);
        Assert.Contains(findings, finding => finding.Level == FindingLevel.Error && finding.What == refused.Problem);

        File.Delete(Witness);
        Assert.Equal("a1", await GetAsync(ByFile, "a"));
    }

    [Fact]
    public async Task A_first_change_that_was_cut_off_after_the_witness_was_told_leaves_a_vault_to_go_on_with()
    {
        await BeginAsync(_folder.Options with { UseLedger = false });
        await SetAsync(_folder.Options with { UseLedger = false }, "a", "a1");
        using (var child = StartTraced(_folder.VaultFile, "?open,openat:signal=KILL:when=1", "set", _folder.Vault, "a", "a2"))
        {
            Assert.Equal(128 + 9, (await child.WaitAsync()).ExitCode);
        }

        Assert.True(File.Exists(Witness));
        Assert.Equal("a1", await GetAsync(ByFile, "a"));
        await SetAsync(ByFile, "a", "a3");
        Assert.Equal("a3", await GetAsync(ByFile, "a"));
    }

    [Fact]
    public async Task A_ledger_that_was_cut_back_to_after_the_vaults_last_write_is_refused()
    {
        await BeginAsync(ByFile);
        await SetAsync(ByFile, "a", "a1");
        var ledger = Copy(LedgerFile.Folder(_folder), "ledger");
        await GetAsync(ByFile, "a");
        Directory.Delete(LedgerFile.Folder(_folder), recursive: true);
        CopyFiles(ledger, LedgerFile.Folder(_folder));

        await Assert.ThrowsAsync<LedgerException>(() => GetAsync(ByFile, "a"));
        Assert.Equal("a1", await GetAsync(_folder.Options, "a"));
    }

    [Fact]
    public async Task A_file_that_is_behind_is_brought_up_to_date_over_closed_segments_too()
    {
        await BeginAsync(ByFile);
        await SetAsync(ByFile, "a", "a1");
        var behind = await File.ReadAllTextAsync(Witness, Cancel);
        await GetAsync(_folder.Options, "a");
        await CloseAsync(_folder.Options);
        for (var i = 0; i < 5; i++)
        {
            await GetAsync(_folder.Options, "a");
        }

        await CloseAsync(_folder.Options);
        await GetAsync(_folder.Options, "a");
        Assert.Equal(behind, await File.ReadAllTextAsync(Witness, Cancel));
        Assert.Equal("a1", await GetAsync(ByFile, "a"));
        Assert.Equal(Newest, await File.ReadAllTextAsync(Witness, Cancel));

        await CloseAsync(ByFile);
        Assert.Equal(Newest, await File.ReadAllTextAsync(Witness, Cancel));

        // what was archived can't be compared, which is not the same as being well
        await File.WriteAllTextAsync(Witness, behind, Cancel);
        var archived = LedgerFile.Segment(_folder);
        File.Move(archived, archived + ".archived");
        Assert.Contains("can't be compared", (await Assert.ThrowsAsync<LedgerException>(() => GetAsync(ByFile, "a"))).Problem, StringComparison.Ordinal);
        var finding = Assert.Single(await VaultInspection.InspectAsync(SecretsManager.Open(ByFile).Vault, Cancel), static finding => finding.Check == WitnessInspection.Check);
        Assert.Equal(FindingLevel.Error, finding.Level);
        Assert.StartsWith("put the archived files back", finding.Remedy, StringComparison.Ordinal);
        File.Move(archived + ".archived", archived);
        Assert.Equal("a1", await GetAsync(ByFile, "a"));
    }

    [Fact]
    public async Task Another_ledger_takes_the_file_only_where_a_person_began_it()
    {
        await BeginAsync(ByFile);
        await SetAsync(ByFile, "a", "a1");
        var former = await File.ReadAllTextAsync(Witness, Cancel);

        // whoever replaces both by his own
        var mine = Copy(_folder.Vault, "mine");
        Directory.Delete(_folder.Vault, recursive: true);
        Assert.Contains("knows the ledger mallku-ledger/", (await Assert.ThrowsAsync<LedgerException>(() => BeginAsync(ByFile))).Problem, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_folder.Vault));
        await BeginAsync(_folder.Options);
        await SetAsync(_folder.Options, "a", "another's");
        Assert.Contains("the vault and its ledger were replaced", (await Assert.ThrowsAsync<LedgerException>(() => GetAsync(ByFile, "a"))).Problem, StringComparison.Ordinal);
        await Assert.ThrowsAsync<LedgerException>(() => SetAsync(ByFile, "a", "a2"));
        Assert.Equal(former, await File.ReadAllTextAsync(Witness, Cancel));

        // whoever takes the vault away, so that somebody makes a new one beside its ledger
        PutBack(mine);
        Array.ForEach(Directory.GetFiles(_folder.Vault, "mallku-secrets.*"), File.Delete);
        await Assert.ThrowsAsync<LedgerException>(() => BeginAsync(ByFile));
        Assert.Equal(former, await File.ReadAllTextAsync(Witness, Cancel));

        PutBack(mine);
        Assert.NotNull(await VaultLedger.RestartAsync(SecretsManager.Open(ByFile).Vault, Cancel));
        Assert.Equal(Newest, await File.ReadAllTextAsync(Witness, Cancel));
        var kept = Assert.Single(Directory.GetFiles(_elsewhere.Path), file => file != Witness);
        Assert.Equal(former, await File.ReadAllTextAsync(kept, Cancel));
        Assert.Equal("a1", await GetAsync(ByFile, "a"));
    }

    [Fact]
    public async Task What_a_lookup_would_end_with_is_explained_by_the_witness_too()
    {
        await BeginAsync(ByFile);
        await SetAsync(ByFile, "a", "a1");
        var older = Copy(_folder.Vault, "older");
        await SetAsync(ByFile, "a", "a2");
        PutBack(older);
        var explained = await SecretsManager.Open(ByFile).ExplainAsync("a", Cancel);
        Assert.Equal((await Assert.ThrowsAsync<LedgerException>(() => GetAsync(ByFile, "a"))).Problem, explained.Error?.Problem);

        var nowhere = _folder.Options with { WitnessFile = Path.Combine(_elsewhere.Path, "none", "witness") };
        Assert.Contains("can't be written", (await SecretsManager.Open(nowhere).ExplainAsync("a", Cancel)).Error?.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_in_the_vaults_folder_is_refused_by_whatever_path()
    {
        await BeginAsync(_folder.Options);
        var link = Path.Combine(_elsewhere.Path, "link");
        Directory.CreateSymbolicLink(link, _folder.Vault);
        foreach (var options in new[]
        {
            _folder.Options with { WitnessFile = Path.Combine(_folder.Vault, "witness") },
            _folder.Options with { WitnessFile = Path.Combine(link, "witness") },
            _folder.Options with { WitnessFile = Path.Combine(link, "ledger", "witness") },
            _folder.Options with { Directory = link, WitnessFile = Path.Combine(_folder.Vault, "witness") },
        })
        {
            Assert.Contains("in the folder of the vault", Assert.Throws<SecretsException>(() => SecretsManager.Open(options)).Problem, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_vault_that_another_program_started_afresh_can_be_wanted_where_there_is_a_witness()
    {
        await BeginAsync(ByFile);
        await SetAsync(ByFile, "a", "a1");
        await GetAsync(ByFile, "a");
        Plaintext.Write(_folder, """{"a": "python's"}""");
        File.Delete(_folder.VaultFile + ".previous");
        await Assert.ThrowsAsync<LedgerException>(() => GetAsync(ByFile, "a"));

        await VaultRecovery.RecoverAsync(SecretsManager.Open(ByFile).Vault, asIs: true, Cancel);
        Assert.Equal("python's", await GetAsync(ByFile, "a"));
        Assert.Equal(Newest, await File.ReadAllTextAsync(Witness, Cancel));
    }

    [Fact]
    public async Task A_restart_that_the_witness_does_not_take_can_be_asked_for_again()
    {
        await BeginAsync(ByFile);
        await SetAsync(ByFile, "a", "a1");
        var failing = ByFile with { WitnessCommand = "exit 1" };
        await Assert.ThrowsAsync<LedgerException>(async () => await VaultLedger.RestartAsync(SecretsManager.Open(failing).Vault, Cancel));
        Assert.Equal("a1", await GetAsync(ByFile, "a"));

        await VaultLedger.RestartAsync(SecretsManager.Open(ByFile).Vault, Cancel);
        Assert.Equal("a1", await GetAsync(ByFile, "a"));
    }

    [Fact]
    public async Task A_vault_whose_beginning_the_witness_has_and_that_was_cut_off_can_be_begun_again()
    {
        // the file has the first checkpoint, and the vault is not written
        using (var child = StartTraced(_folder.VaultFile, "?open,openat:signal=KILL:when=1", "create", _folder.Vault))
        {
            Assert.Equal(128 + 9, (await child.WaitAsync()).ExitCode);
        }

        Assert.True(File.Exists(Witness));
        Assert.False(File.Exists(_folder.VaultFile));

        await BeginAsync(ByFile);
        await SetAsync(ByFile, "a", "a1");
        Assert.Equal("a1", await GetAsync(ByFile, "a"));
        Assert.Equal([Witness], Directory.GetFiles(_elsewhere.Path));
    }

    [Fact]
    public async Task A_kill_while_the_witness_is_told_leaves_a_change_that_is_not_acknowledged()
    {
        await BeginAsync(ByFile);
        await SetAsync(ByFile, "a", "a1");
        var (vault, witnessed) = (await File.ReadAllBytesAsync(_folder.VaultFile, Cancel), await File.ReadAllTextAsync(Witness, Cancel));
        // the command outlives the killed one, and must not keep the pipe open that is read to its end
        using (var child = Child.StartWith(
            [new("MALLKU_WITNESS_COMMAND", $"exec 2>/dev/null; echo $$ > '{Log}.part'; mv '{Log}.part' '{Log}'; exec sleep 600")],
            "set", _folder.Vault, "a", "a2"))
        {
            await WaitForAsync(() => File.Exists(Log));
            Assert.Empty(await child.KillAsync());
        }

        using (var left = Process.GetProcessById(int.Parse((await File.ReadAllTextAsync(Log, Cancel)).Trim(), System.Globalization.CultureInfo.InvariantCulture)))
        {
            left.Kill();
        }

        // the ledger has what the witness has not
        Assert.Equal(vault, await File.ReadAllBytesAsync(_folder.VaultFile, Cancel));
        Assert.Equal(witnessed, await File.ReadAllTextAsync(Witness, Cancel));
        Assert.NotEqual(witnessed, Newest, StringComparer.Ordinal);
        var before = LedgerFile.Count(_folder);
        Assert.Equal("a1", await GetAsync(ByFile, "a"));
        await SetAsync(ByFile, "a", "a3");
        Assert.Equal(["read a 1 vault 1", "aborted - - - 1", "updated a 2 vault 1"], LedgerFile.Since(_folder, before));
        Assert.Equal(Newest, await File.ReadAllTextAsync(Witness, Cancel));
    }

    [Theory]
    [InlineData("?open,openat")]
    [InlineData("write")]
    [InlineData("fsync")]
    [InlineData("?rename,?renameat")]
    public async Task A_kill_at_a_call_for_the_file_leaves_one_that_the_ledger_goes_on_from(string call)
    {
        await BeginAsync(ByFile);
        await SetAsync(ByFile, "a", "a1");
        var (vault, witnessed) = (await File.ReadAllBytesAsync(_folder.VaultFile, Cancel), await File.ReadAllTextAsync(Witness, Cancel));
        using (var child = StartTraced(Witness, $"{call}:signal=KILL:when=1", "set", _folder.Vault, "a", "a2"))
        {
            var (exitCode, lines) = await child.WaitAsync();
            Assert.Equal(128 + 9, exitCode);
            Assert.Empty(lines);
        }

        Assert.Equal(vault, await File.ReadAllBytesAsync(_folder.VaultFile, Cancel));
        Assert.Equal(witnessed, await File.ReadAllTextAsync(Witness, Cancel));
        Assert.NotEqual(witnessed, Newest, StringComparer.Ordinal);
        var before = LedgerFile.Count(_folder);
        await SetAsync(ByFile, "a", "a3");
        Assert.Equal(["aborted - - - 1", "updated a 2 vault 1"], LedgerFile.Since(_folder, before));
        Assert.Equal(Newest, await File.ReadAllTextAsync(Witness, Cancel));
        Assert.Equal([Witness], Directory.GetFiles(_elsewhere.Path));
    }

    [Fact]
    public async Task A_file_on_a_disk_that_does_not_answer_withholds_the_value_in_bounded_time()
    {
        await BeginAsync(ByFile);
        await SetAsync(ByFile, "a", "a1");
        var watch = Stopwatch.StartNew();
        using var child = StartTraced(Witness, "fsync:delay_enter=60000000", "get", _folder.Vault, "a");

        var answer = await child.ReadLineAsync();
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(40), "it took " + watch.Elapsed);
        Assert.Contains($"error LedgerException: the witness '{Witness}' did not take the ledger's newest checkpoint within 5 s, so nothing was handed out", answer, StringComparison.Ordinal);
        Assert.Contains("unset MALLKU_WITNESS_FILE", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Many_processes_share_one_file()
    {
        const int processes = 4, each = 15;
        await BeginAsync(ByFile);
        var children = Enumerable.Range(0, processes)
            .Select(i => Child.StartWith([new("MALLKU_WITNESS_FILE", Witness)], "fill", _folder.Vault, "p" + i, "" + each)).ToList();
        foreach (var child in children)
        {
            Assert.Equal(each, (await child.ReadToEndAsync()).Count);
            child.Dispose();
        }

        Assert.Equal(Newest, await File.ReadAllTextAsync(Witness, Cancel));
        Assert.Equal(1 + (processes * each), LedgerFile.Count(_folder));
    }

    [Fact]
    public async Task A_file_in_the_folder_of_the_vault_or_the_ledger_is_refused_and_nothing_there_is_touched()
    {
        await BeginAsync(_folder.Options);
        await SetAsync(_folder.Options, "a", "a1");
        var apart = _folder.Options with { LedgerDirectory = Path.Combine(_elsewhere.Path, "ledger") };
        foreach (var within in new[]
        {
            _folder.Options with { WitnessFile = LedgerFile.Checkpoint(_folder) },
            _folder.Options with { WitnessFile = Path.Combine(_folder.Vault, "witness") },
            apart with { WitnessFile = Path.Combine(apart.LedgerDirectory!, "witness") },
        })
        {
            var error = Assert.Throws<SecretsException>(() => SecretsManager.Open(within));
            Assert.Contains($"the witness '{within.WitnessFile}' lies in the folder of the vault or of its ledger", error.Problem, StringComparison.Ordinal);
        }

        Assert.Equal("a1", await GetAsync(_folder.Options with { WitnessFile = Path.Combine(_folder.Vault + "-witness") }, "a"));
    }

    [Fact]
    public async Task Doctor_says_how_the_witness_is()
    {
        await BeginAsync(ByFile);
        await SetAsync(ByFile, "a", "a1");
        Assert.Empty(await InspectAsync(_folder.Options));
        Assert.Equal((FindingLevel.Ok, $"the witness '{Witness}' has the newest checkpoint"), Assert.Single(await InspectAsync(ByFile)));

        await GetAsync(_folder.Options, "a");
        Assert.Equal((FindingLevel.Warning, $"the witness '{Witness}' is behind: it knows 2 of 3 entries"), Assert.Single(await InspectAsync(ByFile)));

        var older = Copy(_folder.Vault, "older");
        await GetAsync(ByFile, "a");
        PutBack(older);
        var findings = await VaultInspection.InspectAsync(SecretsManager.Open(ByFile).Vault, Cancel);
        Assert.Contains(findings, finding => finding.Level == FindingLevel.Error && finding.What.Contains($"the witness '{Witness}' knows of 4", StringComparison.Ordinal));

        await File.WriteAllTextAsync(Witness, "something else", Cancel);
        Assert.Equal(FindingLevel.Error, Assert.Single(await InspectAsync(ByFile)).Level);
        File.Delete(Witness);
        Assert.Equal(FindingLevel.Warning, Assert.Single(await InspectAsync(ByFile)).Level);
        Assert.Equal(FindingLevel.Error, Assert.Single(await InspectAsync(ByFile with { WitnessFile = Path.Combine(_elsewhere.Path, "no folder", "witness") })).Level);

        Assert.Equal(FindingLevel.Ok, Assert.Single(await InspectAsync(_folder.Options with { WitnessCommand = $"cat > '{Log}'" })).Level);
        Assert.Equal(Newest, await File.ReadAllTextAsync(Log, Cancel));
        var (level, what) = Assert.Single(await InspectAsync(_folder.Options with { WitnessCommand = "exit 7" }));
        Assert.Equal((FindingLevel.Error, "the witness command (MALLKU_WITNESS_COMMAND) ended with 7: it does not take the newest checkpoint"), (level, what));
        Assert.Equal(FindingLevel.Error, Assert.Single(await InspectAsync(_folder.Options with { WitnessCommand = "sleep 600", LedgerTimeout = Short })).Level);
    }

    // a call that concerns a file's next content
    private Child StartTraced(string file, string injection, params string[] verb)
    {
        Requires.Program("strace");
        return Child.StartOther(
            "strace", ["-f", "-qq", "-o", "/dev/null", "-E", "MALLKU_WITNESS_FILE=" + Witness, "-e", "inject=" + injection, "-P", file + ".tmp", Child.Program, .. verb]);
    }

    private string Newest => File.ReadAllText(LedgerFile.Checkpoint(_folder), Encoding.UTF8);

    private static async Task BeginAsync(SecretsOptions options) => await VaultCreation.CreateAsync(SecretsManager.Open(options).Vault, Cancel);

    private static async Task<SecretChange> SetAsync(SecretsOptions options, string name, string value)
    {
        using var secret = SecretValue.FromString(value);
        return await SecretsManager.Open(options).SetAsync(name, secret, cancellationToken: Cancel);
    }

    private static async Task<string?> GetAsync(SecretsOptions options, string name)
    {
        var manager = SecretsManager.Open(options);
        var value = (await manager.GetAsync(name, Cancel))?.RevealString();
        await manager.FlushAsync(Cancel);
        return value;
    }

    private static async Task CloseAsync(SecretsOptions options)
    {
        var vault = SecretsManager.Open(options).Vault;
        vault.Ledger.Find((await vault.OpenAsync(Cancel)).Document)!.CloseSegment();
    }

    private static async Task<List<(FindingLevel Level, string What)>> InspectAsync(SecretsOptions options) =>
    [
        .. (await VaultInspection.InspectAsync(SecretsManager.Open(options).Vault, Cancel))
            .Where(finding => finding.Check == "witness").Select(finding => (finding.Level, finding.What)),
    ];

    private static Task WaitForEndAsync(string process) => WaitForAsync(() =>
    {
        // a process that nobody has waited for yet is there, and is over
        var status = $"/proc/{process}/stat";
        try
        {
            return !File.Exists(status) || File.ReadAllText(status).Split(") ")[^1].StartsWith('Z');
        }
        catch (IOException)
        {
            return true;
        }
    });

    private static async Task WaitForAsync(Func<bool> isSo)
    {
        var watch = Stopwatch.StartNew();
        while (!isSo())
        {
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(30), "it does not come to be");
            await Task.Delay(20, Cancel);
        }
    }

    private string Copy(string from, string name)
    {
        var to = Path.Combine(_folder.Path, name);
        CopyFiles(from, to);
        return to;
    }

    private void PutBack(string copy)
    {
        Directory.Delete(_folder.Vault, recursive: true);
        CopyFiles(copy, _folder.Vault);
    }

    private static void CopyFiles(string from, string to)
    {
        Directory.CreateDirectory(to, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        foreach (var file in Directory.GetFiles(from))
        {
            File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
        }

        foreach (var folder in Directory.GetDirectories(from))
        {
            CopyFiles(folder, Path.Combine(to, Path.GetFileName(folder)));
        }
    }
}
