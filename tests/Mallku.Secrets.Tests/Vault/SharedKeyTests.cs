using Mallku.Secrets.Vault;

namespace Mallku.Secrets.Tests.Vault;

/// <summary>Several vaults under one key file that lies apart, as <c>MALLKU_KEY_FILE</c> in a profile makes them.</summary>
public sealed class SharedKeyTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_rotation_for_one_vault_leaves_the_others_open_and_their_next_write_follows()
    {
        var (one, other) = (await CreateAsync("one"), await CreateAsync("other"));
        await SetAsync(one, "a", "of one");
        await SetAsync(other, "a", "of the other");
        await SetAsync(other, "a", "of the other again");

        await VaultKeys.RotateAsync(one.Vault, Cancel);
        await VaultKeys.RotateAsync(one.Vault, Cancel);

        Assert.Equal("of the other again", await GetAsync("other"));
        await SetAsync(Open("other"), "b", "more");
        File.Delete(KeyFile + ".previous");
        Assert.Equal("of one", await GetAsync("one"));
        Assert.Equal("of the other again", await GetAsync("other"));
    }

    [Fact]
    public async Task Many_rotations_for_one_vault_leave_one_that_Python_began_open()
    {
        var one = await CreateAsync("one");
        await SetAsync(one, "a", "of one");
        Directory.CreateDirectory(Path.Combine(_folder.Path, "python"), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        File.Copy(KeyFile, Path.Combine(_folder.Path, "python", ".encryption.key"));
        PythonProgram.Write(Path.Combine(_folder.Path, "python"), """{"a": "of Python"}""");
        File.Delete(Path.Combine(_folder.Path, "python", ".encryption.key"));
        for (var i = 0; i < 15; i++)
        {
            await VaultKeys.RotateAsync(one.Vault, Cancel);
        }

        Assert.Equal("of Python", await GetAsync("python"));
        await SetAsync(Open("python"), "b", "more");
        Assert.Equal("of Python", await GetAsync("python"));
    }

    [Fact]
    public async Task A_write_to_one_vault_leaves_the_interrupted_rotation_of_another_alone()
    {
        var (one, other) = (await CreateAsync("one"), await CreateAsync("other"));
        await SetAsync(one, "a", "of one");

        var keys = one.Vault.Settings.Keys;
        await RotateHalfAsync(one.Vault);

        await SetAsync(other, "a", "of the other");
        await VaultKeys.RotateAsync(other.Vault, Cancel);

        Assert.Equal("of one", await GetAsync("one"));
        await SetAsync(Open("one"), "b", "more");
        Assert.Equal("of one", await GetAsync("one"));
        Assert.Equal("of the other", await GetAsync("other"));
        Assert.False(File.Exists(keys.NextPath));
    }

    [Fact]
    public async Task Vaults_that_are_made_at_once_agree_on_the_key()
    {
        var names = Enumerable.Range(0, 8).Select(i => "vault" + i).ToList();
        await Task.WhenAll(names.Select(name => Task.Run(() => CreateAsync(name))));
        foreach (var name in names)
        {
            await SetAsync(Open(name), "a", name);
            Assert.Equal(name, await GetAsync(name));
        }
    }

    [Fact]
    public async Task A_key_that_is_a_link_is_not_replaced_by_a_file()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        File.Move(folder.KeyFile, KeyFile);
        File.CreateSymbolicLink(folder.KeyFile, KeyFile);
        var before = folder.PhotographVault();

        var error = await Assert.ThrowsAsync<SecretsException>(async () => await VaultKeys.RotateAsync(folder.Open().Vault, Cancel));

        Assert.Contains("MALLKU_KEY_FILE", error.Remedy, StringComparison.Ordinal);
        Assert.Equal(before, folder.PhotographVault());
        Assert.Equal("a1", await folder.GetAsync("a"));
    }

    [Fact]
    public async Task A_key_in_another_vaults_folder_is_refused()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        var manager = SecretsManager.Open(new SecretsOptions { Directory = Path.Combine(_folder.Path, "other"), KeyFile = folder.KeyFile });

        var error = await Assert.ThrowsAsync<VaultOpenException>(async () => await VaultCreation.CreateAsync(manager.Vault, Cancel));

        Assert.Contains("another vault", error.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_key_in_a_secrets_folder_without_a_vault_is_a_key_like_any_other()
    {
        var home = Path.Combine(_folder.Path, "home", ".secrets");
        Directory.CreateDirectory(home, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var manager = SecretsManager.Open(new SecretsOptions { Directory = Path.Combine(_folder.Path, "other"), KeyFile = Path.Combine(home, "k") });

        await VaultCreation.CreateAsync(manager.Vault, Cancel);
        await SetAsync(manager, "a", "a1");
        await VaultKeys.RotateAsync(manager.Vault, Cancel);

        Assert.Equal("a1", (await manager.GetRequiredAsync("a", Cancel)).RevealString());
    }

    [Theory]
    [InlineData("mallku-secrets.json.encrypted")]
    [InlineData("mallku-secrets.json.encrypted.previous")]
    [InlineData(".lock")]
    [InlineData("legacy.secret")]
    public async Task A_key_in_a_folder_that_has_files_of_a_vault_is_refused(string file)
    {
        var home = Path.Combine(_folder.Path, "home", ".secrets");
        Directory.CreateDirectory(home, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var manager = SecretsManager.Open(new SecretsOptions { Directory = Path.Combine(_folder.Path, "other"), KeyFile = Path.Combine(home, "k") });
        await VaultCreation.CreateAsync(manager.Vault, Cancel);
        await File.WriteAllTextAsync(Path.Combine(home, file), "", Cancel);

        await manager.RefreshAsync(Cancel);
        await Assert.ThrowsAsync<VaultOpenException>(async () => await VaultKeys.RotateAsync(manager.Vault, Cancel));
    }

    [Fact]
    public async Task The_next_key_of_a_vault_that_was_moved_away_is_not_lost()
    {
        var one = await CreateAsync("one");
        await SetAsync(one, "a", "precious");
        await SetAsync(one, "a", "more precious");
        await RotateHalfAsync(one.Vault);
        Directory.Move(Path.Combine(_folder.Path, "one"), Path.Combine(_folder.Path, "moved"));

        await SetAsync(await CreateAsync("one"), "a", "anew");

        Assert.Equal("more precious", await GetAsync("moved"));
    }

    [Fact]
    public async Task A_key_that_is_moved_with_what_lies_beside_it_opens_after_a_rotation_that_was_cut_off()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        var vault = folder.Open().Vault;
        await RotateHalfAsync(vault);

        // another spelling of the vault's own folder
        Directory.CreateSymbolicLink(Path.Combine(_folder.Path, "link"), folder.Vault);
        var linked = SecretsManager.Open(folder.Options with { KeyFile = Path.Combine(_folder.Path, "link", ".encryption.key") });
        Assert.Equal("a1", (await linked.GetRequiredAsync("a", Cancel)).RevealString());

        File.Move(folder.KeyFile, KeyFile);
        File.Move(folder.KeyFile + ".next", KeyFile + ".next");
        var moved = SecretsManager.Open(folder.Options with { KeyFile = KeyFile });
        Assert.Equal("a1", (await moved.GetRequiredAsync("a", Cancel)).RevealString());
        await SetAsync(moved, "b", "b1");
        Assert.False(File.Exists(KeyFile + ".next"));
        Assert.Equal("a1", (await SecretsManager.Open(folder.Options with { KeyFile = KeyFile }).GetRequiredAsync("a", Cancel)).RevealString());
    }

    private string KeyFile => Path.Combine(_folder.Path, "shared.key");

    private SecretsManager Open(string name) =>
        SecretsManager.Open(new SecretsOptions { Directory = Path.Combine(_folder.Path, name), KeyFile = KeyFile });

    private async Task<SecretsManager> CreateAsync(string name)
    {
        var manager = Open(name);
        await VaultCreation.CreateAsync(manager.Vault, Cancel);
        return manager;
    }

    private static async Task SetAsync(SecretsManager manager, string name, string value)
    {
        using var secret = SecretValue.FromString(value);
        await manager.SetAsync(name, secret, cancellationToken: Cancel);
    }

    // as a kill leaves it after the vault was encrypted under the next key
    private static ValueTask<bool> RotateHalfAsync(FileVault vault) => vault.WriteAsync(
        async opened =>
        {
            using var plaintext = await vault.Writer.CommitAsync(opened.Document, opened.Document.Generation, []);
            vault.Writer.Replace(plaintext, vault.Settings.Keys.PrepareNext());
            return true;
        },
        Cancel);

    private async Task<string?> GetAsync(string name) => (await Open(name).GetAsync("a", Cancel))?.RevealString();
}
