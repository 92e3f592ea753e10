using System.Diagnostics;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Vault;

namespace Mallku.Secrets.Tests.Vault;

/// <summary>Folders with no vault in them, or none any more: a fault is never taken for an empty vault.</summary>
public sealed class AbsentVaultTests : IDisposable
{
    private const UnixFileMode OwnerAll = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    private readonly TemporaryFolder _folder = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_named_folder_that_is_empty_is_no_empty_vault()
    {
        // such as a mount point without its mount
        Directory.CreateDirectory(_folder.Vault, OwnerAll);

        var error = await Assert.ThrowsAsync<VaultOpenException>(() => _folder.GetAsync("a"));
        Assert.Contains("mallku init --dir", error.Remedy, StringComparison.Ordinal);
        await Assert.ThrowsAsync<VaultOpenException>(() => _folder.SetAsync("a", "v"));
    }

    [Fact]
    public async Task A_vault_file_that_somebody_removed_is_missed()
    {
        await VaultCreation.CreateAsync(_folder.Open().Vault, Cancel);
        File.Delete(_folder.VaultFile);

        var error = await Assert.ThrowsAsync<VaultOpenException>(() => _folder.GetAsync("a"));
        Assert.Contains("is gone", error.Problem, StringComparison.Ordinal);
        await Assert.ThrowsAsync<VaultOpenException>(() => _folder.SetAsync("a", "v"));

        await VaultCreation.CreateAsync(_folder.Open().Vault, Cancel);
        await _folder.SetAsync("a", "v");
        Assert.Equal("v", await _folder.GetAsync("a"));
    }

    [Theory]
    [InlineData("absent/key")]
    [InlineData("file/key")]
    [InlineData("open.key")]
    [InlineData("no.key")]
    public async Task A_vault_that_could_not_be_begun_leaves_nothing_new(string key)
    {
        await File.WriteAllTextAsync(Path.Combine(_folder.Path, "file"), "a file", Cancel);
        await File.WriteAllTextAsync(Path.Combine(_folder.Path, "open.key"), "others can read it", Cancel);
        await File.WriteAllTextAsync(Path.Combine(_folder.Path, "no.key"), "no key", Cancel);
        File.SetUnixFileMode(Path.Combine(_folder.Path, "no.key"), UnixFileMode.UserRead | UnixFileMode.UserWrite);
        var before = Names();
        foreach (var directory in new[] { _folder.Vault, Path.Combine(_folder.Path, "a", "b", ".secrets") })
        {
            var options = new SecretsOptions { Directory = directory, KeyFile = Path.Combine(_folder.Path, key) };
            await Assert.ThrowsAnyAsync<SecretsException>(async () => await VaultCreation.CreateAsync(SecretsManager.Open(options).Vault, Cancel));
            Assert.Equal(before, Names());
        }
    }

    [Fact]
    public async Task A_vault_whose_ledger_could_not_be_begun_leaves_what_was_there_and_nothing_new()
    {
        Directory.CreateDirectory(_folder.Vault, OwnerAll);
        await File.WriteAllTextAsync(Path.Combine(_folder.Vault, "ledger"), "in the ledger's place", Cancel);
        var before = _folder.Photograph();

        await Assert.ThrowsAnyAsync<SecretsException>(async () => await VaultCreation.CreateAsync(_folder.Open().Vault, Cancel));
        Assert.Equal(before, _folder.Photograph());

        File.Delete(Path.Combine(_folder.Vault, "ledger"));
        await VaultCreation.CreateAsync(_folder.Open().Vault, Cancel);
        await _folder.SetAsync("a", "v");
        Assert.Equal("v", await _folder.GetAsync("a"));
    }

    [Fact]
    public async Task A_vault_is_begun_anew_where_one_with_a_ledger_was_removed()
    {
        await VaultCreation.CreateAsync(_folder.Open().Vault, Cancel);
        await _folder.SetAsync("a", "v");
        File.Delete(_folder.VaultFile);
        File.Delete(_folder.VaultFile + ".previous");

        await VaultCreation.CreateAsync(_folder.Open().Vault, Cancel);

        await _folder.SetAsync("a", "anew");
        Assert.Equal("anew", await _folder.GetAsync("a"));
        Assert.Single(Directory.GetDirectories(_folder.Vault, "ledger.2*"));
    }

    [Fact]
    public async Task A_folder_with_a_key_alone_as_Python_begins_it_takes_the_first_secret()
    {
        PythonProgram.Write(_folder.Vault, "{}");
        File.Delete(_folder.VaultFile);

        Assert.Null(await _folder.GetAsync("a"));
        await _folder.SetAsync("a", "v");
        Assert.Equal("v", await _folder.GetAsync("a"));
    }

    [Fact]
    public async Task A_link_to_what_is_not_there_is_no_empty_vault()
    {
        Directory.CreateSymbolicLink(_folder.Vault, Path.Combine(_folder.Path, "unmounted"));

        var error = await Assert.ThrowsAsync<VaultOpenException>(() => _folder.GetAsync("a"));
        Assert.Contains("unmounted", error.Problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_vault_that_was_read_and_is_gone_is_an_error_until_it_is_back(bool isMountPointLeft)
    {
        await VaultCreation.CreateAsync(_folder.Open().Vault, Cancel);
        await _folder.SetAsync("a", "v");
        var manager = SecretsManager.Open(_folder.Settings with { IsDirectoryNamed = false }, LedgerKind.Read);
        Assert.NotNull(await manager.GetAsync("a", Cancel));
        await manager.FlushAsync(Cancel);
        var away = _folder.Vault + ".away";

        Directory.Move(_folder.Vault, away);
        if (isMountPointLeft)
        {
            Directory.CreateDirectory(_folder.Vault, OwnerAll);
        }

        await manager.RefreshAsync(Cancel);
        using var other = SecretValue.FromString("other");
        Func<Task>[] uses =
        [
            async () => await manager.GetAsync("a", Cancel),
            async () => await manager.GetOrDefaultAsync("a", other, Cancel),
            async () => await manager.ListAsync(Cancel),
            async () => await manager.SetAsync("a", other, cancellationToken: Cancel),
        ];
        foreach (var use in uses)
        {
            var error = await Assert.ThrowsAsync<VaultOpenException>(use);
            Assert.Contains($"'{_folder.Vault}' is gone", error.Problem, StringComparison.Ordinal);
            Assert.Contains("put", error.Remedy, StringComparison.Ordinal);
            Assert.DoesNotContain("init", error.Remedy, StringComparison.Ordinal);
        }

        if (isMountPointLeft)
        {
            Directory.Delete(_folder.Vault, recursive: true);
        }

        Directory.Move(away, _folder.Vault);
        Assert.Equal("v", (await manager.GetRequiredAsync("a", Cancel)).RevealString());
    }

    [Fact]
    public async Task A_folder_of_other_things_does_not_become_a_vault_nor_get_advice_on_its_mode()
    {
        var project = Path.Combine(_folder.Path, "project");
        Directory.CreateDirectory(project);
        await File.WriteAllTextAsync(Path.Combine(project, ".gitignore"), "node_modules\n", Cancel);
        var before = _folder.Photograph();
        var manager = SecretsManager.Open(new SecretsOptions { Directory = project });

        Assert.DoesNotContain("chmod", (await Assert.ThrowsAsync<VaultOpenException>(async () => await manager.GetAsync("a", Cancel))).Remedy, StringComparison.Ordinal);
        var error = await Assert.ThrowsAsync<SecretsException>(async () => await VaultCreation.CreateAsync(manager.Vault, Cancel));

        Assert.Contains("project/.secrets", error.Remedy, StringComparison.Ordinal);
        Assert.Equal(before, _folder.Photograph());
    }

    [Fact]
    public async Task A_gitignore_that_is_there_is_added_to()
    {
        Directory.CreateDirectory(_folder.Vault, OwnerAll);
        await File.WriteAllTextAsync(Path.Combine(_folder.Vault, ".gitignore"), "mine", Cancel);

        await VaultCreation.CreateAsync(_folder.Open().Vault, Cancel);

        Assert.Equal("mine\n*\n", await File.ReadAllTextAsync(Path.Combine(_folder.Vault, ".gitignore"), Cancel));
    }

    [Fact]
    public async Task A_secret_file_of_the_reserved_name_harms_nothing()
    {
        await VaultCreation.CreateAsync(_folder.Open().Vault, Cancel);
        await _folder.SetAsync("a", "v");
        Plaintext.WriteSecretFile(_folder, "$mallku", "\"x\"");

        await _folder.SetAsync("b", "w");

        Assert.Equal("v", await _folder.GetAsync("a"));
        Assert.Equal("w", await _folder.GetAsync("b"));
    }

    [Fact]
    public async Task Those_who_ask_a_broken_vault_at_once_are_answered_at_once()
    {
        await VaultCreation.CreateAsync(_folder.Open().Vault, Cancel);
        await File.WriteAllTextAsync(_folder.VaultFile, "damaged", Cancel);
        var manager = _folder.Open();
        var began = Stopwatch.GetTimestamp();

        var answers = await Task.WhenAll(Enumerable.Range(0, 40).Select(i => Task.Run(
            async () => await Assert.ThrowsAsync<VaultOpenException>(async () => await manager.GetAsync("a" + i, Cancel)))));

        Assert.Equal(40, answers.Length);
        Assert.True(Stopwatch.GetElapsedTime(began) < TimeSpan.FromSeconds(5), "each waited for its own look");
    }

    private string[] Names() => [.. Directory.EnumerateFileSystemEntries(_folder.Path, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal)];
}
