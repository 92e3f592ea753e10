using System.Diagnostics;
using System.Runtime;

namespace Mallku.Bench;

/// <summary>What a round took, in microseconds: by the clock, and of the processor's time, in this process.</summary>
internal sealed record Spent(double Clock, double Processor)
{
    public static Spent operator +(Spent one, Spent other) => new(one.Clock + other.Clock, one.Processor + other.Processor);

    public static Spent operator /(Spent one, Spent other) => new(one.Clock / other.Clock, one.Processor / other.Processor);

    /// <summary>What callers at once take for a number of calls that they share evenly.</summary>
    internal static async Task<Spent> OnAsync(int callers, int calls, Func<int, ValueTask> call)
    {
        var (start, used) = (Stopwatch.GetTimestamp(), Environment.CpuUsage.TotalTime);
        await Task.WhenAll(Enumerable.Range(0, callers).Select(caller => Task.Run(async () =>
        {
            for (var i = caller; i < calls; i += callers)
            {
                await call(i);
            }
        })));
        return new Spent(Stopwatch.GetElapsedTime(start).TotalMicroseconds, (Environment.CpuUsage.TotalTime - used).TotalMicroseconds);
    }
}

/// <summary>
/// Two ways to the same, in turn, in one run. Only what was measured side by side is compared, and the median of many such
/// comparisons told with its interval of confidence, so that what else the machine does makes it wider and not another.
/// </summary>
/// <param name="One">What a round of the one took.</param>
/// <param name="Other">What one of the other took.</param>
/// <param name="ByClock">The other's time / the one's.</param>
/// <param name="ByProcessor">The same of the processor's time, which depends on nothing else that runs.</param>
internal sealed record Comparison(Estimate One, Estimate Other, Estimate ByClock, Estimate ByProcessor)
{
    // in which nothing is compiled anew, and within which that must be so
    private static readonly TimeSpan QuietTime = TimeSpan.FromSeconds(3), Longest = TimeSpan.FromMinutes(2);

    /// <summary>
    /// Goes on with both until the runtime compiles nothing anew. It does so in the background with what is used often, and the
    /// platform's own code comes compiled: an early measurement compares that with what is not yet.
    /// </summary>
    internal static async Task WarmUpAsync(Func<Task> one, Func<Task> other)
    {
        var (began, compiled) = (Stopwatch.GetTimestamp(), -1L);
        for (var quiet = began; Stopwatch.GetElapsedTime(quiet) < QuietTime && Stopwatch.GetElapsedTime(began) < Longest;)
        {
            await one();
            await other();
            if (JitInfo.GetCompiledMethodCount() is var now && now != compiled)
            {
                (compiled, quiet) = (now, Stopwatch.GetTimestamp());
            }
        }
    }

    internal static async Task<Comparison> OfAsync(int comparisons, Func<Task<Spent>> one, Func<Task<Spent>> other)
    {
        var (ones, others) = (new List<Spent>(), new List<Spent>());
        for (var i = 0; i < comparisons; i++)
        {
            // one, other, other, one: what becomes faster or slower meanwhile does so for both
            var (outer, inner) = i % 2 == 0 ? (one, other) : (other, one);
            var outerTime = await outer();
            var innerTime = await inner() + await inner();
            outerTime += await outer();
            ones.Add(i % 2 == 0 ? outerTime : innerTime);
            others.Add(i % 2 == 0 ? innerTime : outerTime);
        }

        const double rounds = 2;
        var ratios = ones.Zip(others, static (one, other) => other / one).ToList();
        return new Comparison(
            Estimate.Of(ones.ConvertAll(static spent => spent.Clock / rounds)),
            Estimate.Of(others.ConvertAll(static spent => spent.Clock / rounds)),
            Estimate.Of(ratios.ConvertAll(static ratio => ratio.Clock)),
            Estimate.Of(ratios.ConvertAll(static ratio => ratio.Processor)));
    }
}
