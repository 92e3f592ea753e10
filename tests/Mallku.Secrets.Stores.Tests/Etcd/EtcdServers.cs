using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Mallku.Secrets.Stores.Etcd;
using Mallku.Secrets.Tests;

namespace Mallku.Secrets.Stores.Tests.Etcd;

/// <summary>An etcd cluster of the tests' own, with its data in a temporary folder.</summary>
internal sealed class EtcdServers : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("mallku-etcd-").FullName;
    private readonly EtcdCertificates? _certificates;

    private EtcdServers(int count, EtcdCertificates? certificates, string[] arguments)
    {
        _certificates = certificates;
        var scheme = certificates is null ? "http" : "https";
        var ports = FreePorts(2 * count);
        var (clientPorts, peerPorts) = (ports[..count], ports[count..]);
        var peers = string.Join(',', peerPorts.Select(static (port, i) => $"m{i}=http://127.0.0.1:{port}"));
        string[] secure = certificates is null ? [] :
            ["--cert-file", certificates.Server, "--key-file", EtcdCertificates.KeyOf(certificates.Server), "--trusted-ca-file", certificates.Root, "--client-cert-auth"];
        Members = [.. Enumerable.Range(0, count).Select(i => new EtcdMember(
            Directory.CreateDirectory(Path.Combine(_folder, $"m{i}")).FullName,
            clientPorts[i],
            [
                "--name", $"m{i}", "--initial-cluster", peers, "--initial-cluster-token", Path.GetFileName(_folder),
                "--listen-client-urls", $"{scheme}://127.0.0.1:{clientPorts[i]}", "--advertise-client-urls", $"{scheme}://127.0.0.1:{clientPorts[i]}",
                "--listen-peer-urls", $"http://127.0.0.1:{peerPorts[i]}", "--initial-advertise-peer-urls", $"http://127.0.0.1:{peerPorts[i]}",
                .. secure, .. arguments,
            ]))];
    }

    internal IReadOnlyList<EtcdMember> Members { get; }

    internal string Hosts => string.Join(',', Members.Select(static member => member.Host));

    internal static async Task<EtcdServers> StartAsync(int count, EtcdCertificates? certificates = null, params string[] arguments)
    {
        Requires.Program("etcd");
        Requires.Program("etcdctl");

        // a port that was free a moment ago may be somebody's now
        const int attempts = 3;
        for (var attempt = 1; ; attempt++)
        {
            var servers = new EtcdServers(count, certificates, arguments);
            foreach (var member in servers.Members)
            {
                member.Start();
            }

            if (await servers.IsHealthyAsync(TimeSpan.FromSeconds(30)))
            {
                return servers;
            }

            var log = string.Join("\n\n", servers.Members.Select(static member => member.Log));
            servers.Dispose();
            Assert.True(attempt < attempts && log.Contains("address already in use", StringComparison.Ordinal), "etcd does not start\n" + log);
        }
    }

    internal string Url(string prefix, string more = "") => $"etcd://{Hosts}/{prefix}{more}";

    internal EtcdRecordStore Open(string prefix, string more = "") => EtcdRecordStore.Open(Url(prefix, more));

    /// <summary>Runs etcd's own command against it.</summary>
    internal string Control(params string[] arguments) => Tool.Run("etcdctl", [.. Where(Hosts), .. arguments]);

    /// <summary>The member that leads.</summary>
    internal EtcdMember Leader()
    {
        foreach (var member in Members)
        {
            var (hasAnswered, text) = Tool.Try("etcdctl", [.. Where(member.Host), "endpoint", "status", "--write-out=json"]);
            if (hasAnswered)
            {
                using var status = JsonDocument.Parse(text);
                var said = status.RootElement[0].GetProperty("Status");
                if (said.GetProperty("header").GetProperty("member_id").GetUInt64() == said.GetProperty("leader").GetUInt64())
                {
                    return member;
                }
            }
        }

        throw new InvalidOperationException("No member leads.");
    }

    /// <summary>Waits until every member answers, having heard of the newest write.</summary>
    internal async Task<bool> IsHealthyAsync(TimeSpan within)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        end.CancelAfter(within);
        while (!end.IsCancellationRequested && Members.All(static member => member.IsRunning))
        {
            if (Members.All(member => Tool.Try("etcdctl", [.. Where(member.Host), "endpoint", "health"]).HasSucceeded))
            {
                return true;
            }

            await Task.Delay(100, CancellationToken.None);
        }

        return false;
    }

    public void Dispose()
    {
        foreach (var member in Members)
        {
            member.Dispose();
        }

        Directory.Delete(_folder, recursive: true);
    }

    private string[] Where(string hosts) => _certificates is null ? ["--endpoints", hosts] :
    [
        "--endpoints", hosts, "--cacert", _certificates.Root, "--cert", _certificates.Administrator, "--key", EtcdCertificates.KeyOf(_certificates.Administrator),
    ];

    private static int[] FreePorts(int count)
    {
        var listeners = Enumerable.Range(0, count).Select(static _ => new TcpListener(IPAddress.Loopback, 0)).ToList();
        listeners.ForEach(static listener => listener.Start());
        var ports = listeners.Select(static listener => ((IPEndPoint)listener.LocalEndpoint).Port).ToArray();
        listeners.ForEach(static listener => listener.Dispose());
        return ports;
    }
}

/// <summary>One cluster for all tests that leave it as it is, each under a prefix of its own.</summary>
public sealed class SharedEtcd : IDisposable
{
    private EtcdServers? _servers;

    /// <summary>The first who asks starts it: a test that can't do so is skipped or fails, and not the fixture.</summary>
    internal async Task<EtcdServers> StartAsync() => _servers ??= await EtcdServers.StartAsync(3, null, "--unsafe-no-fsync");

    public void Dispose() => _servers?.Dispose();
}

[CollectionDefinition(Name)]
public sealed class OneEtcd : ICollectionFixture<SharedEtcd>
{
    internal const string Name = "etcd";
}

/// <summary>A cluster whose members are killed and started anew; whole at the beginning of each test.</summary>
[CollectionDefinition(Name)]
public sealed class MortalEtcd : ICollectionFixture<MortalEtcd.Cluster>
{
    internal const string Name = "etcd whose members die";

    public sealed class Cluster : IDisposable
    {
        private EtcdServers? _servers;

        internal async Task<EtcdServers> StartAsync()
        {
            _servers ??= await EtcdServers.StartAsync(3);

            // a test that failed may have left it otherwise
            foreach (var member in _servers.Members.Where(static member => !member.IsRunning))
            {
                member.Start();
            }

            Assert.True(await _servers.IsHealthyAsync(TimeSpan.FromSeconds(60)));
            return _servers;
        }

        public void Dispose() => _servers?.Dispose();
    }
}
