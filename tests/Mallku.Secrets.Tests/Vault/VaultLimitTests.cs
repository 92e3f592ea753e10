using Mallku.Secrets.Vault;

namespace Mallku.Secrets.Tests.Vault;

/// <summary>Which values and names a vault takes; what it refuses changes nothing.</summary>
public sealed class VaultLimitTests
{
    private const int MostBytes = 1 << 20;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("x")]
    [InlineData("\0")]
    [InlineData("\"")]
    [InlineData("ß")]
    [InlineData("🦙")]
    public async Task A_value_of_exactly_1_MiB_is_kept_and_one_byte_more_is_refused(string unit)
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        var longest = string.Concat(Enumerable.Repeat(unit, MostBytes / System.Text.Encoding.UTF8.GetByteCount(unit)));
        await folder.SetAsync("key", longest);
        Assert.True(longest == await folder.GetAsync("key"), "another value came back");

        await AssertRefusedAsync<SecretsException>(folder, () => folder.SetAsync("key", longest + "x"));
        await AssertRefusedAsync<SecretsException>(folder, () => folder.SetAsync("other", longest + "x"));
    }

    [Fact]
    public async Task An_empty_value_is_refused_unless_it_is_asked_for()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("key", "value");
        await AssertRefusedAsync<SecretsException>(folder, () => folder.SetAsync("key", ""));

        using var empty = SecretValue.FromString("");
        await folder.Open().SetAsync("key", empty, new SetOptions { AllowEmpty = true }, Cancel);
        Assert.Equal("", await folder.GetAsync("key"));
    }

    [Fact]
    public async Task One_bad_value_of_many_refuses_them_all()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("two", "before");
        using SecretValue good = SecretValue.FromString("good"), empty = SecretValue.FromString("");
        KeyValuePair<SecretName, SecretValue>[] many = [new(SecretName.Parse("one"), good), new(SecretName.Parse("two"), empty)];
        await AssertRefusedAsync<SecretsException>(folder, async () => await folder.Open().Vault.SetAsync(many, new SetOptions(), Cancel));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(255)]
    public async Task A_name_of_that_length_is_kept(int length)
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        var name = new string('n', length);
        Assert.Equal(name, (await folder.SetAsync(name, "value")).Name);
        Assert.Equal("value", await folder.GetAsync(name));
        Assert.Equal(name, Assert.Single(await folder.Open().ListAsync(Cancel)).Name);
    }

    [Theory]
    [InlineData("")]
    [InlineData("a/b")]
    [InlineData("a\n")]
    [InlineData("a\0")]
    [InlineData(" a")]
    [InlineData("ä")]
    [InlineData("$mallku")]
    [InlineData(null)]
    public async Task A_name_that_breaks_the_rules_is_refused(string? name)
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "value");
        var tooLong = new string('n', 256);
        await AssertRefusedAsync<SecretNameException>(folder, () => folder.SetAsync(name ?? tooLong, "not written"));
        await AssertRefusedAsync<SecretNameException>(folder, () => folder.GetAsync(name ?? tooLong));
    }

    [Fact]
    public async Task A_set_does_not_write_under_a_loose_match_that_is_no_name()
    {
        // the Kelvin sign is a k in lower case
        const string kelvin = "my_\u212Aey";
        using var folder = await TemporaryFolder.WithVaultAsync();
        Plaintext.Write(folder, $$"""{"{{kelvin}}":"theirs"}""");
        await AssertRefusedAsync<SecretNameException>(folder, () => folder.SetAsync("my_key", "not written"));
        Assert.Equal("theirs", await folder.GetAsync("my_key"));
    }

    [Theory]
    [InlineData(994, true)]
    [InlineData(995, false)]
    [InlineData(999, false)]
    public async Task A_value_too_deep_to_be_kept_with_its_versions_is_read_and_stops_a_write_before_it_harms(int depth, bool fits)
    {
        var deep = new string('[', depth) + new string(']', depth);
        using var folder = await TemporaryFolder.WithVaultAsync();
        Plaintext.Write(folder, $$"""{"deep":{{deep}},"a":"v"}""");
        Assert.Equal(deep, await folder.GetAsync("deep"));
        if (fits)
        {
            await folder.SetAsync("a", "changed");
        }
        else
        {
            await AssertRefusedAsync<SecretsException>(folder, () => folder.SetAsync("a", "not written"));
            await AssertRefusedAsync<SecretsException>(folder, async () => await VaultKeys.RotateAsync(folder.Open().Vault, Cancel));
            await folder.Open().RemoveAsync("deep", Cancel);
        }

        Assert.Equal(fits ? deep : null, await folder.GetAsync("deep"));
        Assert.Equal(fits ? "changed" : "v", await folder.GetAsync("a"));
    }

    private static async Task AssertRefusedAsync<T>(TemporaryFolder folder, Func<Task> use)
        where T : SecretsException
    {
        var before = folder.Photograph();
        var error = await Assert.ThrowsAsync<T>(use);
        Assert.NotEmpty(error.Remedy);
        Assert.Equal(before, folder.Photograph());
    }
}
