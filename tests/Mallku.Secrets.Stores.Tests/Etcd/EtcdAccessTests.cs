using System.Text;
using Mallku.Secrets.Stores.Etcd;
using Mallku.Secrets.Tests;

namespace Mallku.Secrets.Stores.Tests.Etcd;

/// <summary>Who may do what in a cluster with users, which speaks TLS and asks its clients for certificates.</summary>
public sealed class EtcdAccessTests(EtcdAccessTests.Guarded guarded) : IClassFixture<EtcdAccessTests.Guarded>
{
    private const string Password = "canary-p@ss:w/rd?";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static readonly RecordKey Key = new(RecordKind.Secret, "a");

    [Fact]
    public async Task A_user_with_a_role_for_the_prefix_does_everything_there()
    {
        await guarded.StartAsync();
        await using var store = guarded.Open("ours");
        await store.PrepareAsync(Token);
        await using var heard = store.WatchAsync(Token).GetAsyncEnumerator(Token);
        Assert.True(await heard.MoveNextAsync());
        Assert.True(await store.WriteAsync([Put("role", null)], Token));
        Assert.True(await heard.MoveNextAsync());
        Assert.Equal("role", heard.Current!.Value.Id);
        Assert.Single(await store.FindAsync(RecordKind.Secret, "role", "role", Token).ToListAsync(Token));
        var record = Assert.Single(await store.ListAsync(RecordKind.Secret, "role", "rolf", Token).ToListAsync(Token));
        Assert.True(await store.WriteAsync([new(record.Key, record.Revision, null)], Token));
    }

    [Fact]
    public async Task A_user_with_a_role_for_another_prefix_is_told_so()
    {
        await guarded.StartAsync();
        await using var store = guarded.Open("theirs");
        var refusals = new List<SecretsException>
        {
            await Assert.ThrowsAsync<SecretsException>(async () => await store.PrepareAsync(Token)),
            await Assert.ThrowsAsync<SecretsException>(async () => await store.ReadAsync(Key, Token)),
            await Assert.ThrowsAsync<SecretsException>(async () => await store.WriteAsync([Put("a", null)], Token)),
            await Assert.ThrowsAsync<SecretsException>(async () => await store.ListAsync(RecordKind.Secret, "", null, Token).ToListAsync(Token)),
            await Assert.ThrowsAsync<SecretsException>(async () => await store.FindAsync(RecordKind.Secret, "a", "b", Token).ToListAsync(Token)),
            await Assert.ThrowsAsync<SecretsException>(async () => await store.WatchAsync(Token).ToListAsync(Token)),
        };
        Assert.All(refusals, static refusal =>
        {
            Assert.Contains("does not permit that to the user mallku", refusal.Problem, StringComparison.Ordinal);
            Assert.Contains("theirs/", refusal.Remedy, StringComparison.Ordinal);
            Assert.DoesNotContain(Password, refusal.ToString(), StringComparison.Ordinal);
        });
    }

    [Fact]
    public async Task A_token_that_is_not_known_any_more_is_renewed()
    {
        await guarded.StartAsync();
        await using var reading = guarded.Open("ours");
        await using var watching = guarded.Open("ours");
        await using var writing = guarded.Open("ours");
        Assert.Null(await reading.ReadAsync(Key, Token));
        Assert.Null(await watching.ReadAsync(Key, Token));
        Assert.Null(await writing.ReadAsync(Key, Token));

        // a member knows only those given since it was started
        await guarded.RestartAsync();
        Assert.All(await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => reading.ReadAsync(Key, Token).AsTask())), Assert.Null);
        Assert.True(await writing.WriteAsync([Put("token", null)], Token));
        await using var heard = watching.WatchAsync(Token).GetAsyncEnumerator(Token);
        Assert.True(await heard.MoveNextAsync());
    }

    [Fact]
    public async Task The_certificate_of_a_user_stands_for_a_password()
    {
        await guarded.StartAsync();
        var certificate = guarded.Certificates.Issue("mallku", "/CN=mallku");
        await using var store = EtcdRecordStore.Open(guarded.Url("ours", "mallku@", certificate));
        Assert.True(await store.WriteAsync([Put("certificate", null)], Token));
        Assert.Single(await store.WatchAsync(Token).Take(1).ToListAsync(Token));
        await using var stranger = EtcdRecordStore.Open(guarded.Url("ours", "", guarded.Certificates.Issue("stranger", "/CN=stranger")));
        await Assert.ThrowsAsync<SecretsException>(async () => await stranger.ReadAsync(Key, Token));
    }

    [Fact]
    public async Task A_wrong_user_or_password_is_an_error_that_shows_neither()
    {
        await guarded.StartAsync();
        using var password = SecretValue.FromString(Password + "x");
        foreach (var user in new[] { "mallku", "nobody" })
        {
            await using var store = EtcdRecordStore.Open(guarded.Url("ours", user + "@"), password);
            var refused = await Assert.ThrowsAsync<SecretsException>(async () => await store.ReadAsync(Key, Token));
            Assert.Contains("does not know that user or that password", refused.Problem, StringComparison.Ordinal);
            Assert.DoesNotContain("canary", refused + store.Description, StringComparison.Ordinal);
            await Assert.ThrowsAsync<SecretsException>(async () => await store.WatchAsync(Token).ToListAsync(Token));
        }
    }

    [Fact]
    public async Task A_server_that_the_root_does_not_vouch_for_is_refused()
    {
        await guarded.StartAsync();
        using var folder = new TemporaryFolder();
        await Refused(guarded.Url("ours").Replace(guarded.Certificates.Root, new EtcdCertificates(folder.Path).Root, StringComparison.Ordinal));
        await Refused(guarded.Url("ours").Replace("127.0.0.1", "localhost", StringComparison.Ordinal));

        static async Task Refused(string url)
        {
            await using var store = EtcdRecordStore.Open(url);
            var refused = await Assert.ThrowsAsync<SecretsException>(async () => await store.WriteAsync([Put("a", null)], Token));
            Assert.Contains("TLS", refused.Problem, StringComparison.Ordinal);
            Assert.Contains("ca=", refused.Remedy, StringComparison.Ordinal);
            await Assert.ThrowsAsync<SecretsException>(async () => await store.WatchAsync(Token).ToListAsync(Token));
        }
    }

    [Fact]
    public async Task A_client_without_TLS_or_without_a_certificate_is_refused_in_bounded_time()
    {
        await guarded.StartAsync();
        foreach (var url in new[] { guarded.Url("ours").Split('?')[0], guarded.Url("ours").Split("&cert")[0] })
        {
            await using var store = EtcdRecordStore.Open(url);
            var refused = await Assert.ThrowsAnyAsync<SecretsException>(async () => await store.ReadAsync(Key, Token).AsTask().WaitAsync(TimeSpan.FromSeconds(15), Token));
            Assert.Contains("TLS", refused.Problem + refused.Remedy, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_full_cluster_refuses_writes_and_answers_reads()
    {
        using var full = await EtcdServers.StartAsync(1, null, "--quota-backend-bytes", $"{4 << 20}", "--unsafe-no-fsync");
        await using var store = full.Open("ours");
        var written = 0;
        var refused = await Assert.ThrowsAsync<StoreUnreachableException>(async () =>
        {
            // it looks at its size every now and then
            for (; written < 200; written++)
            {
                Assert.True(await store.WriteAsync([Put($"{written}", null, 1_000_000)], Token));
            }
        });
        Assert.Contains("is full", refused.Problem, StringComparison.Ordinal);

        // the write that fills it is made, and refused
        Assert.True(refused.MayBeWritten);
        Assert.InRange(await store.ListAsync(RecordKind.Secret, "", null, Token).CountAsync(Token), written, written + 1);
    }

    private static RecordWrite Put(string id, string? expected, int length = 1) =>
        new(new(RecordKind.Secret, id), expected, Encoding.UTF8.GetBytes($$"""{"text":"{{new string('x', length)}}"}""")) { Terms = [id] };

    /// <summary>One member with users and TLS.</summary>
    public sealed class Guarded : IDisposable
    {
        private readonly TemporaryFolder _folder = new();
        private EtcdServers? _servers;

        internal EtcdCertificates Certificates { get; private set; } = null!;

        internal async Task StartAsync()
        {
            if (_servers is not null)
            {
                return;
            }

            Requires.Program("etcd");
            Requires.Program("etcdctl");
            Certificates = new EtcdCertificates(_folder.Path);
            _servers = await EtcdServers.StartAsync(1, Certificates);
            _servers.Control("user", "add", "root", "--new-user-password", "only by certificate");
            _servers.Control("user", "grant-role", "root", "root");
            _servers.Control("role", "add", "mallku");
            _servers.Control("role", "grant-permission", "mallku", "readwrite", "--prefix", "ours/");
            _servers.Control("user", "add", "mallku", "--new-user-password", Password);
            _servers.Control("user", "grant-role", "mallku", "mallku");
            _servers.Control("auth", "enable");
        }

        internal string Url(string prefix, string user = "", string? certificate = null)
        {
            certificate ??= Certificates.Server;
            return $"etcd://{user}{_servers!.Hosts}/{prefix}?tls=true&ca={Certificates.Root}&cert={certificate}&key={EtcdCertificates.KeyOf(certificate)}";
        }

        internal EtcdRecordStore Open(string prefix)
        {
            using var password = SecretValue.FromString(Password);
            return EtcdRecordStore.Open(Url(prefix, "mallku@"), password);
        }

        internal async Task RestartAsync()
        {
            _servers!.Members[0].Kill();
            _servers.Members[0].Start();
            Assert.True(await _servers.IsHealthyAsync(TimeSpan.FromSeconds(30)));
        }

        public void Dispose()
        {
            _servers?.Dispose();
            _folder.Dispose();
        }
    }
}
