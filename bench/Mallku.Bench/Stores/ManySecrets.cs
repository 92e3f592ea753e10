using System.Diagnostics;
using System.Globalization;
using Mallku.Secrets;

namespace Mallku.Bench.Stores;

/// <summary>A store with many secrets: how long it takes to fill, and what a process that begins to use it needs.</summary>
internal static class ManySecrets
{
    internal const string StartMode = "store-start";
    private const int Fillers = 64, Callers = 16, Cold = 5000, FromMemory = 1_000_000;

    internal static async Task MeasureAsync(string name, int secrets)
    {
        await using var engine = await Engine.StartAsync(name);
        using var key = await engine.CreateStoreAsync();
        await using var instance = Instance.Open(engine, key);
        var filling = await FillAsync(instance.Secrets, secrets);
        await instance.Secrets.FlushAsync();

        var table = new Table($"{engine.Name}, {secrets} secrets", "measured");
        table.Add($"filling it, {Fillers} callers, s", $"{filling.TotalSeconds:F1}");
        foreach (var (who, state) in new[] { ("a new machine", (string?)null), ("the machine that has written them", instance.State) })
        {
            await using var other = new OtherProcess(engine, key, StartMode, state, secrets.ToString(CultureInfo.InvariantCulture));
            var told = await other.ReadAsync();
            table.Add($"{who}: to the first value, ms", $"{told[0] / 1000.0:F1}");
            table.Add("  the second value, ms", $"{told[1] / 1000.0:F2}");
            table.Add("  in memory then, MB, and of it managed", $"{Megabytes(told[2])}, {Megabytes(told[3])}");
            table.Add($"  {Cold} cold lookups, {Callers} callers, a second", $"{Cold / (told[4] / 1e6):F0}");
            table.Add("  in memory then, MB, and of it managed", $"{Megabytes(told[5])}, {Megabytes(told[6])}");
            table.Add("  a lookup from memory, ns", $"{told[7] * 1000.0 / FromMemory:F1}");
        }

        table.Print();

        static string Megabytes(long bytes) => $"{bytes / 1e6:F1}";
    }

    /// <summary>The other process.</summary>
    internal static async Task StartAsync(int secrets)
    {
        var start = Stopwatch.GetTimestamp();
        await using var instance = Instance.OpenOwn();
        await instance.Secrets.GetRequiredAsync(NameOf(0));
        var first = Stopwatch.GetElapsedTime(start);
        start = Stopwatch.GetTimestamp();
        await instance.Secrets.GetRequiredAsync(NameOf(1));
        var second = Stopwatch.GetElapsedTime(start);
        var after = InMemory();
        var cold = await Spent.OnAsync(Callers, Cold, async i => await instance.Secrets.GetRequiredAsync(NameOf(2 + (i * (long)(secrets - 2) / Cold))));
        var afterCold = InMemory();
        var loop = await Spent.OnAsync(1, FromMemory, async i => await instance.Secrets.GetAsync(NameOfKnown));
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{first.TotalMicroseconds:F0} {second.TotalMicroseconds:F0} {after.All} {after.Managed} {cold.Clock:F0} {afterCold.All} {afterCold.Managed} {loop.Clock:F0}"));
        await Console.In.ReadToEndAsync();

        static (long All, long Managed) InMemory()
        {
            var managed = GC.GetTotalMemory(forceFullCollection: true);
            using var self = Process.GetCurrentProcess();
            return (self.WorkingSet64, managed);
        }
    }

    private static readonly string NameOfKnown = NameOf(0);

    private static string NameOf(long i) => string.Create(CultureInfo.InvariantCulture, $"team_{i / 100}_key_{i % 100}");

    private static async Task<TimeSpan> FillAsync(SecretsManager secrets, int count)
    {
        var (start, done) = (Stopwatch.GetTimestamp(), 0);
        using var value = SecretValue.FromString("sk-0123456789abcdefghijklmnopqrstuvwxyz");
        await Spent.OnAsync(Fillers, count, async i =>
        {
            await secrets.SetAsync(NameOf(i), value);
            if (Interlocked.Increment(ref done) is var now && now % Math.Max(1, count / 20) == 0)
            {
                Console.Error.WriteLine($"{now} of {count} after {Stopwatch.GetElapsedTime(start).TotalSeconds:F0} s");
            }
        });
        return Stopwatch.GetElapsedTime(start);
    }
}
