using Mallku.FireCircle.TestServer;

// mallku's test server of its own: --port N, --key KEY (may be repeated; without one any key is taken)
var port = 0;
var keys = new List<string>();
for (var i = 0; i + 1 < args.Length; i += 2)
{
    if (args[i] == "--port")
    {
        port = int.Parse(args[i + 1]);
    }
    else if (args[i] == "--key")
    {
        keys.Add(args[i + 1]);
    }
}

await using var server = await ProviderServer.StartAsync(port);
server.AcceptsAnyKey = keys.Count == 0;
keys.ForEach(server.Accept);
foreach (var provider in Protocols.Names)
{
    Console.WriteLine($"{provider}\t{server.BaseUrl(provider)}");
}

var ended = new TaskCompletionSource();
Console.CancelKeyPress += (_, end) =>
{
    end.Cancel = true;
    ended.TrySetResult();
};
await ended.Task;
