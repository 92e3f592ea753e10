using Mallku.ArangoDb.TestServer;

// mallku's emulation of ArangoDB, by hand: --port N, --user NAME, --password TEXT
var port = 8529;
var (user, password) = ("root", "");
for (var i = 0; i + 1 < args.Length; i += 2)
{
    switch (args[i])
    {
        case "--port":
            port = int.Parse(args[i + 1]);
            break;
        case "--user":
            user = args[i + 1];
            break;
        case "--password":
            password = args[i + 1];
            break;
        default:
            Console.Error.WriteLine($"unknown: {args[i]}");
            return 2;
    }
}

await using var server = await ArangoServer.StartAsync(new ArangoServerOptions { Port = port, User = user, Password = password });
Console.WriteLine(server.Address);
var ended = new TaskCompletionSource();
Console.CancelKeyPress += (_, end) =>
{
    end.Cancel = true;
    ended.TrySetResult();
};
await ended.Task;
return 0;
