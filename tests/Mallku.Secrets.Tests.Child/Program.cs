// A process of its own for the tests: it writes to a vault, and says on standard output what is durable.
using System.Globalization;
using Mallku.Secrets;
using Mallku.Secrets.Vault;

var manager = SecretsManager.Open(new SecretsOptions { Directory = args[1] });
switch (args[0])
{
    // loop DIR: sets secrets and rotates the key until it is killed; ready when everything has run once
    case "loop":
        for (var i = 1; ; i++)
        {
            if (i == 6)
            {
                Say("ready");
            }

            if (i % 5 == 0)
            {
                await VaultKeys.RotateAsync(manager.Vault, CancellationToken.None);
                Say("rotated");
            }
            else
            {
                var name = $"key_{i % 7}";
                using var value = SecretValue.FromString(string.Create(CultureInfo.InvariantCulture, $"value-{Environment.ProcessId}-{i}"));
                var change = await manager.SetAsync(name, value);
                Say(string.Create(CultureInfo.InvariantCulture, $"set {name} {change.Version} {value.RevealString()}"));
            }
        }

    // load DIR: two writers and four readers of the same ten secrets until it is killed; every read is a new manager's first
    case "load":
        await Task.WhenAll([.. Enumerable.Range(0, 2).Select(writer => Task.Run(() => WriteOnAsync(manager, writer))), .. Enumerable.Range(0, 4).Select(_ => Task.Run(() => ReadOnAsync(args[1])))]);
        return 0;

    // fill DIR PREFIX COUNT: sets that many secrets
    case "fill":
        for (var i = 0; i < int.Parse(args[3], CultureInfo.InvariantCulture); i++)
        {
            var name = $"{args[2]}_{i}";
            using var value = SecretValue.FromString("value of " + name);
            await manager.SetAsync(name, value);
            Say("set " + name);
        }

        return 0;

    case "create":
        await Answer(async () =>
        {
            await VaultCreation.CreateAsync(manager.Vault, CancellationToken.None);
            return "created";
        });
        return 0;

    case "get":
        await Answer(async () => "got " + (await manager.GetRequiredAsync(args[2])).RevealString());
        return 0;

    case "set":
        using (var value = SecretValue.FromString(args[3]))
        {
            await Answer(async () => "set " + (await manager.SetAsync(args[2], value)).Version);
        }

        return 0;

    // readers DIR COUNT: for every line of input, as many readers as there are secrets ask at once, and one asks again and
    // again for what it was handed before; then what it knows of that is written
    case "readers":
        var names = Enumerable.Range(0, int.Parse(args[2], CultureInfo.InvariantCulture)).Select(i => string.Create(CultureInfo.InvariantCulture, $"key_{i}")).ToList();
        await manager.GetRequiredAsync("hot");
        Say("ready");
        while (Console.ReadLine() is not null)
        {
            for (var i = 0; i < 1000; i++)
            {
                await manager.GetRequiredAsync("hot");
            }

            var answers = await Task.WhenAll(names.Select(name => Task.Run(() => AskAsync(async () => "got " + (await manager.GetRequiredAsync(name)).RevealString()))));
            foreach (var answer in answers)
            {
                Say(answer);
            }

            Say(await AskAsync(async () =>
            {
                await manager.FlushAsync();
                return "flushed";
            }));
        }

        return 0;

    // leave DIR COUNT: uses a secret for that many purposes; after a line of input uses it again for each, and ends
    case "leave":
        var patient = SecretsManager.Open(new SecretsOptions { Directory = args[1], LedgerTimeout = TimeSpan.FromSeconds(2) });
        var purposes = Enumerable.Range(0, int.Parse(args[2], CultureInfo.InvariantCulture))
            .Select(i => patient.WithPurpose(string.Create(CultureInfo.InvariantCulture, $"purpose {i}"))).ToList();
        foreach (var purpose in purposes)
        {
            await purpose.GetRequiredAsync("hot");
        }

        Say("ready");
        Console.ReadLine();
        foreach (var purpose in purposes)
        {
            await purpose.GetRequiredAsync("hot");
        }

        return 0;

    case "remove":
        await Answer(async () => "removed " + (await manager.RemoveAsync(args[2])).Version);
        return 0;

    case "rotate":
        await Answer(async () => "rotated " + (await VaultKeys.RotateAsync(manager.Vault, CancellationToken.None)).Secrets);
        return 0;

    // gives the ledger up
    case "restart":
        await Answer(async () => "restarted " + await VaultLedger.RestartAsync(manager.Vault, CancellationToken.None));
        return 0;

    // renew DIR NAME COMMAND...: rotates a secret by a command, without a grace
    case "renew":
        await Answer(async () =>
        {
            var policy = new RotationPolicy { Rotator = "command", Command = args[3..], Grace = TimeSpan.Zero };
            var rotated = await manager.CreateRotationRunner().RotateAsync(args[2], policy);
            return string.Create(CultureInfo.InvariantCulture, $"renewed {rotated.Version}");
        });
        return 0;

    case "rollback":
        await Answer(async () => "rolled back " + (await manager.CreateRotationRunner().RollBackAsync(args[2], grace: TimeSpan.Zero)).Version);
        return 0;

    case "resume":
        await Answer(async () => "resumed " + (await manager.CreateRotationRunner().ResumeAsync(args[2])).Version);
        return 0;

    default:
        return 2;
}

static async Task WriteOnAsync(SecretsManager manager, int writer)
{
    for (var i = 0; ; i++)
    {
        var name = $"key_{writer}_{i % 5}";
        using var value = SecretValue.FromString("value of " + name);
        Say(await AskAsync(async () => $"set {name} {(await manager.SetAsync(name, value)).Version}"));
    }
}

static async Task ReadOnAsync(string directory)
{
    for (var i = 0; ; i++)
    {
        var name = $"key_{i % 2}_{i % 5}";
        var reader = SecretsManager.Open(new SecretsOptions { Directory = directory });
        Say(await AskAsync(async () => $"read {name} {(await reader.FindAsync(name))!.Version}"));
    }
}

static void Say(string line)
{
    Console.Out.WriteLine(line);
    Console.Out.Flush();
}

static async Task Answer(Func<Task<string>> change) => Say(await AskAsync(change));

static async Task<string> AskAsync(Func<Task<string>> change)
{
    try
    {
        return await change();
    }
    catch (SecretsException e)
    {
        return $"error {e.GetType().Name}: {e.Problem} | {e.Remedy}";
    }
}
