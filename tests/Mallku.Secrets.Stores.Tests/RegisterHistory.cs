using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace Mallku.Secrets.Stores.Tests;

/// <summary>
/// Writers that each read one record and count it up by compare-and-swap, and everything that they saw and when: what can't
/// be put in one order that fits the times and in which each reads what was written last is found by <see cref="Check"/>.
/// </summary>
internal sealed class RegisterHistory(RecordKey key)
{
    private readonly ConcurrentQueue<Operation> _operations = [];
    private int _lastAttempt;

    internal int Written => _operations.Count(static operation => operation.What == What.Written);

    /// <summary>Makes the record, with 0.</summary>
    internal async Task BeginAsync(IRecordStore store, CancellationToken cancellationToken) =>
        Assert.True(await store.WriteAsync([new RecordWrite(key, null, Data(0, 0))], cancellationToken));

    /// <summary>Counts up until it is told to stop. A fault of the store is survived, and what it leaves open is noted.</summary>
    internal async Task CountAsync(IRecordStore store, Func<int, bool> isEnough, CancellationToken cancellationToken)
    {
        for (var written = 0; !isEnough(written);)
        {
            try
            {
                if (await CountOnceAsync(store, cancellationToken))
                {
                    written++;
                }
            }
            catch (StoreUnreachableException)
            {
                await Task.Delay(20, cancellationToken);
            }
        }
    }

    /// <summary>Finds what no single register could have answered.</summary>
    internal void Check()
    {
        var attempts = _operations.Where(static operation => operation.What is What.Written or What.Open).ToDictionary(static operation => operation.Attempt);
        var reads = _operations.Where(static operation => operation is { What: What.Read, Value: > 0 }).ToList();
        Assert.All(reads, read => Assert.Equal(read.Value, attempts[read.Attempt].Value));

        // each value has one write; one whose answer was lost counts where somebody has seen what it wrote
        var seen = reads.Select(static read => read.Attempt).ToHashSet();
        var writes = attempts.Values.Where(write => write.What == What.Written || seen.Contains(write.Attempt)).ToDictionary(static write => write.Value);
        Assert.All(reads, read => Assert.Equal(read.Attempt, writes[read.Value].Attempt));
        var lost = attempts.Values.Where(static write => write.What == What.Open).Select(static write => write.Value).ToHashSet();
        Assert.All(Enumerable.Range(1, writes.Keys.DefaultIfEmpty().Max()), value => Assert.True(writes.ContainsKey(value) || lost.Contains(value), $"nobody has written {value}"));

        // nothing is known before it was begun
        var answers = _operations.Where(static operation => operation.What != What.Open).OrderBy(static operation => operation.Began).ToList();
        Assert.All(answers, answer => Assert.True(!writes.TryGetValue(answer.Proves, out var cause) || cause.Began <= answer.Ended, $"{answer} before it was written"));

        // nor forgotten after it was answered
        var ended = new PriorityQueue<int, long>();
        var newest = 0;
        foreach (var answer in answers)
        {
            while (ended.TryPeek(out var value, out var at) && at < answer.Began)
            {
                newest = Math.Max(newest, value);
                ended.Dequeue();
            }

            Assert.True(answer.What switch { What.Read => answer.Value >= newest, What.Written => answer.Value > newest, _ => true }, $"{answer} after {newest} was known");
            ended.Enqueue(answer.Proves, answer.Ended);
        }
    }

    private static byte[] Data(int value, int attempt) => Encoding.UTF8.GetBytes($$"""{"n":"{{value}}","attempt":"{{attempt}}"}""");

    private async Task<bool> CountOnceAsync(IRecordStore store, CancellationToken cancellationToken)
    {
        var began = Stopwatch.GetTimestamp();
        var found = await store.ReadAsync(key, cancellationToken);
        Assert.NotNull(found);
        var read = JsonNode.Parse(found.Data.Span)!;
        var value = int.Parse(read["n"]!.GetValue<string>(), CultureInfo.InvariantCulture);
        _operations.Enqueue(new(What.Read, value, int.Parse(read["attempt"]!.GetValue<string>(), CultureInfo.InvariantCulture), began, Stopwatch.GetTimestamp()));

        var attempt = Interlocked.Increment(ref _lastAttempt);
        began = Stopwatch.GetTimestamp();
        try
        {
            var written = await store.WriteAsync([new RecordWrite(key, found.Revision, Data(value + 1, attempt))], cancellationToken);
            _operations.Enqueue(new(written ? What.Written : What.Refused, written ? value + 1 : value, attempt, began, Stopwatch.GetTimestamp()));
            return written;
        }
        catch (StoreUnreachableException e) when (e.MayBeWritten)
        {
            _operations.Enqueue(new(What.Open, value + 1, attempt, began, long.MaxValue));
            throw;
        }
    }

    private enum What
    {
        Read,
        Written,
        Refused,
        Open,
    }

    /// <summary>The value that was read, or that a write would have; the one that was expected where it was refused.</summary>
    private sealed record Operation(What What, int Value, int Attempt, long Began, long Ended)
    {
        /// <summary>The value that was there at its end at the latest.</summary>
        internal int Proves => What == What.Refused ? Value + 1 : Value;
    }
}
