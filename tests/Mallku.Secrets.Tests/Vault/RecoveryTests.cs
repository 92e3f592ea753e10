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
        // the number that the lost write may have used is not used again
        Assert.Equal(4, (await folder.SetAsync("a", "a3")).Version);
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

    private static async Task<string> FormerKeyAdviceAsync(TemporaryFolder folder) =>
        (await VaultInspection.InspectAsync(folder.Open().Vault, Cancel)).Single(finding => finding.Check == "former-key").Remedy!;

    private static async Task<IReadOnlyList<string>> RecoverAsync(TemporaryFolder folder) => (await VaultKeys.RecoverAsync(folder.Open().Vault, Cancel)).Names;

    private static async Task<string> NumbersAsync(TemporaryFolder folder, string name) =>
        string.Join(' ', (await folder.Open().GetHistoryAsync(name, Cancel))!.Versions.Select(version => version.Number));
}
