using Mallku.Secrets.Crypto;
using Mallku.Secrets.Vault;

namespace Mallku.Secrets.Tests.Vault;

/// <summary>Files that are damaged, cut off, gone, or under another key are errors, never an empty vault.</summary>
public sealed class VaultDamageTests
{
    private const UnixFileMode PrivateFile = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_flipped_bit_at_any_position_is_an_error()
    {
        using var folder = await SmallVaultAsync();
        var token = await File.ReadAllBytesAsync(folder.VaultFile, Cancel);
        // one that leaves the alphabet, one that changes the case, one that changes the sextet by one
        byte[] bits = [0x80, 0x20, 0x01];
        await Task.WhenAll(Enumerable.Range(0, token.Length).SelectMany(_ => bits, (position, bit) => Task.Run(
            async () =>
            {
                byte[] damaged = [.. token];
                damaged[position] ^= bit;
                await AssertRefusedAsync(folder, damaged, "does not open");
            },
            Cancel)));
    }

    [Fact]
    public async Task A_file_that_is_cut_off_anywhere_is_an_error()
    {
        using var folder = await SmallVaultAsync();
        var token = await File.ReadAllBytesAsync(folder.VaultFile, Cancel);
        await Task.WhenAll(Enumerable.Range(0, token.Length).Select(length => Task.Run(
            () => AssertRefusedAsync(folder, token[..length], length == 0 ? "is empty" : "does not open"),
            Cancel)));
    }

    [Theory]
    [InlineData(" \n\t\r\n", "is empty")]
    [InlineData("{\"a\":\"sk-canary\"}", "does not open")]
    [InlineData("not a token", "does not open")]
    public async Task A_file_that_is_no_token_is_an_error(string content, string problem)
    {
        using var folder = await SmallVaultAsync();
        await AssertRefusedAsync(folder, System.Text.Encoding.UTF8.GetBytes(content), problem);
    }

    [Fact]
    public async Task Two_tokens_after_each_other_are_an_error()
    {
        using var folder = await SmallVaultAsync();
        var token = await File.ReadAllBytesAsync(folder.VaultFile, Cancel);
        await AssertRefusedAsync(folder, [.. token, .. token], "does not open");
        await AssertRefusedAsync(folder, [.. token, (byte)'\n', .. token], "does not open");
    }

    [Fact]
    public async Task Another_key_is_an_error_wherever_it_comes_from()
    {
        using var folder = await SmallVaultAsync();
        using var other = Fernet.GenerateKey();
        Assert.Contains("MALLKU_ENCRYPTION_KEY", await RequireReadsAsync(folder, folder.Options with { Key = other }), StringComparison.Ordinal);

        var keyFile = Path.Combine(folder.Path, "other.key");
        await File.WriteAllTextAsync(keyFile, other.RevealString(), Cancel);
        File.SetUnixFileMode(keyFile, PrivateFile);
        Assert.Contains(keyFile, await Refusal.RequireAsync(folder, folder.Options with { KeyFile = keyFile }), StringComparison.Ordinal);

        File.Copy(keyFile, folder.KeyFile, overwrite: true);
        Assert.Contains(folder.KeyFile, await Refusal.RequireAsync(folder), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "no key")]
    [InlineData("garbage", "no key")]
    [InlineData("bWFsbGt1LXNlY3JldHMtc2lnbi1lbmNyeXB0LWtleTE", "no key")]
    [InlineData("bWFsbGt1LXNlY3JldHMtc2lnbi1lbmNyeXB0LWtleTE==", "no key")]
    [InlineData("bWFsbGt1LXNlY3JldHMtc2lnbi1lbmNyeXB0LWtleT+=", "no key")]
    [InlineData("{\"format\":1,\"slots\":[]}", "newer mallku")]
    public async Task A_key_file_that_holds_no_plain_key_is_an_error(string content, string said)
    {
        using var folder = await SmallVaultAsync();
        await File.WriteAllTextAsync(folder.KeyFile, content, Cancel);
        var error = await Refusal.RequireAsync(folder);
        Assert.Contains(folder.KeyFile, error, StringComparison.Ordinal);
        Assert.Contains(said, error, StringComparison.Ordinal);
        if (content.Length > 0)
        {
            Assert.DoesNotContain(content, error, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_key_that_is_gone_is_an_error_and_none_is_made_in_its_place()
    {
        using var folder = await SmallVaultAsync();
        File.Delete(folder.KeyFile);
        Assert.Contains($"'{folder.KeyFile}' is gone", await Refusal.RequireAsync(folder), StringComparison.Ordinal);
        var error = await Assert.ThrowsAsync<SecretsException>(async () => await VaultCreation.CreateAsync(folder.Open().Vault, Cancel));
        Assert.Contains("already", error.Problem, StringComparison.Ordinal);
        Assert.False(File.Exists(folder.KeyFile));
    }

    [Fact]
    public async Task A_vault_that_is_gone_while_its_former_state_is_there_is_an_error_with_the_way_back()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", Refusal.Canary);
        await folder.SetAsync("b", "other");
        File.Delete(folder.VaultFile);
        Assert.Contains("mallku key recover", await Refusal.RequireAsync(folder), StringComparison.Ordinal);
        await Assert.ThrowsAsync<SecretsException>(async () => await VaultCreation.CreateAsync(folder.Open().Vault, Cancel));

        await VaultRecovery.RecoverAsync(folder.Open().Vault, asIs: false, Cancel);
        Assert.Equal(Refusal.Canary, await folder.GetAsync("a"));
    }

    [Theory]
    [InlineData("")]
    [InlineData(" ")]
    [InlineData("[]")]
    [InlineData("[{\"a\":\"sk-canary\"}]")]
    [InlineData("\"sk-canary\"")]
    [InlineData("5")]
    [InlineData("null")]
    [InlineData("NaN")]
    [InlineData("{")]
    [InlineData("{\"a\":\"sk-canary\"")]
    [InlineData("{\"a\":\"sk-canary")]
    [InlineData("{\"a\":\"sk-canary\"}x")]
    [InlineData("{\"a\":\"sk-canary\"}{}")]
    [InlineData("{\"a\":\"sk-canary\"}\0")]
    [InlineData("{\"a\":\"sk-canary\"}NaN")]
    [InlineData("{\"a\":\"sk-canary\",}")]
    [InlineData("{\"a\":\"sk-canary\"/**/}")]
    [InlineData("{'a':'sk-canary'}")]
    [InlineData("{\"a\":\"sk-canary\n\"}")]
    [InlineData("{\"a\":1NaN}")]
    [InlineData("{\"a\":NaN1}")]
    [InlineData("{\"a\":-NaN}")]
    [InlineData("{\"a\":1.Infinity}")]
    [InlineData("{\"a\":Infinity0}")]
    [InlineData("{\"a\":nan}")]
    [InlineData("\ufeff{}")]
    public async Task A_plaintext_that_is_no_JSON_object_is_an_error(string plaintext)
    {
        using var folder = await SmallVaultAsync();
        Plaintext.Write(folder, plaintext);
        Assert.Contains(folder.VaultFile, await Refusal.RequireAsync(folder), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(999, false)]
    [InlineData(1000, true)]
    [InlineData(100_000, true)]
    public async Task More_than_1000_levels_are_an_error(int levelsInTheObject, bool isRefused)
    {
        using var folder = await SmallVaultAsync();
        Plaintext.Write(folder, $$"""{"a":"{{Refusal.Canary}}","deep":{{new string('[', levelsInTheObject)}}{{new string(']', levelsInTheObject)}}}""");
        if (isRefused)
        {
            await Refusal.RequireAsync(folder);
        }
        else
        {
            Assert.Equal(Refusal.Canary, await folder.GetAsync("a"));
        }
    }

    /// <summary>As another program begins one; it has no former file.</summary>
    private static async Task<TemporaryFolder> SmallVaultAsync()
    {
        var folder = await TemporaryFolder.WithVaultAsync();
        Plaintext.Write(folder, $$"""{"a":"{{Refusal.Canary}}"}""");
        return folder;
    }

    private static async Task AssertRefusedAsync(TemporaryFolder original, byte[] damaged, string problem)
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder.Vault, PrivateFile | UnixFileMode.UserExecute);
        foreach (var file in Directory.EnumerateFiles(original.Vault))
        {
            File.Copy(file, Path.Combine(folder.Vault, Path.GetFileName(file)));
        }

        await File.WriteAllBytesAsync(folder.VaultFile, damaged, Cancel);
        Assert.Contains(problem, await Refusal.RequireAsync(folder), StringComparison.Ordinal);
    }

    // a key that is given can't be rotated at all
    private static Task<string> RequireReadsAsync(TemporaryFolder folder, SecretsOptions options)
    {
        Func<SecretsManager, Task>[] uses =
        [
            async manager => await manager.GetAsync("a", Cancel),
            async manager => await manager.ListAsync(Cancel),
            async manager => await manager.RemoveAsync("a", Cancel),
        ];
        return Refusal.RequireAsync(folder, options, uses);
    }
}
