using System.Diagnostics;
using System.Globalization;
using Mallku.Secrets;

namespace Mallku.Bench.Stores;

/// <summary>How long after a change by one instance its value is first used by another, which is another process.</summary>
internal static class ChangeReach
{
    internal const string FollowMode = "store-follow";
    private const string Name = "openai_api_key";
    private const int LongestPause = 50;

    internal static async Task MeasureAsync(string name, int changes)
    {
        await using var engine = await Engine.StartAsync(name);
        using var key = await engine.CreateStoreAsync();
        await using var instance = Instance.Open(engine, key);
        var (known, _) = await SetAsync(instance.Secrets);
        await using var other = new OtherProcess(engine, key, FollowMode);
        await SeeAsync(other, known);

        var (figures, writes) = (new List<double>(changes), new List<double>(changes));
        for (var i = 0; i < changes; i++)
        {
            // so that it comes at any time between two looks of the other
            await Task.Delay(Random.Shared.Next(LongestPause));
            var start = Stopwatch.GetTimestamp();
            var (version, written) = await SetAsync(instance.Secrets);
            writes.Add(Stopwatch.GetElapsedTime(start, written).TotalMilliseconds);
            figures.Add(Stopwatch.GetElapsedTime(start, await SeeAsync(other, version)).TotalMilliseconds);
        }

        figures.Sort();
        writes.Sort();
        var table = new Table($"{engine.Name}, {changes} changes", "median, ms", "99 % within, ms", "longest, ms", "goal");
        table.Add("from before the change to its use", Of(figures, 0.5), Of(figures, 0.99), $"{figures[^1]:F1}", "99 % within 100 ms");
        table.Add("  of which the change itself", Of(writes, 0.5), Of(writes, 0.99), $"{writes[^1]:F1}", "");
        table.Print();

        static string Of(List<double> sorted, double share) => $"{sorted[(int)Math.Ceiling(share * sorted.Count) - 1]:F1}";
    }

    /// <summary>The other process: uses the secret over and over, and says when it was first given which version.</summary>
    internal static async Task FollowAsync()
    {
        await using var instance = Instance.OpenOwn();
        var end = Task.Run(Console.In.ReadToEnd);
        for (int? known = null; !end.IsCompleted; await Task.Delay(1))
        {
            if (await instance.Secrets.FindAsync(Name) is { } found && found.Version != known)
            {
                // one clock for all processes of a machine
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{found.Version} {Stopwatch.GetTimestamp()}"));
                known = found.Version;
            }
        }
    }

    private static async Task<(int Version, long Written)> SetAsync(SecretsManager secrets)
    {
        using var value = SecretValue.FromString("sk-0123456789abcdefghijklmnopqrstuvwxyz");
        return ((await secrets.SetAsync(Name, value)).Version, Stopwatch.GetTimestamp());
    }

    private static async Task<long> SeeAsync(OtherProcess other, int version)
    {
        while (true)
        {
            if (await other.ReadAsync() is [var seen, var time] && seen == version)
            {
                return time;
            }
        }
    }
}
