using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Mallku.Secrets.Files;
using Mallku.Secrets.Storage;
using Mallku.Secrets.Vault;

namespace Mallku.Secrets.Tests.Processes;

/// <summary>What a writer does while somebody else holds the folder's lock.</summary>
public sealed partial class LockTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(150), LongPatience = TimeSpan.FromSeconds(30);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_lock_that_another_program_holds_ends_the_wait_and_blames_nobody_else()
    {
        using var folder = await VaultChange.Of("set").PrepareAsync();
        using var holder = await HoldAsync(folder);
        var before = folder.Photograph();

        foreach (var write in Writes(folder, Patience))
        {
            var start = Stopwatch.GetTimestamp();
            var error = await Assert.ThrowsAsync<SecretsException>(write);
            Assert.InRange(Stopwatch.GetElapsedTime(start), Patience, LongPatience / 3);
            Refusal.Require(error, Path.Combine(folder.Vault, ".lock"), "another process holds", "end that process");
        }

        Assert.Equal(before, folder.Photograph());
        // readers never wait
        Assert.Equal("the kept value", await folder.GetAsync("kept"));
    }

    [Fact]
    public async Task A_holder_that_said_who_it_is_is_named()
    {
        using var folder = await VaultChange.Of("set").PrepareAsync();
        using var held = await FolderLock.AcquireAsync(folder.Settings.LockFile, Patience, TimeProvider.System, Cancel);
        foreach (var write in Writes(folder, Patience))
        {
            Refusal.Require(
                await Assert.ThrowsAsync<SecretsException>(write), folder.Settings.LockFile, $"process {Environment.ProcessId} (", "wait until it is done");
        }
    }

    /// <summary>As a program has it that another thread has begun and that does not run yet.</summary>
    [Fact]
    public async Task A_lock_that_was_let_go_is_free_though_somebody_has_a_copy_of_its_descriptor()
    {
        using var folder = await VaultChange.Of("set").PrepareAsync();
        var path = folder.Settings.LockFile;
        var held = await FolderLock.AcquireAsync(path, Patience, TimeProvider.System, Cancel);
        var own = new DirectoryInfo("/proc/self/fd").GetFiles().Single(one => one.LinkTarget == path);
        var copy = dup(int.Parse(own.Name, CultureInfo.InvariantCulture));
        try
        {
            held.Dispose();
            using var next = await FolderLock.AcquireAsync(path, TimeSpan.Zero, TimeProvider.System, Cancel);
        }
        finally
        {
            Posix.Close(copy);
        }
    }

    [LibraryImport("libc")]
    private static partial int dup(int descriptor);

    [Fact]
    public async Task A_writer_goes_on_as_soon_as_the_lock_is_free()
    {
        using var folder = await VaultChange.Of("set").PrepareAsync();
        using var holder = await HoldAsync(folder);
        var write = Writes(folder, LongPatience).First()();
        await Task.Delay(Patience, Cancel);
        Assert.False(write.IsCompleted);

        holder.CloseInput();
        await write.WaitAsync(LongPatience / 3, Cancel);
        Assert.Equal("written", await folder.GetAsync("changed"));
    }

    [Fact]
    public async Task A_wait_ends_when_its_caller_gives_up()
    {
        using var folder = await VaultChange.Of("set").PrepareAsync();
        using var holder = await HoldAsync(folder);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        patience.CancelAfter(Patience);
        var vault = new FileVault(folder.Settings with { Patience = LongPatience });

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await vault.RemoveAsync(SecretName.Parse("changed"), patience.Token));
        Assert.Equal("the old value", await folder.GetAsync("changed"));
    }

    [Fact]
    public async Task A_lock_that_is_a_symbolic_link_is_not_followed()
    {
        using var folder = await VaultChange.Of("set").PrepareAsync();
        var elsewhere = Path.Combine(folder.Path, "elsewhere");
        await File.WriteAllTextAsync(elsewhere, "not a lock", Cancel);
        File.Delete(folder.Settings.LockFile);
        File.CreateSymbolicLink(folder.Settings.LockFile, elsewhere);
        var before = folder.Photograph();

        foreach (var write in Writes(folder, Patience))
        {
            Refusal.Require(await Assert.ThrowsAsync<SecretsException>(write), folder.Settings.LockFile, "is a symbolic link", "remove the link: rm ");
        }

        Assert.Equal(before, folder.Photograph());
        Assert.Equal("not a lock", await File.ReadAllTextAsync(elsewhere, Cancel));
    }

    private static IEnumerable<Func<Task>> Writes(TemporaryFolder folder, TimeSpan patience)
    {
        var vault = new FileVault(folder.Settings with { Patience = patience });
        yield return async () =>
        {
            using var value = SecretValue.FromString("written");
            await vault.SetAsync([new(SecretName.Parse("changed"), value)], new SetOptions(), Cancel);
        };
        yield return async () => await vault.RemoveAsync(SecretName.Parse("changed"), Cancel);
        yield return async () => await VaultKeys.RotateAsync(vault, Cancel);
    }

    // flock(1) writes nothing into the file, as any other program that takes the lock
    private static async Task<Child> HoldAsync(TemporaryFolder folder)
    {
        Requires.Program("flock");
        var holder = Child.StartOther("flock", folder.Settings.LockFile, "sh", "-c", "echo held; exec cat");
        Assert.Equal("held", await holder.ReadLineAsync());
        return holder;
    }
}
