using System.Diagnostics;
using System.Text;
using System.Text.Json.Nodes;
using Mallku.ArangoDb.TestServer;
using Mallku.Secrets.Tests;

namespace Mallku.Secrets.Stores.Tests.ArangoDb;

/// <summary>
/// The official driver takes the emulation for ArangoDB, reads what the store has written, and writes what it reads. Its version
/// is pinned; it is installed for the test and removed with its folder.
/// </summary>
public sealed class ArangoJsTests
{
    private const string Password = "pass: w/§1";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_official_driver_and_the_store_read_what_the_other_wrote()
    {
        Requires.Program("node");
        Requires.Program("npm");
        using var folder = new TemporaryFolder();
        foreach (var file in Directory.EnumerateFiles(Path.Combine(AppContext.BaseDirectory, "ArangoDb", "arangojs")))
        {
            File.Copy(file, Path.Combine(folder.Path, Path.GetFileName(file)));
        }

        var version = (await RunAsync(folder.Path, "node", "--version")).Output;
        Requires.That(int.Parse(version.TrimStart('v').Split('.')[0]) >= 20, $"Node.js 20 (there is {version.Trim()})");
        var installed = await RunAsync(folder.Path, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund");
        Requires.That(installed.Code == 0, $"what npm installs arangojs from ({installed.Error.Trim()})");

        await using var server = await ArangoPlace.EmulateAsync(static options => options with { Password = Password });
        await using (var store = ArangoPlace.Open(server, "?prefix=ours_", Password))
        {
            await store.PrepareAsync(Token);
            Assert.True(await store.WriteAsync([Put("a", "a", "loose.x", "time.05"), Put("b", "b", "time.07"), Put("a.10", "é漢🜁"), Put("a-1", "d", "time.05")], Token));
        }

        var read = await DriveAsync(server, folder.Path, "ours_", "read");
        Assert.Equal("ours_audit,ours_instance,ours_secret,ours_store,ours_version", Join(read["collections"]));
        Assert.Equal("_key,order,t0,t1,t2,t3,t4,t5,t6,t7", Join(read["indexes"]));
        Assert.True(JsonNode.DeepEquals(
            read["document"], JsonNode.Parse("""{"_key":"a","_rev":"string","order":"61","t0":"6c6f6f73652e78","t1":"74696d652e3035","data":{"text":"a"}}""")), read["document"]!.ToJsonString());
        Assert.Equal("""[["a",{"text":"a"}],["a-1",{"text":"d"}],["a.10",{"text":"é漢🜁"}],["b",{"text":"b"}]]""", Plain(read["listed"]));
        Assert.Equal("""[["a",{"text":"a"}],["a-1",{"text":"d"}],["b",{"text":"b"}]]""", Plain(read["found"]));

        var written = await DriveAsync(server, folder.Path, "theirs_", "write");
        Assert.Equal("""[["a",{"text":"a2"}],["c",{"text":"c"}]]""", Plain(written["listed"]));
        await using var reader = ArangoPlace.Open(server, "?prefix=theirs_", Password);
        await reader.PrepareAsync(Token);
        Assert.Equal(["a", "c"], await reader.ListAsync(RecordKind.Secret, "", null, Token).Select(static record => record.Key.Id).ToListAsync(Token));
        Assert.Equal(["a"], await reader.FindAsync(RecordKind.Secret, "time.04", "time.99", Token).Select(static record => record.Key.Id).ToListAsync(Token));
        Assert.Empty(await reader.FindAsync(RecordKind.Secret, "loose.x", "loose.x", Token).ToListAsync(Token));
        var version1 = await reader.ReadAsync(new(RecordKind.Version, "c.1"), Token);
        Assert.Equal("é漢🜁", JsonNode.Parse(version1!.Data.Span)!["text"]!.GetValue<string>());
        Assert.True(await reader.WriteAsync([new RecordWrite(version1.Key, version1.Revision, null)], Token));
        Assert.Equal((0, 0), (server.OpenCursors, server.OpenTransactions));
    }

    private static RecordWrite Put(string id, string text, params string[] terms) =>
        new(new(RecordKind.Secret, id), null, Encoding.UTF8.GetBytes($$"""{"text":"{{text}}"}""")) { Terms = terms };

    private static string Join(JsonNode? names) => string.Join(',', names!.AsArray().Select(static name => name!.GetValue<string>()));

    private static string Plain(JsonNode? node) => node!.ToJsonString(new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }).Replace("\\uD83D\\uDF01", "🜁", StringComparison.Ordinal);

    private static async Task<JsonNode> DriveAsync(ArangoServer server, string folder, string prefix, string verb)
    {
        var (code, output, error) = await RunAsync(folder, "node", "as-the-store-does.mjs", server.Address.AbsoluteUri, "keys", "mallku", prefix, verb);
        Assert.True(code == 0, error);
        return JsonNode.Parse(output)!;
    }

    private static async Task<(int Code, string Output, string Error)> RunAsync(string folder, string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { WorkingDirectory = folder, UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["MALLKU_TEST_PASSWORD"] = Password;
        using var process = Process.Start(start)!;
        using var late = new CancellationTokenSource(TimeSpan.FromMinutes(3));
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, Token);
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(either.Token);
            var error = process.StandardError.ReadToEndAsync(either.Token);
            await process.WaitForExitAsync(either.Token);
            return (process.ExitCode, await output, await error);
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: true);
            }
        }
    }
}
