using Mallku.Secrets.Vault;
namespace Mallku.Secrets.Tests.Processes;

/// <summary>A disk that is full, and one that is read-only: real ones.</summary>
public sealed class MountTests
{
    [Fact]
    public async Task A_full_disk_is_told_and_changes_nothing()
    {
        using var folder = new TemporaryFolder();
        using var mount = new Mount(folder, "size=64k");
        await VaultCreation.CreateAsync(folder.Open().Vault, TestContext.Current.CancellationToken);
        await folder.SetAsync("kept", "the kept value");
        var filler = Path.Combine(folder.Vault, "filler");
        Fill(filler);
        var before = folder.Photograph();

        Func<Task>[] writes =
        [
            () => folder.SetAsync("kept", "another value"),
            () => folder.SetAsync("added", new string('v', 20_000)),
            async () => await folder.Open().RemoveAsync("kept", TestContext.Current.CancellationToken),
        ];
        foreach (var write in writes)
        {
            Refusal.Require(await Assert.ThrowsAsync<SecretsException>(write), folder.VaultFile, "no space left for", "free some space");
            Assert.Equal(before, folder.Photograph());
        }

        Assert.Equal("the kept value", await folder.GetAsync("kept"));
        File.Delete(filler);
        await folder.SetAsync("kept", "another value");
        Assert.Equal("another value", await folder.GetAsync("kept"));
    }

    [Fact]
    public async Task A_read_only_file_system_is_read_and_its_refusal_of_a_write_is_told()
    {
        using var folder = new TemporaryFolder();
        using var mount = new Mount(folder, "size=1m");
        await VaultCreation.CreateAsync(folder.Open().Vault, TestContext.Current.CancellationToken);
        await folder.SetAsync("kept", "the kept value");
        mount.MakeReadOnly();
        var before = folder.Photograph();

        Func<Task>[] writes =
        [
            () => folder.SetAsync("kept", "another value"),
            async () => await folder.Open().RemoveAsync("kept", TestContext.Current.CancellationToken),
            async () => await Secrets.Vault.VaultKeys.RotateAsync(folder.Open().Vault, TestContext.Current.CancellationToken),
        ];
        foreach (var write in writes)
        {
            Refusal.Require(await Assert.ThrowsAsync<SecretsException>(write), folder.Vault, "Read-only file system", "make the folder writable");
        }

        Assert.Equal(before, folder.Photograph());
        Assert.Equal("the kept value", await folder.GetAsync("kept"));
    }

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
