using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Mallku.ArangoDb.TestServer;
using Mallku.Secrets.Tests;
using Microsoft.Extensions.Time.Testing;

namespace Mallku.Secrets.Stores.Tests.ArangoDb;

/// <summary>Who may, by what way, and what is never told about it.</summary>
public sealed class ArangoAccessTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("?auth=basic")]
    [InlineData("?auth=jwt")]
    public async Task Neither_a_password_nor_a_token_is_in_what_is_shown(string settings)
    {
        const string password = "s3cr3t/§x";
        await using var server = await ArangoPlace.EmulateAsync(static options => options with { Password = password });
        var shown = new StringBuilder();
        await using (var store = ArangoPlace.Open(server, settings, password))
        {
            shown.AppendLine(store.Description);
            await Note(store);
            await store.PrepareAsync(Token);
            foreach (var mishap in Enum.GetValues<Mishap>().Where(static mishap => mishap is not Mishap.Hangs))
            {
                server.Mishaps(_ => mishap);
                await Note(store);
            }

            server.Mishaps(static request => request.StartsWith("GET", StringComparison.Ordinal) ? Mishap.Hangs : Mishap.IsUnavailable);
            await Note(store);
            server.Mishaps(static _ => Mishap.None);
        }

        await using (var wrong = ArangoPlace.Open(server, settings, password + "no"))
        {
            await Note(wrong);
        }

        var text = shown.ToString();
        Assert.Contains("refuses the user or the password", text, StringComparison.Ordinal);
        var tokens = settings == "?auth=jwt" ? server.Tokens : [];
        Assert.Equal(settings == "?auth=jwt", tokens.Count > 0);
        Assert.All(
            [password, Uri.EscapeDataString(password), Base64(password), Base64($"mallku:{password}"), "Bearer", "Basic", .. tokens],
            secret => Assert.DoesNotContain(secret, text, StringComparison.Ordinal));

        static string Base64(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));

        async Task Note(IRecordStore store)
        {
            foreach (var call in ArangoFaultTests.Calls(store))
            {
                if (await Record.ExceptionAsync(() => call().WaitAsync(TimeSpan.FromSeconds(1), Token)) is { } thrown)
                {
                    shown.AppendLine(thrown.ToString());
                }
            }
        }
    }

    [Fact]
    public async Task A_token_that_has_run_out_is_replaced_by_one_for_all()
    {
        var clock = new FakeTimeProvider();
        await using var server = await ArangoPlace.EmulateAsync(options => options with { Clock = clock });
        await using var store = ArangoPlace.Open(server);
        await store.PrepareAsync(Token);
        Assert.Single(server.Tokens);
        clock.Advance(TimeSpan.FromHours(2));
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => store.ReadAsync(new(RecordKind.Secret, "a"), Token).AsTask()));
        Assert.Equal(2, server.Tokens.Count);
        server.ForgetTokens();
        Assert.True(await store.WriteAsync([new RecordWrite(new(RecordKind.Secret, "a"), null, "{}"u8.ToArray())], Token));
        Assert.Equal(3, server.Tokens.Count);
    }

    [Fact]
    public async Task A_password_that_was_changed_since_is_named()
    {
        await using var server = await ArangoPlace.EmulateAsync();
        foreach (var settings in new[] { "?auth=jwt", "?auth=basic" })
        {
            await using var store = ArangoPlace.Open(server, settings, "former");
            var refusal = await Assert.ThrowsAsync<SecretsException>(async () => await store.ReadAsync(new(RecordKind.Secret, "a"), Token));
            Assert.Contains("refuses the user or the password", refusal.Problem, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task What_is_not_prepared_or_not_there_is_named()
    {
        await using var server = await ArangoPlace.EmulateAsync();
        await using var store = ArangoPlace.Open(server);
        foreach (var call in ArangoFaultTests.Calls(store).Skip(1))
        {
            var missing = await Assert.ThrowsAsync<SecretsException>(call);
            Assert.Contains("SharedStore.CreateAsync", missing.Remedy, StringComparison.Ordinal);
        }

        await using var elsewhere = Stores.ArangoDb.ArangoRecordStore.Open($"arangodb://mallku:{Uri.EscapeDataString("pass: wörd/§1")}@{server.Address.Authority}/other");
        foreach (var call in ArangoFaultTests.Calls(elsewhere))
        {
            Assert.Contains("does not exist", (await Assert.ThrowsAsync<SecretsException>(call)).Problem, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("single", true)]
    [InlineData("flexible", false)]
    [InlineData("", false)]
    public async Task A_cluster_is_used_only_where_all_records_are_in_one_place(string sharding, bool isUsed)
    {
        await using var server = await ArangoPlace.EmulateAsync(options => options with { Sharding = sharding });
        await using var store = ArangoPlace.Open(server);
        var thrown = await Record.ExceptionAsync(async () => await store.PrepareAsync(Token));
        Assert.Equal(isUsed, thrown is null);
        Assert.Equal(!isUsed, thrown is SecretsException { Remedy: "use a database of one shard: {\"sharding\": \"single\"}" });
    }

    [Fact]
    public async Task A_certificate_is_trusted_by_the_authority_that_is_named()
    {
        using var folder = new TemporaryFolder();
        using var authority = Authority();
        using var other = Authority();
        using var certificate = ForLoopback(authority);
        await using var server = await ArangoPlace.EmulateAsync(options => options with { Certificate = certificate });
        await using (var store = ArangoPlace.Open(server, $"?tls=true&ca={Save(authority, "ca.pem")}"))
        {
            await store.PrepareAsync(Token);
            Assert.Null(await store.ReadAsync(new(RecordKind.Secret, "a"), Token));
        }

        foreach (var settings in new[] { "?tls=true", $"?tls=true&ca={Save(other, "other.pem")}" })
        {
            await using var store = ArangoPlace.Open(server, settings);
            var fault = await Assert.ThrowsAsync<SecretsException>(async () => await store.ReadAsync(new(RecordKind.Secret, "a"), Token));
            Assert.Contains("is not trusted, or has no TLS", fault.Problem, StringComparison.Ordinal);
        }

        Assert.Empty(server.Tokens.Skip(1));
        Assert.Throws<SecretsException>(() => ArangoPlace.Open(server, $"?tls=true&ca={folder.Path}/none.pem"));
        await File.WriteAllTextAsync($"{folder.Path}/empty.pem", "", Token);
        Assert.Throws<SecretsException>(() => ArangoPlace.Open(server, $"?tls=true&ca={folder.Path}/empty.pem"));

        string Save(X509Certificate2 one, string name)
        {
            var path = Path.Combine(folder.Path, name);
            File.WriteAllText(path, one.ExportCertificatePem());
            return path;
        }
    }

    private static X509Certificate2 Authority()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN=test authority {Guid.NewGuid():N}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        return request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
    }

    private static X509Certificate2 ForLoopback(X509Certificate2 authority)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=arangodb", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        using var signed = request.Create(authority, new DateTimeOffset(authority.NotBefore), new DateTimeOffset(authority.NotAfter), RandomNumberGenerator.GetBytes(8));
        using var whole = signed.CopyWithPrivateKey(key);
        return X509CertificateLoader.LoadPkcs12(whole.Export(X509ContentType.Pkcs12), null);
    }
}
