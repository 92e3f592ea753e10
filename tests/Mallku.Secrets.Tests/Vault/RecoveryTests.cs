using Mallku.Secrets.Vault;

namespace Mallku.Secrets.Tests.Vault;

/// <summary>What programs do that hold a former key or an older state: it is noticed, and no state of ours is lost.</summary>
public sealed class RecoveryTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_second_stale_write_after_a_recovery_loses_nothing_either()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("kept", "k1");
        using var python = PythonProgram.Load(folder.Vault);
        await folder.SetAsync("kept", "k2");
        await VaultKeys.RotateAsync(folder.Open().Vault, Cancel);

        python.Write("""{"set": {"first": "p1"}}""");
        Assert.Equal(["first"], await RecoverAsync(folder));
        python.Write("""{"set": {"second": "p2"}}""");
        Assert.Equal(["second"], await RecoverAsync(folder));

        Assert.Equal(["k2", "p1", "p2"], [await folder.GetAsync("kept"), await folder.GetAsync("first"), await folder.GetAsync("second")]);
        Assert.Equal("2 1", await NumbersAsync(folder, "kept"));
    }

    [Fact]
    public async Task A_vault_started_afresh_right_after_a_recovery_is_noticed()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("kept", "k1");
        await folder.SetAsync("kept", "k2");

        // a write in place takes the last state with it, and the former file has the one before
        await folder.SetAsync("last", "l1");
        PythonProgram.Write(folder.Vault, """{"x": "y"}""");
        await RecoverAsync(folder);

        PythonProgram.Write(folder.Vault, """{"only": "this"}""");

        await Assert.ThrowsAsync<VaultOpenException>(() => folder.GetAsync("kept"));
        Assert.Equal(["only"], await RecoverAsync(folder));
        Assert.Equal("k2", await folder.GetAsync("kept"));
        Assert.Equal("y", await folder.GetAsync("x"));
    }

    [Fact]
    public async Task A_writer_with_the_key_from_before_the_last_but_one_rotation_is_merged_too()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        using var python = PythonProgram.Load(folder.Vault);
        await VaultKeys.RotateAsync(folder.Open().Vault, Cancel);
        await VaultKeys.RotateAsync(folder.Open().Vault, Cancel);

        python.Write("""{"set": {"p": "p1"}}""");

        Assert.Equal(["p"], await RecoverAsync(folder));
        Assert.Equal("a1", await folder.GetAsync("a"));
        Assert.Equal("p1", await folder.GetAsync("p"));
    }

    [Fact]
    public async Task An_older_state_written_under_the_same_key_is_refused_and_merged()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        using var python = PythonProgram.Load(folder.Vault);
        await folder.SetAsync("b", "b1");
        await folder.SetAsync("a", "a2");
        await folder.SetAsync("c", "c1");
        python.Write("""{"set": {"p": "p1"}}""");
        var before = folder.Photograph();

        await Assert.ThrowsAsync<VaultOpenException>(() => folder.GetAsync("a"));
        var error = await Assert.ThrowsAsync<VaultOpenException>(() => folder.SetAsync("a", "a3"));

        Assert.Contains("mallku key recover", error.Remedy, StringComparison.Ordinal);
        Assert.Equal(before, folder.Photograph());
        Assert.Contains(
            await VaultInspection.InspectAsync(folder.Open().Vault, Cancel),
            finding => finding.Level == FindingLevel.Error && finding.What.Contains("older state", StringComparison.Ordinal));

        Assert.Equal(["p"], await RecoverAsync(folder));

        // all but what came after the former file was written
        Assert.Equal(["a2", "b1", null, "p1"], [await folder.GetAsync("a"), await folder.GetAsync("b"), await folder.GetAsync("c"), await folder.GetAsync("p")]);
        // the numbers that the lost write may have used are not used again
        Assert.Equal(6, (await folder.SetAsync("a", "a3")).Version);
    }

    [Fact]
    public async Task The_first_write_to_a_vault_that_Python_began_can_be_recovered()
    {
        using var folder = new TemporaryFolder();
        PythonProgram.Write(folder.Vault, """{"a": "a1", "b": "b1"}""");
        using var python = PythonProgram.Load(folder.Vault);
        await folder.SetAsync("fresh", "f1");
        await folder.SetAsync("last", "l1");

        python.Write("""{"set": {"b": "b2"}}""");

        await Assert.ThrowsAsync<VaultOpenException>(() => folder.GetAsync("fresh"));
        Assert.Equal(["b"], await RecoverAsync(folder));
        Assert.Equal(["a1", "b2", "f1"], [await folder.GetAsync("a"), await folder.GetAsync("b"), await folder.GetAsync("fresh")]);
    }

    [Fact]
    public async Task The_first_write_alone_is_noticed_when_Python_writes_over_it()
    {
        using var folder = new TemporaryFolder();
        PythonProgram.Write(folder.Vault, """{"a": "a1"}""");
        using var python = PythonProgram.Load(folder.Vault);
        await folder.SetAsync("fresh", "f1");

        python.Write("""{"set": {"a": "a2"}}""");

        Assert.Contains("mallku key recover", (await Assert.ThrowsAsync<VaultOpenException>(() => folder.GetAsync("fresh"))).Remedy, StringComparison.Ordinal);
        Assert.Equal(["a"], await RecoverAsync(folder));
        Assert.Equal("a2", await folder.GetAsync("a"));
    }

    [Fact]
    public async Task A_rotation_of_a_vault_that_Python_began_and_a_writer_with_the_former_key_are_merged()
    {
        using var folder = new TemporaryFolder();
        PythonProgram.Write(folder.Vault, """{"a": "a1"}""");
        using var python = PythonProgram.Load(folder.Vault);
        await VaultKeys.RotateAsync(folder.Open().Vault, Cancel);

        python.Write("""{"set": {"p": "p1"}}""");

        Assert.Equal(["p"], await RecoverAsync(folder));
        Assert.Equal(["a1", "p1"], [await folder.GetAsync("a"), await folder.GetAsync("p")]);
    }

    [Fact]
    public async Task What_Python_does_right_after_a_recovery_counts_as_ever()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        await folder.SetAsync("b", "b1");
        await folder.SetAsync("c", "c1");
        PythonProgram.Write(folder.Vault, """{"x": "y"}""");
        await RecoverAsync(folder);

        PythonProgram.Update(folder.Vault, """{"set": {"a": "a2"}, "remove": ["b"]}""");
        await folder.SetAsync("d", "d1");

        Assert.Equal(["a2", null, "d1"], [await folder.GetAsync("a"), await folder.GetAsync("b"), await folder.GetAsync("d")]);
    }

    [Fact]
    public async Task A_secret_file_under_the_former_key_is_refused_and_taken_over()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        PythonProgram.WriteSecretFile(folder.Vault, "legacy", "\"l1\"");
        var file = await File.ReadAllBytesAsync(Path.Combine(folder.Vault, "legacy.secret"), Cancel);
        PythonProgram.WriteSecretFile(folder.Vault, "legacy", "\"l0\"");
        await VaultKeys.RotateAsync(folder.Open().Vault, Cancel);
        await folder.SetAsync("legacy", "l2");
        await File.WriteAllBytesAsync(Path.Combine(folder.Vault, "legacy.secret"), file, Cancel);
        File.SetUnixFileMode(Path.Combine(folder.Vault, "legacy.secret"), UnixFileMode.UserRead | UnixFileMode.UserWrite);

        Assert.Contains("mallku key recover", (await Assert.ThrowsAsync<VaultOpenException>(() => folder.GetAsync("legacy"))).Remedy, StringComparison.Ordinal);
        Assert.Equal(["legacy"], await RecoverAsync(folder));
        Assert.Equal("l1", await folder.GetAsync("legacy"));
    }

    [Fact]
    public async Task A_start_afresh_is_noticed_where_the_former_key_is_not_at_hand()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        await VaultKeys.RotateAsync(folder.Open().Vault, Cancel);
        File.Delete(folder.KeyFile + ".previous");
        PythonProgram.Write(folder.Vault, """{"p": "p1"}""");

        await Assert.ThrowsAsync<VaultOpenException>(() => folder.GetAsync("a"));
        await Assert.ThrowsAsync<VaultOpenException>(() => folder.SetAsync("q", "q1"));
    }

    [Fact]
    public async Task To_put_the_former_file_back_is_no_fault()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        await folder.SetAsync("a", "a2");
        File.Copy(folder.VaultFile + ".previous", folder.VaultFile, overwrite: true);

        Assert.Equal("a1", await folder.GetAsync("a"));
        await folder.SetAsync("b", "b1");
        Assert.Equal("a1", await folder.GetAsync("a"));
    }

    [Fact]
    public async Task A_value_that_was_set_back_stays_when_another_program_held_the_former_key()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        foreach (var value in new[] { "1", "2", "1" })
        {
            await folder.SetAsync("y", value);
        }

        using var python = PythonProgram.Load(folder.Vault);
        await VaultKeys.RotateAsync(folder.Open().Vault, Cancel);
        python.Write("""{"set": {"p": "p1"}}""");

        Assert.Equal(["p"], await RecoverAsync(folder));
        Assert.Equal("1", await folder.GetAsync("y"));
        Assert.Equal("3 2 1", await NumbersAsync(folder, "y"));
    }

    [Fact]
    public async Task The_former_key_is_wanted_until_the_former_file_is_under_the_current_one()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        await VaultKeys.RotateAsync(folder.Open().Vault, Cancel);

        Assert.DoesNotContain("rm ", await FormerKeyAdviceAsync(folder), StringComparison.Ordinal);
        await folder.SetAsync("a", "a2");
        Assert.Contains("rm ", await FormerKeyAdviceAsync(folder), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_state_that_was_given_up_for_the_former_file_is_noticed_when_a_program_writes_it(bool moved)
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        await folder.SetAsync("a", "given-up");
        using var python = PythonProgram.Load(folder.Vault);
        PutFormerBack(folder, moved);
        await folder.SetAsync("b", "b1");

        python.Write("""{"set": {"p": "p1"}}""");

        await Assert.ThrowsAsync<VaultOpenException>(() => folder.GetAsync("a"));
        Assert.Equal(["p"], await RecoverAsync(folder));
        Assert.Equal(["a1", "p1"], [await folder.GetAsync("a"), await folder.GetAsync("p")]);
    }

    [Fact]
    public async Task What_a_program_writes_after_the_former_file_was_moved_back_counts_as_ever()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        await folder.SetAsync("b", "b1");
        await folder.SetAsync("a", "given-up");
        PutFormerBack(folder, moved: true);

        PythonProgram.Update(folder.Vault, """{"set": {"a": "a2"}, "remove": ["b"]}""");

        Assert.Equal(["a2", null], [await folder.GetAsync("a"), await folder.GetAsync("b")]);
        await folder.SetAsync("c", "c1");
        Assert.Equal(["a2", null], [await folder.GetAsync("a"), await folder.GetAsync("b")]);
    }

    [Fact]
    public async Task The_former_file_moved_back_right_after_a_rotation_is_taken_over()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        await VaultKeys.RotateAsync(folder.Open().Vault, Cancel);
        PutFormerBack(folder, moved: true);

        Assert.Contains("mallku key recover", (await Assert.ThrowsAsync<VaultOpenException>(() => folder.GetAsync("a"))).Remedy, StringComparison.Ordinal);
        Assert.Equal(1, (await VaultRecovery.RecoverAsync(folder.Open().Vault, asIs: false, Cancel)).AsIs?.Secrets);

        File.Delete(folder.KeyFile + ".previous");
        Assert.Equal("a1", await folder.GetAsync("a"));
        Assert.Equal("1", await NumbersAsync(folder, "a"));
    }

    [Fact]
    public async Task What_another_program_removed_is_named_when_a_recovery_keeps_it()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        await folder.SetAsync("b", "b1");
        using var python = PythonProgram.Load(folder.Vault);
        await folder.SetAsync("c", "c1");
        await folder.SetAsync("d", "d1");

        python.Write("""{"remove": ["a"]}""");
        var recovery = await VaultRecovery.RecoverAsync(folder.Open().Vault, asIs: false, Cancel);

        Assert.Equal(["a"], recovery.Kept);
        Assert.Empty(recovery.Names);
        Assert.Equal("a1", await folder.GetAsync("a"));
    }

    [Fact]
    public async Task The_number_of_a_secret_that_was_lost_with_the_last_write_is_not_used_again()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        using var python = PythonProgram.Load(folder.Vault);
        await folder.SetAsync("b", "b1");
        PythonProgram.WriteSecretFile(folder.Vault, "lost", "\"l1\"");
        await folder.SetAsync("lost", "l2");

        python.Write("""{"set": {"p": "p1"}}""");
        await RecoverAsync(folder);
        Assert.Null(await folder.GetAsync("lost"));

        Assert.True((await folder.SetAsync("lost", "l3")).Version > 2);
        Assert.True((await folder.SetAsync("new", "n1")).Version > 2);
    }

    [Fact]
    public async Task A_vault_that_began_with_secret_files_is_not_started_afresh_unnoticed()
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder.Vault, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        PythonProgram.WriteSecretFile(folder.Vault, "legacy", "\"l1\"");
        await VaultCreation.CreateAsync(folder.Open().Vault, Cancel);
        Assert.False(File.Exists(Path.Combine(folder.Vault, "legacy.secret")));

        PythonProgram.Write(folder.Vault, "{}");

        await Assert.ThrowsAsync<VaultOpenException>(() => folder.GetAsync("legacy"));
        await RecoverAsync(folder);
        Assert.Equal("l1", await folder.GetAsync("legacy"));
    }

    [Fact]
    public async Task The_state_that_a_kill_left_under_the_temporary_name_is_what_a_recovery_goes_by()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        using var python = PythonProgram.Load(folder.Vault);
        await folder.SetAsync("b", "b1");
        var oldest = await File.ReadAllBytesAsync(folder.VaultFile + ".previous", Cancel);
        await folder.SetAsync("c", "c1");
        Move(folder.VaultFile + ".previous", folder.VaultFile + ".tmp");
        await File.WriteAllBytesAsync(folder.VaultFile + ".previous", oldest, Cancel);
        File.SetUnixFileMode(folder.VaultFile + ".previous", UnixFileMode.UserRead | UnixFileMode.UserWrite);

        PythonProgram.Write(folder.Vault, """{"p": "p1"}""");
        await RecoverAsync(folder);

        Assert.Equal(["a1", "b1", "p1"], [await folder.GetAsync("a"), await folder.GetAsync("b"), await folder.GetAsync("p")]);
    }

    [Fact]
    public async Task A_backup_from_before_a_rotation_is_taken_over_where_nothing_else_is_left()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        var backup = await File.ReadAllBytesAsync(folder.VaultFile, Cancel);
        await VaultKeys.RotateAsync(folder.Open().Vault, Cancel);
        await folder.SetAsync("b", "b1");
        await File.WriteAllBytesAsync(folder.VaultFile, backup, Cancel);
        File.Delete(folder.VaultFile + ".previous");

        Assert.Equal(1, (await VaultRecovery.RecoverAsync(folder.Open().Vault, asIs: false, Cancel)).AsIs?.Secrets);
        Assert.Equal(["a1", null], [await folder.GetAsync("a"), await folder.GetAsync("b")]);
    }

    [Fact]
    public async Task A_secret_file_that_a_rotation_took_in_does_not_come_back_over_a_newer_value()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        PythonProgram.WriteSecretFile(folder.Vault, "legacy", "\"l1\"");
        var path = Path.Combine(folder.Vault, "legacy.secret");
        var file = await File.ReadAllBytesAsync(path, Cancel);
        await VaultKeys.RotateAsync(folder.Open().Vault, Cancel);

        // as a kill before its removal leaves it
        await File.WriteAllBytesAsync(path, file, Cancel);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        PythonProgram.Update(folder.Vault, """{"set": {"legacy": "l2"}}""");

        Assert.Equal("l2", await folder.GetAsync("legacy"));
        await folder.SetAsync("other", "o1");
        Assert.False(File.Exists(path));
        Assert.Equal("l2", await folder.GetAsync("legacy"));
    }

    [Fact]
    public async Task A_backup_of_both_files_from_before_a_rotation_keeps_its_last_write()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        await folder.SetAsync("a", "a2");
        var (vault, former) = (await File.ReadAllBytesAsync(folder.VaultFile, Cancel), await File.ReadAllBytesAsync(folder.VaultFile + ".previous", Cancel));
        await VaultKeys.RotateAsync(folder.Open().Vault, Cancel);
        await folder.SetAsync("b", "b1");
        await File.WriteAllBytesAsync(folder.VaultFile, vault, Cancel);
        await File.WriteAllBytesAsync(folder.VaultFile + ".previous", former, Cancel);

        await RecoverAsync(folder);

        Assert.Equal("a2", await folder.GetAsync("a"));
    }

    [Fact]
    public async Task What_a_file_that_is_used_as_it_is_does_not_have_is_named_and_stays_in_history()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        var backup = await File.ReadAllBytesAsync(folder.VaultFile, Cancel);
        await folder.SetAsync("b", "b1");
        await folder.SetAsync("a", "a2");
        await File.WriteAllBytesAsync(folder.VaultFile, backup, Cancel);

        var recovery = await VaultRecovery.RecoverAsync(folder.Open().Vault, asIs: true, Cancel);

        Assert.Empty(recovery.Names);
        Assert.Equal(1, recovery.AsIs!.Secrets);
        Assert.Equal(["b"], recovery.AsIs.Removed);
        Assert.NotNull((await folder.Open().GetHistoryAsync("b", Cancel))!.Removed);
    }

    [Fact]
    public async Task A_damaged_vault_is_put_aside_for_its_former_state_and_no_number_is_used_again()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        await folder.SetAsync("a", "a2");
        await folder.SetAsync("a", "a3");
        await File.WriteAllTextAsync(folder.VaultFile, "damaged", Cancel);
        Assert.Contains("mallku key recover", (await Assert.ThrowsAsync<VaultOpenException>(() => folder.GetAsync("a"))).Remedy, StringComparison.Ordinal);

        var recovery = await VaultRecovery.RecoverAsync(folder.Open().Vault, asIs: false, Cancel);

        Assert.Equal("damaged", await File.ReadAllTextAsync(recovery.DamagedFile!, Cancel));
        Assert.Equal("a2", await folder.GetAsync("a"));
        Assert.True((await folder.SetAsync("a", "a4")).Version > 3);
    }

    [Fact]
    public async Task A_vault_under_a_key_that_is_not_there_is_no_damage()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        using var key = Mallku.Secrets.Crypto.Fernet.GenerateKey();
        File.Delete(folder.KeyFile);
        await File.WriteAllBytesAsync(folder.KeyFile, key.RevealUtf8(), Cancel);
        File.SetUnixFileMode(folder.KeyFile, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        var before = folder.Photograph();

        await Assert.ThrowsAsync<VaultOpenException>(() => RecoverAsync(folder));

        Assert.Equal(before, folder.Photograph());
    }

    [Fact]
    public async Task What_a_kill_left_under_the_temporary_name_outlives_a_vault_that_is_then_damaged()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        await folder.SetAsync("b", "b1");
        var oldest = await File.ReadAllBytesAsync(folder.VaultFile + ".previous", Cancel);
        await folder.SetAsync("c", "c1");
        await folder.SetAsync("d", "d1");

        // as a kill between exchange and rename leaves it
        Move(folder.VaultFile + ".previous", folder.VaultFile + ".tmp");
        await File.WriteAllBytesAsync(folder.VaultFile + ".previous", oldest, Cancel);
        File.SetUnixFileMode(folder.VaultFile + ".previous", UnixFileMode.UserRead | UnixFileMode.UserWrite);
        await File.WriteAllTextAsync(folder.VaultFile, "", Cancel);

        await RecoverAsync(folder);
        Assert.Equal("c1", await folder.GetAsync("c"));
    }

    [Fact]
    public async Task The_next_write_finishes_a_replace_that_a_kill_cut_off()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        await folder.SetAsync("b", "b1");
        var oldest = await File.ReadAllBytesAsync(folder.VaultFile + ".previous", Cancel);
        await folder.SetAsync("c", "c1");
        var former = await File.ReadAllBytesAsync(folder.VaultFile + ".previous", Cancel);
        Move(folder.VaultFile + ".previous", folder.VaultFile + ".tmp");
        await File.WriteAllBytesAsync(folder.VaultFile + ".previous", oldest, Cancel);
        File.SetUnixFileMode(folder.VaultFile + ".previous", UnixFileMode.UserRead | UnixFileMode.UserWrite);

        await folder.Open().Vault.WriteAsync(_ => ValueTask.FromResult(true), Cancel);

        Assert.Equal(former, await File.ReadAllBytesAsync(folder.VaultFile + ".previous", Cancel));
        Assert.False(File.Exists(folder.VaultFile + ".tmp"));
    }

    [Fact]
    public async Task A_value_of_another_program_that_is_recorded_already_is_no_news()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        PythonProgram.Update(folder.Vault, """{"set": {"a": "of Python"}}""");
        using var python = PythonProgram.Load(folder.Vault);
        await folder.SetAsync("b", "b1");
        await folder.SetAsync("a", "newer");
        await folder.SetAsync("c", "c1");
        await folder.SetAsync("d", "d1");

        python.Write("""{"set": {"p": "p1"}}""");

        Assert.Equal(["p"], await RecoverAsync(folder));
        Assert.Equal("newer", await folder.GetAsync("a"));
    }

    [Fact]
    public async Task An_older_vault_that_a_person_put_there_is_taken_as_it_is_and_what_was_given_up_is_noticed()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        var backup = await File.ReadAllBytesAsync(folder.VaultFile, Cancel);
        for (var i = 2; i < 7; i++)
        {
            await folder.SetAsync("a", "a" + i);
        }

        await folder.SetAsync("later", "l1");
        using var python = PythonProgram.Load(folder.Vault);
        await File.WriteAllBytesAsync(folder.VaultFile, backup, Cancel);
        Assert.Contains("--as-is", (await Assert.ThrowsAsync<VaultOpenException>(() => folder.GetAsync("a"))).Remedy, StringComparison.Ordinal);

        await VaultRecovery.RecoverAsync(folder.Open().Vault, asIs: true, Cancel);
        Assert.Equal(["a1", null], [await folder.GetAsync("a"), await folder.GetAsync("later")]);
        Assert.True((await folder.SetAsync("a", "a7")).Version > 6);
        Assert.True((await folder.SetAsync("later", "l2")).Version > 1);

        python.Write("""{"set": {"p": "p1"}}""");
        await Assert.ThrowsAsync<VaultOpenException>(() => folder.GetAsync("a"));
        Assert.Equal(["p"], await RecoverAsync(folder));
        Assert.Equal("a7", await folder.GetAsync("a"));
    }

    [Fact]
    public async Task The_former_key_is_wanted_while_another_program_has_written_with_it()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        using var python = PythonProgram.Load(folder.Vault);
        await VaultKeys.RotateAsync(folder.Open().Vault, Cancel);
        await folder.SetAsync("a", "a2");
        await folder.SetAsync("a", "a3");
        Assert.Contains("rm ", await FormerKeyAdviceAsync(folder), StringComparison.Ordinal);

        python.Write("""{"set": {"p": "p1"}}""");
        Assert.DoesNotContain("rm ", await FormerKeyAdviceAsync(folder), StringComparison.Ordinal);
    }

    private static void PutFormerBack(TemporaryFolder folder, bool moved)
    {
        if (moved)
        {
            Move(folder.VaultFile + ".previous", folder.VaultFile);
        }
        else
        {
            File.Copy(folder.VaultFile + ".previous", folder.VaultFile, overwrite: true);
        }
    }

    private static void Move(string from, string to) => File.Move(from, to, overwrite: true);

    private static async Task<string> FormerKeyAdviceAsync(TemporaryFolder folder) =>
        (await VaultInspection.InspectAsync(folder.Open().Vault, Cancel)).Single(finding => finding.Check == "former-key").Remedy!;

    private static async Task<IReadOnlyList<string>> RecoverAsync(TemporaryFolder folder) => (await VaultRecovery.RecoverAsync(folder.Open().Vault, asIs: false, Cancel)).Names;

    private static async Task<string> NumbersAsync(TemporaryFolder folder, string name) =>
        string.Join(' ', (await folder.Open().GetHistoryAsync(name, Cancel))!.Versions.Select(version => version.Number));
}
