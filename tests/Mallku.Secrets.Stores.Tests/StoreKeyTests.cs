using System.Text;

namespace Mallku.Secrets.Stores.Tests;

public sealed class StoreKeyTests
{
    private const string Known = "mallku1-000102030405060708090a0b0c0d0e0f-101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f";

    [Fact]
    public void A_key_is_read_as_it_was_written()
    {
        using var key = StoreKey.Parse(Encoding.UTF8.GetBytes($" {Known}\r\n"), "a test");
        Assert.Equal("000102030405060708090a0b0c0d0e0f", key.StoreId);
        using var text = key.ToText();
        Assert.Equal(Known, text.RevealString());
        using var made = StoreKey.Generate();
        using var other = StoreKey.Generate();
        Assert.NotEqual(made.StoreId, other.StoreId, StringComparer.Ordinal);
        using var again = made.ToText();
        Assert.Equal(made.StoreId, StoreKey.Parse(Encoding.UTF8.GetBytes(again.RevealString()), "a test").StoreId);
    }

    // computed with Python's hmac module by RFC 5869
    [Fact]
    public void What_is_derived_is_known()
    {
        using var key = StoreKey.Parse(Encoding.UTF8.GetBytes(Known), "a test");
        Assert.Equal("a1b43bf8acf2b8d55c487fb41986e6e7abfe3e8d03a729d39b61672fb44dd2cd", Convert.ToHexStringLower(key.Derive("mallku/v1/store-index"u8)));
    }

    [Theory]
    [InlineData("")]
    [InlineData("mallku1-")]
    [InlineData("mallku2-000102030405060708090a0b0c0d0e0f-101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f")]
    [InlineData("mallku1-000102030405060708090a0b0c0d0e0f_101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f")]
    [InlineData("mallku1-000102030405060708090a0b0c0d0e0g-101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f")]
    [InlineData("mallku1-000102030405060708090a0b0c0d0e0f-101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e")]
    public void What_is_none_is_refused_and_not_repeated(string text)
    {
        var refused = Assert.Throws<VaultOpenException>(() => StoreKey.Parse(Encoding.UTF8.GetBytes(text), "the variable MALLKU_STORE_KEY"));
        Assert.Contains("MALLKU_STORE_KEY", refused.Problem, StringComparison.Ordinal);
        Assert.DoesNotContain("2b2c2d", refused.Message, StringComparison.Ordinal);
    }
}
