using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Mallku.ArangoDb.TestServer;

namespace Mallku.Secrets.Stores.Tests.ArangoDb;

/// <summary>The emulation takes nothing that it does not know: or it would say of a wrong request that it is a right one.</summary>
public sealed class ArangoEmulationTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("GET", "_api/version", null, 404, 404)]
    [InlineData("GET", "_api/collection?withData=true", null, 400, 400)]
    [InlineData("GET", "_api/collection?excludeSystem=yes", null, 400, 400)]
    [InlineData("POST", "_api/collection", """{"name":"c","journalSize":1}""", 400, 400)]
    [InlineData("POST", "_api/collection", """{"name":"_c"}""", 400, 1208)]
    [InlineData("POST", "_api/collection", """{"name":"there"}""", 409, 1207)]
    [InlineData("POST", "_api/collection", """{"name":""", 400, 600)]
    [InlineData("POST", "_api/index?collection=none", """{"type":"persistent","fields":["a"],"sparse":true}""", 404, 1203)]
    [InlineData("POST", "_api/index?collection=there", """{"type":"hash","fields":["a"]}""", 400, 10)]
    [InlineData("GET", "_api/document/there/a", null, 404, 1202)]
    [InlineData("GET", "_api/document/none/a", null, 404, 1203)]
    [InlineData("POST", "_api/document/there", """{"_key":"a"}""", 400, 400)]
    [InlineData("POST", "_api/document/there?silent=true", "[]", 400, 400)]
    [InlineData("DELETE", "_api/document/there", """[{"_key":"a","more":1}]""", 400, 400)]
    [InlineData("POST", "_api/cursor", """{"query":"FOR d IN there RETURN d","bindVars":{"@records":"there","first":"","last":"f"},"batchSize":1,"ttl":1,"options":{}}""", 400, 1501)]
    [InlineData("DELETE", "_api/cursor/1", null, 404, 1600)]
    [InlineData("POST", "_api/transaction/begin", """{"collections":{"write":["none"]}}""", 404, 1203)]
    [InlineData("POST", "_api/transaction/begin", """{"collections":{"write":["there"]},"lockTimeout":1}""", 400, 400)]
    [InlineData("PUT", "_api/transaction/1", null, 404, 1655)]
    public async Task A_request_that_it_does_not_know_is_refused_as_ArangoDB_refuses(string method, string path, string? body, int status, int number)
    {
        await using var server = await ArangoPlace.EmulateAsync(static options => options with { Password = "p" });
        using var http = Client(server);
        using var made = await http.PostAsync("_api/collection", Json("""{"name":"there"}"""), Token);
        Assert.Equal(HttpStatusCode.OK, made.StatusCode);
        using var request = new HttpRequestMessage(new HttpMethod(method), path) { Content = body is null ? null : Json(body) };
        using var answer = await http.SendAsync(request, Token);
        Assert.Equal(status, (int)answer.StatusCode);
        var error = JsonNode.Parse(await answer.Content.ReadAsStringAsync(Token))!;
        Assert.Equal((true, status, number), (error["error"]!.GetValue<bool>(), error["code"]!.GetValue<int>(), error["errorNum"]!.GetValue<int>()));
        Assert.NotEmpty(error["errorMessage"]!.GetValue<string>());
    }

    [Fact]
    public async Task Nobody_is_let_in_without_a_name_and_no_header_is_passed_over()
    {
        await using var server = await ArangoPlace.EmulateAsync(static options => options with { Password = "p" });
        using var http = Client(server);
        http.DefaultRequestHeaders.Add("x-arango-allow-dirty-read", "true");
        Assert.Equal(HttpStatusCode.BadRequest, (await http.GetAsync("_api/collection", Token)).StatusCode);
        http.DefaultRequestHeaders.Remove("x-arango-allow-dirty-read");
        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync("_api/collection", Token)).StatusCode);
        http.DefaultRequestHeaders.Authorization = null;
        Assert.Equal(HttpStatusCode.Unauthorized, (await http.GetAsync("_api/collection", Token)).StatusCode);
    }

    private static HttpClient Client(ArangoServer server) => new()
    {
        BaseAddress = new Uri(server.Address, "/_db/keys/"),
        DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String("mallku:p"u8)) },
    };

    private static StringContent Json(string text) => new(text, Encoding.UTF8, new MediaTypeHeaderValue("application/json"));
}
