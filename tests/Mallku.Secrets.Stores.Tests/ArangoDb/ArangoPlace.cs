using System.Net.Http.Headers;
using System.Text;
using Mallku.ArangoDb.TestServer;
using Mallku.Secrets.Stores.ArangoDb;

namespace Mallku.Secrets.Stores.Tests.ArangoDb;

/// <summary>
/// Collections of one test: in the emulation, or in the database that <c>MALLKU_TEST_ARANGODB</c> names, such as
/// <c>http://user:password@host:8529/database</c>, from which they are removed at the end.
/// </summary>
internal sealed class ArangoPlace : IAsyncDisposable
{
    internal const string Password = "pass: wörd/§1";
    private static readonly string? Real = Environment.GetEnvironmentVariable("MALLKU_TEST_ARANGODB");

    private readonly ArangoServer? _server;
    private readonly Uri _address;

    private ArangoPlace(ArangoServer? server)
    {
        _server = server;
        _address = server is null
            ? new Uri(Real!)
            : new UriBuilder(server.Address) { UserName = "mallku", Password = Uri.EscapeDataString(Password), Path = "/keys" }.Uri;
    }

    internal string Prefix { get; } = $"test_{Guid.NewGuid():N}_";

    internal static async Task<ArangoPlace> StartAsync() => new(Real is null ? await EmulateAsync() : null);

    internal static Task<ArangoServer> EmulateAsync(Func<ArangoServerOptions, ArangoServerOptions>? change = null)
    {
        var options = new ArangoServerOptions { User = "mallku", Password = Password, Database = "keys" };
        return ArangoServer.StartAsync(change?.Invoke(options) ?? options, TestContext.Current.CancellationToken);
    }

    /// <summary>An emulation's store.</summary>
    internal static ArangoRecordStore Open(ArangoServer server, string settings = "", string password = Password, TimeProvider? clock = null)
    {
        using var secret = SecretValue.FromString(password);
        return ArangoRecordStore.Open($"arangodb://mallku@{server.Address.Authority}/keys{settings}", secret, clock ?? TimeProvider.System);
    }

    internal ArangoRecordStore Open() =>
        ArangoRecordStore.Open($"arangodb://{_address.UserInfo}@{_address.Authority}{_address.AbsolutePath}?prefix={Prefix}&tls={(_address.Scheme == "https" ? "true" : "false")}");

    public async ValueTask DisposeAsync()
    {
        if (_server is not null)
        {
            await _server.DisposeAsync();
            return;
        }

        using var http = new HttpClient { BaseAddress = new Uri(_address, $"/_db{_address.AbsolutePath}/") };
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes(Uri.UnescapeDataString(_address.UserInfo))));
        foreach (var kind in ArangoRecords.Kinds)
        {
            (await http.DeleteAsync($"_api/collection/{ArangoRecords.CollectionOf(kind, Prefix)}")).Dispose();
        }
    }
}
