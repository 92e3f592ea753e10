using Mallku.Secrets.Tests;

namespace Mallku.Secrets.Stores.Tests.PostgreSql;

/// <summary>TLS as the address says, with a server that demands it.</summary>
public sealed class PostgreSqlTlsTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_server_is_who_the_address_says_or_nothing_is_sent()
    {
        Requires.Program("openssl");
        await using var server = await PostgreSqlServer.StartAsync();
        using var folder = new TemporaryFolder();
        var (root, rootKey) = MakeCertificate("server", "IP:127.0.0.1");
        var (other, _) = MakeCertificate("other", "IP:127.0.0.1");
        await DemandTlsAsync(server, root, rootKey);

        await using (var store = server.Open(more: $"&sslmode=verify-full&sslrootcert={root}"))
        {
            await store.PrepareAsync(Token);
            Assert.Equal(true, await server.RunAsync("SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'mallku'"));
        }

        await RefuseAsync($"&sslmode=verify-full&sslrootcert={other}", "the server's certificate, or one of this side, is not accepted");
        await RefuseAsync("&sslmode=verify-full", "the server's certificate, or one of this side, is not accepted");
        await RefuseAsync($"&sslmode=verify-full&sslrootcert={root}", "the server's certificate, or one of this side, is not accepted", "localhost");
        await RefuseAsync($"&sslmode=verify-full&sslrootcert={root}.none", "a file of its address can't be read");
        await RefuseAsync("&sslmode=disable", "no encryption");

        server.Write("pg_hba.conf", "host all all 127.0.0.1/32 scram-sha-256\n");
        await server.RunAsync("ALTER SYSTEM SET ssl = off");
        await server.RunAsync("SELECT pg_reload_conf()");
        await PostgreSqlLineTests.UntilAsync(
            async () => await Record.ExceptionAsync(() => server.RunAsync("SELECT 1 / (current_setting('ssl') = 'off')::integer")), static fault => fault is null);
        await RefuseAsync($"&sslmode=verify-full&sslrootcert={root}", "the server does not speak TLS");

        async Task RefuseAsync(string settings, string problem, string host = "127.0.0.1")
        {
            await using var store = Stores.PostgreSql.PostgreSqlRecordStore.Open(server.Address(more: settings).Replace("127.0.0.1", host, StringComparison.Ordinal));
            var fault = await Faults.ExpectAsync<SecretsException>(() => store.ReadAsync(new(RecordKind.Secret, "a"), Token).AsTask());
            Assert.Contains(problem, fault.Problem, StringComparison.Ordinal);
        }

        (string Certificate, string Key) MakeCertificate(string name, string alternative)
        {
            var (certificate, key) = (Path.Combine(folder.Path, name + ".pem"), Path.Combine(folder.Path, name + ".key"));
            PostgreSqlServer.Tool(
                "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-subj", "/CN=" + name, "-addext", "subjectAltName=" + alternative, "-keyout", key, "-out", certificate);
            return (certificate, key);
        }
    }

    /// <summary>Makes a server take connections over TLS alone from now on, with a certificate of its own.</summary>
    internal static async Task DemandTlsAsync(PostgreSqlServer server, string certificate, string key)
    {
        server.Write("tls.pem", await File.ReadAllTextAsync(certificate));
        server.Write("tls.key", await File.ReadAllTextAsync(key));
        server.Write("pg_hba.conf", "hostssl all all 127.0.0.1/32 scram-sha-256\n");
        await server.RunAsync("ALTER SYSTEM SET ssl_cert_file = 'tls.pem'");
        await server.RunAsync("ALTER SYSTEM SET ssl_key_file = 'tls.key'");
        await server.RunAsync("ALTER SYSTEM SET ssl = on");
        await server.RunAsync("SELECT pg_reload_conf()");
        await PostgreSqlLineTests.UntilAsync(
            async () => await Record.ExceptionAsync(() => server.RunAsync("SELECT 1 / (current_setting('ssl') = 'on')::integer")), static fault => fault is null);
    }
}
