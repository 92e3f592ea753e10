using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using BenchmarkDotNet.Running;
using Mallku.Bench;
using Mallku.Bench.Stores;
using Mallku.Secrets.Crypto;

if (args is ["fernet-100"])
{
    MeasureForPython();
}
else if (args is ["ledger", var folder, var entries])
{
    await LedgerFilling.FillAsync(folder, int.Parse(entries, CultureInfo.InvariantCulture));
}
else if (args is ["adapter", var requests])
{
    await AdapterOverhead.MeasureAsync(int.Parse(requests, CultureInfo.InvariantCulture));
}
else if (args is ["reach", var rotations])
{
    await RotationReach.MeasureAsync(int.Parse(rotations, CultureInfo.InvariantCulture));
}
else if (args is ["follow", var vault, var server])
{
    await RotationReach.FollowAsync(vault, server);
}
else if (args is ["store", var speedEngine, var comparisons])
{
    await StoreSpeed.MeasureAsync(speedEngine, int.Parse(comparisons, CultureInfo.InvariantCulture));
}
else if (args is ["store-reach", var reachEngine, var changes])
{
    await ChangeReach.MeasureAsync(reachEngine, int.Parse(changes, CultureInfo.InvariantCulture));
}
else if (args is [ChangeReach.FollowMode])
{
    await ChangeReach.FollowAsync();
}
else if (args is ["store-many", var filledEngine, var secrets])
{
    await ManySecrets.MeasureAsync(filledEngine, int.Parse(secrets, CultureInfo.InvariantCulture));
}
else if (args is [ManySecrets.StartMode, var filled])
{
    await ManySecrets.StartAsync(int.Parse(filled, CultureInfo.InvariantCulture));
}
else
{
    BenchmarkSwitcher.FromAssembly(typeof(FernetBenchmarks).Assembly).Run(args);
}

// the same loop as Python's timeit: the best of some rounds, in microseconds a call
static void MeasureForPython()
{
    using var key = Fernet.GenerateKey();
    using var fernet = new Fernet(key);
    var data = RandomNumberGenerator.GetBytes(100);
    var token = fernet.Encrypt(data);
    Measure("encrypt", () => fernet.Encrypt(data));
    Measure("decrypt", () => fernet.Decrypt(token));

    static void Measure(string name, Func<byte[]> call)
    {
        const int calls = 40_000;
        var best = double.MaxValue;
        for (var round = 0; round < 15; round++)
        {
            var start = Stopwatch.GetTimestamp();
            for (var i = 0; i < calls; i++)
            {
                call();
            }

            best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalMicroseconds / calls);
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"mallku {name} {best}"));
    }
}
