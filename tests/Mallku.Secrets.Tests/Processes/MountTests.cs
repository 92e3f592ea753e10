using Mallku.Secrets.Files;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Vault;

namespace Mallku.Secrets.Tests.Processes;

/// <summary>A disk that is full, and one that is read-only: real ones.</summary>
public sealed class MountTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public static TheoryData<string> WaysOn => ["a ledger elsewhere", "no ledger"];

    [Fact]
    public async Task A_full_disk_is_told_and_nothing_is_handed_out_or_changed()
    {
        using var folder = new TemporaryFolder();
        using var mount = new Mount(folder, "size=64k");
        await VaultCreation.CreateAsync(folder.Open().Vault, Cancel);
        await folder.SetAsync("kept", "the kept value");
        var filler = Path.Combine(folder.Vault, "filler");
        Fill(filler);
        var before = Photograph(folder);

        foreach (var use in Writes(folder.Options).Prepend(() => GetAsync(folder.Options)))
        {
            Refusal.RequireLedger(await Assert.ThrowsAsync<LedgerException>(use), folder.Settings.LedgerDirectory, "no space left for", "MALLKU_LEDGER_DIR");
            Assert.Equal(before, Photograph(folder));
        }

        // a ledger that is given up is back in its place where the new one can't be begun
        await Assert.ThrowsAsync<LedgerException>(async () => await VaultLedger.RestartAsync(folder.Open().Vault, Cancel));
        Assert.Equal(before, Photograph(folder));

        File.Delete(filler);
        Assert.Equal("the kept value", await folder.GetAsync("kept"));
        await folder.SetAsync("kept", "another value");
        Assert.Equal("another value", await folder.GetAsync("kept"));
        Assert.DoesNotContain(await LedgerEntries.ReadAsync(folder), entry => entry.Kind is LedgerKind.Removed or LedgerKind.Aborted);
    }

    [Theory]
    [MemberData(nameof(WaysOn))]
    public async Task A_full_disk_is_read_with_a_ledger_elsewhere_or_none_and_its_refusal_of_a_write_is_told(string way)
    {
        using var folder = new TemporaryFolder();
        using var mount = new Mount(folder, "size=64k");
        await VaultCreation.CreateAsync(folder.Open().Vault, Cancel);
        await folder.SetAsync("kept", "the kept value");
        var options = GoOn(folder, way);
        var filler = Path.Combine(folder.Vault, "filler");
        Fill(filler);
        var before = Photograph(folder);

        foreach (var write in Writes(options))
        {
            Refusal.Require(await Assert.ThrowsAsync<SecretsException>(write), folder.VaultFile, "no space left for", "free some space");
            Assert.Equal(before, Photograph(folder));
        }

        Assert.Equal("the kept value", await GetAsync(options));
        File.Delete(filler);
        await SetAsync(options, "kept", "another value");
        Assert.Equal("another value", await GetAsync(options));
    }

    [Fact]
    public async Task A_read_only_file_system_is_not_read_without_a_trace()
    {
        using var folder = new TemporaryFolder();
        using var mount = new Mount(folder, "size=1m");
        await VaultCreation.CreateAsync(folder.Open().Vault, Cancel);
        await folder.SetAsync("kept", "the kept value");
        mount.MakeReadOnly();
        var before = folder.Photograph();

        Refusal.RequireLedger(
            await Assert.ThrowsAsync<LedgerException>(() => GetAsync(folder.Options)), folder.Settings.LedgerDirectory, "Read-only file system", "MALLKU_LEDGER_DIR");

        Assert.Equal(before, folder.Photograph());
    }

    [Fact]
    public async Task A_ledger_that_can_not_begin_has_a_way_on_that_needs_none()
    {
        using var folder = new TemporaryFolder();
        await VaultCreation.CreateAsync(SecretsManager.Open(folder.Options with { UseLedger = false }).Vault, Cancel);
        using var place = new TemporaryFolder();
        using var mount = new Mount(place, "size=64k");
        mount.MakeReadOnly();
        var refused = await Assert.ThrowsAsync<LedgerException>(() => SetAsync(folder.Options with { LedgerDirectory = Path.Combine(place.Vault, "ledger") }, "kept", "value"));
        Assert.Contains("has no ledger yet", refused.Problem, StringComparison.Ordinal);
        Assert.Equal($"make a folder of '{place.Vault}' that this user can write, or name another place by MALLKU_LEDGER_DIR; or go on without a trace: --no-ledger", refused.Remedy);

        // beside the vault, where another user than root is refused
        refused = LedgerErrors.CannotBegin(folder.Open().Vault.Ledger.Folder, folder.Vault, new PosixException("create folder", folder.Settings.LedgerDirectory, Posix.AccessDenied));
        Assert.Equal($"let this user write into the vault's folder, where it begins: chmod 700 {folder.Vault}; or go on without a trace: --no-ledger", refused.Remedy);
    }

    [Theory]
    [MemberData(nameof(WaysOn))]
    public async Task A_read_only_file_system_is_read_with_a_ledger_elsewhere_or_none_and_its_refusal_of_a_write_is_told(string way)
    {
        using var folder = new TemporaryFolder();
        using var mount = new Mount(folder, "size=1m");
        await VaultCreation.CreateAsync(folder.Open().Vault, Cancel);
        await folder.SetAsync("kept", "the kept value");
        var options = GoOn(folder, way);
        mount.MakeReadOnly();
        var before = Photograph(folder);

        foreach (var write in Writes(options).Append(async () => await VaultKeys.RotateAsync(SecretsManager.Open(options).Vault, Cancel)))
        {
            Refusal.Require(await Assert.ThrowsAsync<SecretsException>(write), folder.Vault, "Read-only file system", "make the folder writable");
        }

        Assert.Equal("the kept value", await GetAsync(options));
        Assert.Equal(before, Photograph(folder));
    }

    [Fact]
    public async Task A_ledger_on_a_disk_that_takes_nothing_is_told_before_it_is_needed()
    {
        using var folder = new TemporaryFolder();
        using var mount = new Mount(folder, "size=64k");
        await VaultCreation.CreateAsync(folder.Open().Vault, Cancel);
        await folder.SetAsync("kept", "the kept value");
        var filler = Path.Combine(folder.Vault, "filler");
        Fill(filler);
        await RequireToldAsync(folder, "no space left for");

        File.Delete(filler);
        Assert.Null((await folder.Open().ExplainAsync("kept", Cancel)).Error);
        Assert.DoesNotContain(await VaultInspection.InspectAsync(folder.Open().Vault, Cancel), finding => finding.Level == FindingLevel.Error);

        mount.MakeReadOnly();
        await RequireToldAsync(folder, "Read-only file system");
    }

    private static async Task RequireToldAsync(TemporaryFolder folder, string problem)
    {
        var findings = await VaultInspection.InspectAsync(folder.Open().Vault, Cancel);
        var found = Assert.Single(findings, finding => finding.Level == FindingLevel.Error);
        Assert.Contains(problem, found.What, StringComparison.Ordinal);
        Assert.Contains("MALLKU_LEDGER_DIR", found.Remedy, StringComparison.Ordinal);
        var explanation = await folder.Open().ExplainAsync("kept", Cancel);
        Assert.Contains(problem, explanation.Error?.Problem, StringComparison.Ordinal);
        Assert.Null(explanation.Winner);
    }

    private static SecretsOptions GoOn(TemporaryFolder folder, string way)
    {
        if (way == "no ledger")
        {
            return folder.Options with { UseLedger = false };
        }

        var elsewhere = Path.Combine(folder.Path, "elsewhere");
        Tool.Run("cp", "-a", folder.Settings.LedgerDirectory, elsewhere);
        return folder.Options with { LedgerDirectory = elsewhere };
    }

    private static IEnumerable<Func<Task>> Writes(SecretsOptions options) =>
    [
        () => SetAsync(options, "kept", "another value"),
        () => SetAsync(options, "added", new string('v', 20_000)),
        async () => await SecretsManager.Open(options).RemoveAsync("kept", Cancel),
    ];

    private static async Task SetAsync(SecretsOptions options, string name, string text)
    {
        using var value = SecretValue.FromString(text);
        await SecretsManager.Open(options).SetAsync(name, value, cancellationToken: Cancel);
    }

    private static async Task<string?> GetAsync(SecretsOptions options) =>
        (await SecretsManager.Open(options).GetAsync("kept", Cancel))?.RevealString();

    // what is on the mounted disk, but for the ledger
    private static IEnumerable<KeyValuePair<string, string>> Photograph(TemporaryFolder folder) =>
        [.. folder.PhotographVault().Where(file => file.Key.StartsWith(folder.Vault, StringComparison.Ordinal)).OrderBy(file => file.Key, StringComparer.Ordinal)];

    private static void Fill(string path)
    {
        using var file = new FileStream(
            path, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, BufferSize = 0, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite });
        // twice what fits
        var full = Assert.Throws<IOException>(() =>
        {
            for (var i = 0; i < 128; i++)
            {
                file.Write(new byte[1024]);
            }
        });
        Assert.Contains("No space left", full.Message, StringComparison.Ordinal);
    }

    /// <summary>A file system in memory as the vault's folder.</summary>
    private sealed class Mount : IDisposable
    {
        private readonly string _folder;

        internal Mount(TemporaryFolder folder, string options)
        {
            Requires.Mounts();
            _folder = folder.Vault;
            Directory.CreateDirectory(_folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            Tool.Run("mount", "-t", "tmpfs", "-o", "mode=0700," + options, "tmpfs", _folder);
        }

        internal void MakeReadOnly() => Tool.Run("mount", "-o", "remount,ro", _folder);

        public void Dispose() => Tool.Run("umount", _folder);
    }
}
