// A process of its own for the tests: it shares a vault with the one that started it, or the store that a variable names.
using System.Globalization;
using Mallku.FireCircle.Rotators;
using Mallku.FireCircle.Tests;
using Mallku.Secrets.Stores;

var store = Environment.GetEnvironmentVariable("MALLKU_TEST_STORE");
var secrets = SecretsManager.Open(store is null ? new SecretsOptions { Directory = args[1] } : new SecretsOptions { Store = SharedStores.Open(store) });
using var factory = new AdapterFactory(secrets, await ProviderCatalogue.LoadAsync(args[2]));
switch (args[0])
{
    // call DIR PROVIDERS COUNT: callers, until the input ends; a line is a number of answers to wait for
    case "call":
        var callers = await Callers.StartAsync(factory, "child", int.Parse(args[3], CultureInfo.InvariantCulture), CancellationToken.None);
        Say("ready");
        while (Console.ReadLine() is { } line)
        {
            await callers.GoOnAsync(int.Parse(line, CultureInfo.InvariantCulture), CancellationToken.None);
            Say("went on");
        }

        await callers.EndAsync();
        Say(callers.Answered.ToString(CultureInfo.InvariantCulture));
        return 0;

    // rotate DIR PROVIDERS SECRET GRACE MOMENT: rotates a secret, as far as that moment
    case "rotate":
        var policy = new RotationPolicy
        {
            Rotator = "openai",
            Account = "proj_test",
            Grace = TimeSpan.FromSeconds(int.Parse(args[4], CultureInfo.InvariantCulture)),
        };
        await secrets.CreateRotationRunner(new PausingRotator(new OpenAIRotator(factory), args[5])).RotateAsync(args[3], policy);
        return 0;

    default:
        return 2;
}

static void Say(string line)
{
    Console.Out.WriteLine(line);
    Console.Out.Flush();
}
