using Mallku.Secrets.Stores.ArangoDb;

namespace Mallku.Secrets.Stores.Tests.ArangoDb;

public sealed class ArangoAddressTests
{
    [Theory]
    [InlineData("arangodb://db.example/keys", "https://db.example:8529/", "keys")]
    [InlineData("arangodb://db.example:1234/keys", "https://db.example:1234/", "keys")]
    [InlineData("arangodb://db.example", "https://db.example:8529/", "_system")]
    [InlineData("arangodb://db.example/", "https://db.example:8529/", "_system")]
    [InlineData("arangodb://db.example/a%20b", "https://db.example:8529/", "a b")]
    [InlineData("arangodb://db.example/keys?tls=false", "http://db.example:8529/", "keys")]
    [InlineData("arangodb://localhost/keys", "http://localhost:8529/", "keys")]
    [InlineData("arangodb://127.0.0.1/keys", "http://127.0.0.1:8529/", "keys")]
    [InlineData("arangodb://[::1]:99/keys", "http://[::1]:99/", "keys")]
    [InlineData("arangodb://[2001:db8::1]/keys", "https://[2001:db8::1]:8529/", "keys")]
    [InlineData("arangodb://localhost/keys?tls=true", "https://localhost:8529/", "keys")]
    public void Where_it_is(string text, string server, string database)
    {
        var address = ArangoAddress.Parse(text, password: null);
        Assert.Equal(server, address.Server.AbsoluteUri);
        Assert.Equal(database, address.Database);
        Assert.Null(address.User);
        Assert.Null(address.Password);
        Assert.Equal("mallku_", address.Prefix);
        Assert.False(address.IsBasic);
    }

    [Fact]
    public void Who_asks_and_how()
    {
        var address = ArangoAddress.Parse("arangodb://ann%40corp:p%3A%2F%C3%A9@db.example/keys?prefix=team-1_&auth=basic&ca=/etc/ca%20of%20us.pem", password: null);
        Assert.Equal("ann@corp", address.User);
        Assert.Equal("p:/é", address.Password);
        Assert.Equal("team-1_", address.Prefix);
        Assert.Equal("/etc/ca of us.pem", address.Authorities);
        Assert.True(address.IsBasic);
        Assert.Equal("ArangoDB db.example:8529/keys", address.ToString());
    }

    [Fact]
    public void A_password_comes_beside_the_address_or_is_empty_in_it()
    {
        Assert.Equal("beside", ArangoAddress.Parse("arangodb://ann@db.example/keys", "beside").Password);
        Assert.Equal("", ArangoAddress.Parse("arangodb://root:@localhost", password: null).Password);
        Assert.Equal("access.token", ArangoAddress.Parse("arangodb://db.example/keys", "access.token").Password);
    }

    [Theory]
    [InlineData("")]
    [InlineData("s3cr3t")]
    [InlineData("http://ann:s3cr3t@db.example/keys")]
    [InlineData("arangodb:///keys")]
    [InlineData("arangodb://ann:s3cr3t@db.example:x/keys")]
    [InlineData("arangodb://ann:s3cr3t@db.example/keys#part")]
    [InlineData("arangodb://ann:s3cr3t@db.example/keys/more")]
    [InlineData("arangodb://ann:s3cr3t@db.example/a%2Fb")]
    [InlineData("arangodb://ann:s3cr3t@db.example/..%2Fx")]
    [InlineData("arangodb://ann@db.example/keys")]
    [InlineData("arangodb://a%3Ann:s3cr3t@db.example/keys")]
    [InlineData("arangodb://ann:s3cr3t%0A@db.example/keys")]
    [InlineData("arangodb://ann:s3cr3t@db.example/keys?password=s3cr3t")]
    [InlineData("arangodb://ann:s3cr3t@db.example/keys?s3cr3t")]
    [InlineData("arangodb://ann:s3cr3t@db.example/keys?tls=s3cr3t")]
    [InlineData("arangodb://ann:s3cr3t@db.example/keys?tls=true&tls=false")]
    [InlineData("arangodb://ann:s3cr3t@db.example/keys?tls=false&ca=/x")]
    [InlineData("arangodb://ann:s3cr3t@db.example/keys?auth=s3cr3t")]
    [InlineData("arangodb://ann:s3cr3t@db.example/keys?prefix=")]
    [InlineData("arangodb://ann:s3cr3t@db.example/keys?prefix=_s3cr3t")]
    [InlineData("arangodb://ann:s3cr3t@db.example/keys?prefix=s3cr3t%2F")]
    public void What_is_no_address_is_refused_and_not_repeated(string text)
    {
        var refusal = Assert.Throws<SecretsException>(() => ArangoAddress.Parse(text, password: null));
        Assert.DoesNotContain("s3cr3t", refusal.ToString(), StringComparison.Ordinal);
        Assert.NotEmpty(refusal.Remedy);
    }

    [Fact]
    public void Two_passwords_are_refused()
    {
        var refusal = Assert.Throws<SecretsException>(() => ArangoAddress.Parse("arangodb://ann:s3cr3t@db.example/keys", "0th3r"));
        Assert.DoesNotContain("s3cr3t", refusal.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("0th3r", refusal.ToString(), StringComparison.Ordinal);
    }
}
