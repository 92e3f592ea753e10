using Mallku.Secrets.Stores.Etcd;

namespace Mallku.Secrets.Stores.Tests.Etcd;

public sealed class EtcdUrlTests
{
    private const string Canary = "canary-5Yq";

    [Theory]
    [InlineData("etcd://localhost", "http://localhost:2379/", "mallku")]
    [InlineData("etcd://127.0.0.1:1,[::1],localhost:65535/a.B_c-1", "http://127.0.0.1:1/ http://[::1]:2379/ http://localhost:65535/", "a.B_c-1")]
    [InlineData("etcd://one:2379,TWO/", "https://one:2379/ https://two:2379/", "mallku")]
    [InlineData("etcd://one/p?tls=false", "http://one:2379/", "p")]
    [InlineData("etcd://localhost?tls=true", "https://localhost:2379/", "mallku")]
    [InlineData("ETCD://[2001:db8::1]:4001", "https://[2001:db8::1]:4001/", "mallku")]
    public void Hosts_and_prefix_are_read(string text, string endpoints, string prefix)
    {
        var url = EtcdUrl.Parse(text, password: null);
        Assert.Equal(endpoints, string.Join(' ', url.Endpoints));
        Assert.Equal(prefix, url.Prefix);
    }

    [Theory]
    [InlineData("etcd://me:p%40%2F%3F%3A%25,@one", "me", "p@/?:%,")]
    [InlineData("etcd://m%3Ae:a:b@c@one,two/p", "m:e", "a:b@c")]
    public void A_user_and_a_password_are_read(string text, string user, string password)
    {
        var url = EtcdUrl.Parse(text, password: null);
        Assert.Equal(user, url.User);
        Assert.Equal(password, url.Password!.RevealString());
        Assert.DoesNotContain(password, url.Description, StringComparison.Ordinal);
    }

    [Fact]
    public void A_password_can_be_given_beside_it()
    {
        using var password = SecretValue.FromString(Canary);
        Assert.Equal(Canary, EtcdUrl.Parse("etcd://me@one", password).Password!.RevealString());
        Assert.Throws<SecretsException>(() => EtcdUrl.Parse($"etcd://me:{Canary}@one", password));
        Assert.Throws<SecretsException>(() => EtcdUrl.Parse("etcd://one", password));
    }

    [Fact]
    public void The_ways_of_speaking_are_read()
    {
        var url = EtcdUrl.Parse("etcd://me@one/p?tls=true&ca=/a%20b/ca.pem&cert=/c.pem&key=/k.pem&timeout=3", password: null);
        Assert.Equal("/a b/ca.pem", url.Root);
        Assert.Equal(("/c.pem", "/k.pem"), url.Client);
        Assert.Equal(TimeSpan.FromSeconds(3), url.Timeout);
        Assert.Equal("etcd at one:2379, prefix p", url.Description);
    }

    [Theory]
    [InlineData("http://one")]
    [InlineData("etcd://")]
    [InlineData("etcd:///p")]
    [InlineData("etcd://one,,two")]
    [InlineData("etcd://one:0")]
    [InlineData("etcd://one:65536")]
    [InlineData("etcd://one: 1")]
    [InlineData("etcd://one:2379:2379")]
    [InlineData("etcd://::1")]
    [InlineData("etcd://[::1")]
    [InlineData("etcd://one two")]
    [InlineData("etcd://one/a/b")]
    [InlineData("etcd://one/a b")]
    [InlineData("etcd://one?tls=yes")]
    [InlineData("etcd://one?tls=true&tls=true")]
    [InlineData("etcd://one?tls")]
    [InlineData("etcd://one?what=1")]
    [InlineData("etcd://one?cert=/c")]
    [InlineData("etcd://one?key=/c")]
    [InlineData("etcd://one?tls=false&ca=/c")]
    [InlineData("etcd://localhost?ca=/c")]
    [InlineData("etcd://one?timeout=0")]
    [InlineData("etcd://one?timeout=61")]
    [InlineData("etcd://me@one")]
    [InlineData("etcd://:" + Canary + "@one")]
    [InlineData("etcd://me:" + Canary + "/x@one")]
    [InlineData("etcd://me:" + Canary + "?x@one")]
    [InlineData("etcd://me:12/" + Canary + "@one")]
    [InlineData("etcd://me:12?" + Canary + "=1@one")]
    [InlineData("etcd://one/p@" + Canary)]
    public void What_is_no_address_is_refused_without_being_repeated(string text)
    {
        var refused = Assert.Throws<SecretsException>(() => EtcdUrl.Parse(text, password: null));
        Assert.DoesNotContain(Canary, refused.ToString(), StringComparison.Ordinal);
        Assert.StartsWith("the URL of the etcd cluster ", refused.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void A_certificate_that_is_none_is_refused()
    {
        using var folder = new Mallku.Secrets.Tests.TemporaryFolder();
        var none = Path.Combine(folder.Path, "none.pem");
        foreach (var more in new[] { $"ca={none}", $"cert={none}&key={none}" })
        {
            Assert.Contains(none, Assert.Throws<SecretsException>(() => EtcdRecordStore.Open($"etcd://one?{more}")).Problem, StringComparison.Ordinal);
            File.WriteAllText(none, "no certificate");
            Assert.Throws<SecretsException>(() => EtcdRecordStore.Open($"etcd://one?{more}"));
        }
    }
}
