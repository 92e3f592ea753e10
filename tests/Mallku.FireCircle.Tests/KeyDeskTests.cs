using System.Globalization;
using Mallku.FireCircle.Rotators;
using Mallku.Secrets.Rotation;

namespace Mallku.FireCircle.Tests;

/// <summary>Interfaces for managing keys that answer otherwise than they say: each is an error that tells, and never a key.</summary>
public sealed class KeyDeskTests
{
    private const string Value = "canary-value-0123456789";

    private static readonly RotatedKey Key = new(
        "openai_api_key", Version: 2, VersionId: new string('0', 32), Token: new string('a', 32), KeyId: null, new RotationPolicy { Rotator = "openai", Account = "proj_test" });

    public static TheoryData<string> Bodies => new(
        "",
        "no JSON",
        "null",
        "7",
        "[]",
        "{}",
        """{"data":7}""",
        """{"data":{}}""",
        """{"data":[null]}""",
        """{"data":[{}]}""",
        """{"data":[{"id":7,"name":"n"}]}""",
        """{"data":[{"id":null,"name":"n"}]}""",
        """{"data":[{"id":"\ud800","name":"n"}]}""",
        """{"data":[{"id":"k","name":[]}]}""",
        """{"data":[],"has_more":"yes","last_id":"k"}""",
        """{"data":[],"has_more":true}""",
        """{"data":[],"has_more":true,"last_id":null}""",
        """{"data":[],"has_more":true,"last_id":7}""",
        new string('[', 200),
        """{"data":[{"id":"k","name":"canary-value-0123456789"}""");

    [Theory]
    [MemberData(nameof(Bodies))]
    public async Task A_list_that_is_none_is_an_error_and_never_an_empty_one(string body)
    {
        var error = await FailAsync(Whole(body), (rotator, cancel) => rotator.DiscardAsync(Key, cancel));
        Assert.Contains("OpenAI answered a request about keys with something else", error.Problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{}")]
    [InlineData("""{"id":"a","api_key":"canary-value-0123456789"}""")]
    [InlineData("""{"id":"a","api_key":{"value":null}}""")]
    [InlineData("""{"id":"a","api_key":{"value":""}}""")]
    [InlineData("""{"id":"a","api_key":{"value":["canary-value-0123456789"]}}""")]
    [InlineData("""{"id":"a","api_key":{"value":"canary-value-0123456789\ud800"}}""")]
    [InlineData("""{"id":7,"api_key":{"value":"canary-value-0123456789"}}""")]
    [InlineData("""{"id":"a","api_key":{"value":"canary-value-0123456789"}""")]
    public async Task A_new_key_that_is_not_told_is_an_error_without_what_was_told(string body)
    {
        var error = await FailAsync(Whole(body), (rotator, cancel) => AsTask(rotator.CreateAsync(Key, cancel)));
        Assert.Contains("something else", error.Problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"data\":[", "ended before")]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense", "gave no answer")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n{\"data\":[", "longer than")]
    [InlineData("no HTTP\r\n\r\n", "not one of HTTP")]
    [InlineData("", "ended before")]
    [InlineData("HTTP/1.1 302 Found\r\nLocation: https://elsewhere.example/\r\nContent-Length: 0\r\n\r\n", "redirects")]
    [InlineData("HTTP/1.1 304 Not Modified\r\n\r\n", "304")]
    [InlineData("HTTP/1.1 401 Canary-value-0123456789\r\nContent-Length: 0\r\n\r\n", "answered 401")]
    [InlineData("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "no such account")]
    [InlineData("HTTP/1.1 500 No\r\nContent-Length: 23\r\n\r\ncanary-value-0123456789", "answered 500")]
    [InlineData("HTTP/1.1 500 No\r\nContent-Length: 100\r\n\r\ncut", "answered 500")]
    public async Task An_answer_that_breaks_or_is_none_is_an_error_that_says_why(string answer, string expected)
    {
        var error = await FailAsync(_ => answer, (rotator, cancel) => rotator.DiscardAsync(Key, cancel));
        Assert.Contains(expected, error.Problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("k")]
    [InlineData("k{0}")]
    public async Task A_list_without_an_end_is_an_error(string last)
    {
        var error = await FailAsync(
            page => Whole($$"""{"data":[],"has_more":true,"last_id":"{{string.Format(CultureInfo.InvariantCulture, last, page)}}"}""")(page),
            (rotator, cancel) => rotator.DiscardAsync(Key, cancel));
        Assert.Contains("has no end", error.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_key_that_is_deleted_is_so_whatever_else_the_answer_says()
    {
        await using var stage = await Stage.SetAsync();
        await using var server = new RawServer("HTTP/1.1 204 No Content\r\n\r\n");
        await (await MakeAsync(stage, server)).RevokeAsync(Key with { KeyId = "k" }, SecretValue.FromString(Value), Stage.Cancel);
    }

    [Fact]
    public async Task Who_cancels_is_told_so()
    {
        await using var stage = await Stage.SetAsync();
        await using var server = new RawServer("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", holds: true);
        var rotator = await MakeAsync(stage, server);
        using var cancelling = CancellationTokenSource.CreateLinkedTokenSource(Stage.Cancel);
        var asking = rotator.DiscardAsync(Key, cancelling.Token).AsTask();
        await cancelling.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asking);
    }

    private static Func<int, string> Whole(string body) =>
        _ => string.Create(CultureInfo.InvariantCulture, $"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {body.Length}\r\n\r\n{body}");

    private static async Task<SecretsException> FailAsync(Func<int, string> answer, Func<OpenAIRotator, CancellationToken, ValueTask> ask)
    {
        await using var stage = await Stage.SetAsync();
        await using var server = new RawServer(answer);
        var rotator = await MakeAsync(stage, server);
        var error = await Assert.ThrowsAsync<SecretsException>(async () => await ask(rotator, Stage.Cancel));
        Assert.DoesNotContain("canary", error.ToString(), StringComparison.OrdinalIgnoreCase);
        return error;
    }

    private static async Task<OpenAIRotator> MakeAsync(Stage stage, RawServer server)
    {
        await stage.StoreAsync("openai_admin_key", isAccepted: false);
        var providers = await stage.LoadProvidersAsync($$"""
            {"providers": [
              {"id": "openai", "name": "OpenAI", "protocol": "openai", "baseUrl": "{{server.Address}}v1",
               "key": {"header": "bearer", "secrets": ["openai_api_key"]}, "check": {"path": "models"},
               "management": {"can": ["create", "list", "delete"], "baseUrl": "{{server.Address}}v1/organization", "header": "bearer", "secrets": ["openai_admin_key"]} }
            ]}
            """);
        return new OpenAIRotator(new AdapterFactory(stage.Secrets, providers));
    }

    private static async ValueTask AsTask(ValueTask<NewKey> making) => (await making).Value.Dispose();
}
