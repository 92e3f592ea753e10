using System.Collections.Concurrent;
using System.Text;

namespace Mallku.Secrets.Stores.Tests.Etcd;

/// <summary>
/// Writers that add one record after another, each with a store of its own, whatever happens to the servers. What they were
/// told is compared with what is there in the end.
/// </summary>
internal sealed class Load
{
    private const string Data = """{"n":1}""";
    private readonly ConcurrentDictionary<string, Outcome> _outcomes = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource _end = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
    private readonly Task[] _writers;
    private readonly int[] _written;

    internal Load(int writers, Func<IRecordStore> open)
    {
        _written = new int[writers];
        _writers = [.. Enumerable.Range(0, writers).Select(writer => Task.Run(() => WriteAsync(open(), writer)))];
    }

    private enum Outcome
    {
        Written,
        Unknown,
        NotWritten,
    }

    /// <summary>How many writes were not made, or may not have been.</summary>
    internal int Refusals => _outcomes.Values.Count(static outcome => outcome != Outcome.Written);

    /// <summary>Waits until each writer has written that many records more.</summary>
    internal async Task GoesOnAsync(int more, TimeSpan within)
    {
        var goal = _written.Select(written => written + more).ToList();
        using var late = CancellationTokenSource.CreateLinkedTokenSource(_end.Token);
        late.CancelAfter(within);
        while (goal.Index().Any(writer => Volatile.Read(ref _written[writer.Index]) < writer.Item))
        {
            var ended = Array.Find(_writers, static writer => writer.IsCompleted);
            if (ended is not null)
            {
                await ended;
            }

            Assert.False(late.IsCancellationRequested, $"not every writer has gone on within {within}");
            await Task.Delay(10, CancellationToken.None);
        }
    }

    /// <summary>Ends the writers, and sees that what is there is what they were told.</summary>
    internal async Task EndAsync(IRecordStore store)
    {
        await _end.CancelAsync();
        await Task.WhenAll(_writers);
        var there = await IdsAsync(store.ListAsync(RecordKind.Version, "", null, TestContext.Current.CancellationToken));
        Assert.DoesNotContain(_outcomes, pair => pair.Value == Outcome.Written && !there.Contains(pair.Key));
        Assert.DoesNotContain(_outcomes, pair => pair.Value == Outcome.NotWritten && there.Contains(pair.Key));
        Assert.DoesNotContain(there, id => !_outcomes.ContainsKey(id));

        // a write of which nobody knows may still be made meanwhile
        var found = await IdsAsync(store.FindAsync(RecordKind.Version, "all", "all", TestContext.Current.CancellationToken));
        Assert.Subset(found, there);
        Assert.Subset(await IdsAsync(store.ListAsync(RecordKind.Version, "", null, TestContext.Current.CancellationToken)), found);
        _end.Dispose();
    }

    private static async Task<HashSet<string>> IdsAsync(IAsyncEnumerable<StoredRecord> records) =>
        await records.Select(static record => record.Key.Id).ToHashSetAsync(StringComparer.Ordinal, TestContext.Current.CancellationToken);

    private async Task WriteAsync(IRecordStore store, int writer)
    {
        await using var owned = store;
        for (var i = 0; !_end.IsCancellationRequested; i++)
        {
            var id = $"{writer}.{i}";
            try
            {
                // the end comes between two writes, not in one
                Assert.True(await store.WriteAsync([new(new(RecordKind.Version, id), null, Encoding.UTF8.GetBytes(Data)) { Terms = ["all"] }], TestContext.Current.CancellationToken));
                _outcomes[id] = Outcome.Written;
                Interlocked.Increment(ref _written[writer]);
            }
            catch (StoreUnreachableException fault)
            {
                _outcomes[id] = fault.MayBeWritten ? Outcome.Unknown : Outcome.NotWritten;
                await Task.Delay(20, CancellationToken.None);
            }
        }
    }
}
