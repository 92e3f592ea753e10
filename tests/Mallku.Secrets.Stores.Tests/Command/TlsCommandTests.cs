using Mallku.Secrets.Stores.Tests.Etcd;
using Mallku.Secrets.Stores.Tests.PostgreSql;
using Mallku.Secrets.Tests;

namespace Mallku.Secrets.Stores.Tests.Command;

/// <summary>The published command with servers that speak TLS alone and that it knows by their certificates: it has a cryptography library of its own.</summary>
public sealed class TlsCommandTests
{
    private const string Canary = "sk-canary-over-tls-8Rk3";

    [Fact]
    public async Task A_store_in_PostgreSql_is_used_where_the_certificate_is_the_servers()
    {
        using var folder = new TemporaryFolder();
        var certificates = new EtcdCertificates(folder.Path);
        await using var server = await PostgreSqlServer.StartAsync();
        await PostgreSqlTlsTests.DemandTlsAsync(server, certificates.Server, EtcdCertificates.KeyOf(certificates.Server));
        using var machine = new Machine(server.Address("tls", password: null, more: $"&sslmode=verify-full&sslrootcert={certificates.Root}"), PostgreSqlServer.Password);
        machine.Run($"mallku store init && printf {Canary} | mallku set some_key");
        Assert.Equal(Canary, machine.Reveal("mallku get some_key"));
        var strange = server.Address("tls", password: null, more: $"&sslmode=verify-full&sslrootcert={certificates.Administrator}");
        Assert.Contains("is not accepted", machine.Run(4, $"MALLKU_STORE='{strange}' mallku get some_key").Error, StringComparison.Ordinal);
        Assert.Equal("false\n", machine.Run($"MALLKU_STORE='{strange}' mallku store status --json | jq .answers"));
        StoreCommands.ShowNothing([machine], Canary, PostgreSqlServer.Password);
    }

    [Fact]
    public async Task A_store_in_etcd_is_used_where_the_certificate_is_the_servers_and_this_side_has_one_too()
    {
        using var folder = new TemporaryFolder();
        var certificates = new EtcdCertificates(folder.Path);
        using var servers = await EtcdServers.StartAsync(1, certificates, "--unsafe-no-fsync");
        using var machine = new Machine(Url(certificates.Root));
        machine.Run($"mallku store init && printf {Canary} | mallku set some_key");
        Assert.Equal(Canary, machine.Reveal("mallku get some_key"));
        Assert.Contains("TLS", machine.Run(4, $"MALLKU_STORE='{Url(certificates.Administrator)}' mallku get some_key").Error, StringComparison.Ordinal);
        Assert.Equal("false\n", machine.Run($"MALLKU_STORE='{Url(certificates.Administrator)}' mallku store status --json | jq .answers"));
        StoreCommands.ShowNothing([machine], Canary);

        string Url(string root) => servers.Url("tls", $"?tls=true&ca={root}&cert={certificates.Server}&key={EtcdCertificates.KeyOf(certificates.Server)}");
    }
}
