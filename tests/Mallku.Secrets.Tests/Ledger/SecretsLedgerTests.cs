using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Tests.Ledger;

/// <summary>What a program of another's asks a vault's ledger.</summary>
public sealed class SecretsLedgerTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Entries_are_read_from_an_index_or_since_a_time_over_several_files()
    {
        using var folder = await MakeAsync();
        var ledger = folder.Open().Ledger;
        var all = await ledger.ReadEntriesAsync(cancellationToken: Cancel).ToListAsync(Cancel);
        Assert.Equal(
            [(LedgerKind.Opened, null), (LedgerKind.Created, "a"), (LedgerKind.Read, "a"), (LedgerKind.Created, "b"), (LedgerKind.Updated, "a"), (LedgerKind.Missing, "nobody")],
            all.Select(entry => (entry.Kind, entry.Secret)));
        Assert.Equal(("quarterly report", "a voice"), (all[2].Purpose, all[2].Actor.Voice));
        Assert.Equal(Environment.UserName, all[2].Actor.User);

        for (var from = 0; from <= all.Count + 1; from++)
        {
            Assert.Equal(all.Skip(from), await ledger.ReadEntriesAsync(from, cancellationToken: Cancel).ToListAsync(Cancel));
        }

        Assert.Equal(
            all.Where(entry => entry.Time >= all[3].Time), await ledger.ReadEntriesAsync(since: all[3].Time, cancellationToken: Cancel).ToListAsync(Cancel));
        Assert.Throws<ArgumentOutOfRangeException>(() => ledger.ReadEntriesAsync(-1, cancellationToken: Cancel));
    }

    [Fact]
    public async Task The_report_has_each_secret_with_its_uses_and_its_version()
    {
        using var folder = await MakeAsync();
        var report = await folder.Open().Ledger.GetReportAsync(Cancel);
        Assert.Equal([("a", 1, 2), ("b", 0L, 1)], report.Select(use => (use.Name, use.Count, use.Version)));
        Assert.Equal(["a voice"], report[0].Actors);
        Assert.NotNull(report[1].Created);
        Assert.Empty(await folder.Open().Ledger.FindUnusualUsesAsync(cancellationToken: Cancel));
    }

    [Fact]
    public async Task Verifying_tells_how_far_it_is_and_compares_with_a_kept_checkpoint()
    {
        using var folder = await MakeAsync();
        var ledger = folder.Open().Ledger;
        var kept = await ledger.GetCheckpointAsync(Cancel);
        await folder.GetAsync("a");
        var progress = new Steps();

        var found = await ledger.VerifyAsync(kept, progress, Cancel);

        Assert.Null(found.Fault);
        Assert.Equal((0, 7), (found.First, found.Size));
        Assert.Equal((7, 7), progress.Last);
    }

    [Fact]
    public async Task An_altered_ledger_is_an_answer_that_names_the_first_entry_that_fails()
    {
        using var folder = await MakeAsync();
        var ledger = folder.Open().Ledger;
        var lines = await File.ReadAllLinesAsync(LedgerFile.Segment(folder), Cancel);
        lines[2] = lines[2].Replace("quarterly", "QUARTERLY", StringComparison.Ordinal);
        await File.WriteAllTextAsync(LedgerFile.Segment(folder), string.Join('\n', lines) + "\n", Cancel);

        var found = await ledger.VerifyAsync(cancellationToken: Cancel);
        Assert.Equal((2, 2), (found.Fault?.Entry, found.Fault?.Through));
        Assert.Contains("entry 2 in", found.Fault?.Problem, StringComparison.Ordinal);
        await Assert.ThrowsAsync<LedgerException>(async () => await ledger.ProveAsync(2, Cancel));

        Directory.Delete(LedgerFile.Folder(folder), recursive: true);
        Assert.NotNull((await ledger.VerifyAsync(cancellationToken: Cancel)).Fault);
    }

    [Fact]
    public async Task An_older_vault_and_a_checkpoint_of_another_ledger_are_answers_too()
    {
        using var folder = await MakeAsync();
        using var other = await MakeAsync();
        var foreign = await folder.Open().Ledger.VerifyAsync(await other.Open().Ledger.GetCheckpointAsync(Cancel), cancellationToken: Cancel);
        Assert.Contains("no checkpoint that the key", foreign.Fault?.Problem, StringComparison.Ordinal);

        var (vault, former) = (await File.ReadAllBytesAsync(folder.VaultFile, Cancel), await File.ReadAllBytesAsync(folder.VaultFile + ".previous", Cancel));
        await folder.SetAsync("a", "a3");
        await folder.SetAsync("a", "a4");
        await File.WriteAllBytesAsync(folder.VaultFile, vault, Cancel);
        await File.WriteAllBytesAsync(folder.VaultFile + ".previous", former, Cancel);
        Assert.Contains("an older vault was put back", (await folder.Open().Ledger.VerifyAsync(cancellationToken: Cancel)).Fault?.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_proof_and_a_copy_of_the_folder_are_checked_by_the_public_key_alone()
    {
        using var folder = await MakeAsync();
        using var other = await MakeAsync();
        var ledger = folder.Open().Ledger;
        var (key, otherKey) = (await ledger.GetPublicKeyAsync(Cancel), await other.Open().Ledger.GetPublicKeyAsync(Cancel));
        var kept = await ledger.GetCheckpointAsync(Cancel);
        var proof = await ledger.ProveAsync(4, Cancel);
        var entries = await ledger.ReadEntriesAsync(cancellationToken: Cancel).ToListAsync(Cancel);
        var copy = Path.Combine(folder.Path, "copy");
        Directory.Move(LedgerFile.Folder(folder), copy);
        Directory.Delete(folder.Vault, recursive: true);

        Assert.Equal((entries[4], 6), (SecretsLedger.CheckProof(proof, key)?.Entry, SecretsLedger.CheckProof(proof, key)?.Size));
        Assert.Null(SecretsLedger.CheckProof(proof, otherKey));
        Assert.Null(SecretsLedger.CheckProof(proof.Replace("index 4", "index 3", StringComparison.Ordinal), key));
        Assert.Null(SecretsLedger.CheckProof("nonsense", key));
        Assert.Throws<ArgumentException>(() => SecretsLedger.CheckProof(proof, "nonsense"));

        Assert.Null((await SecretsLedger.VerifyCopyAsync(copy, key, kept, cancellationToken: Cancel)).Fault);
        Assert.NotNull((await SecretsLedger.VerifyCopyAsync(copy, otherKey, cancellationToken: Cancel)).Fault);
        await Assert.ThrowsAsync<ArgumentException>(async () => await SecretsLedger.VerifyCopyAsync(copy, "nonsense", cancellationToken: Cancel));
        Assert.NotNull((await SecretsLedger.VerifyCopyAsync(folder.Path, key, cancellationToken: Cancel)).Fault);
    }

    [Fact]
    public async Task Where_there_is_no_ledger_the_error_says_so_and_what_can_not_be_read_is_no_answer()
    {
        using var folder = new TemporaryFolder();
        await Assert.ThrowsAsync<VaultOpenException>(async () => await folder.Open().Ledger.VerifyAsync(cancellationToken: Cancel));
        Assert.Throws<InvalidOperationException>(() => new SecretsManager([]).Ledger);

        using var made = await MakeAsync();
        File.Delete(LedgerFile.Segment(made));
        Directory.CreateDirectory(LedgerFile.Segment(made));
        var ledger = made.Open().Ledger;
        await Assert.ThrowsAsync<LedgerException>(async () => await ledger.VerifyAsync(cancellationToken: Cancel));
        await Assert.ThrowsAsync<LedgerException>(async () => await ledger.ReadEntriesAsync(cancellationToken: Cancel).ToListAsync(Cancel));
        var key = await ledger.GetPublicKeyAsync(Cancel);
        await Assert.ThrowsAsync<LedgerException>(async () => await SecretsLedger.VerifyCopyAsync(LedgerFile.Folder(made), key, cancellationToken: Cancel));
    }

    /// <summary>Six entries: a ledger begins, a is made and used, b is made, a is changed, and somebody asks for what nobody has.</summary>
    private static async Task<TemporaryFolder> MakeAsync()
    {
        var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        await SecretsManager.Open(folder.Options with { Purpose = "quarterly report", Voice = "a voice" }).GetRequiredAsync("a", Cancel);
        await folder.SetAsync("b", "b1");
        await folder.SetAsync("a", "a2");
        await folder.GetAsync("nobody");
        return folder;
    }

    private sealed class Steps : IProgress<(long Done, long Total)>
    {
        internal (long Done, long Total) Last { get; private set; }

        public void Report((long Done, long Total) value) => Last = value;
    }
}
