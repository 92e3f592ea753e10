using System.Collections.Concurrent;
using System.Globalization;
using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Stores.Tests;

/// <summary>
/// Machines, each with a ledger of its own, that set and look up secrets of one store all the time, whatever becomes of it.
/// Each secret is set by one machine alone, to one number more each time, and looked up by all.
/// </summary>
internal sealed class Crew : IAsyncDisposable
{
    private const int Count = 3;
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(60);

    private readonly DirectoryInfo _state = Directory.CreateTempSubdirectory("mallku-state-");
    private readonly StoreKey _key = StoreKey.Generate();
    private readonly Func<IRecordStore> _open;
    private readonly List<IRecordStore> _opened = [];
    private readonly List<SecretsManager> _managers = [];
    private readonly ConcurrentDictionary<int, ConcurrentQueue<SecretChange>> _acknowledged = new();
    private readonly int[] _begun = new int[Count], _done = new int[Count];
    private Task _working = Task.CompletedTask;
    private bool _isOver;
    private int _refusals, _lookups;

    private Crew(Func<IRecordStore> open) => _open = open;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    internal int Refusals => Volatile.Read(ref _refusals);

    internal static async Task<Crew> BeginAsync(Func<IRecordStore> open)
    {
        var crew = new Crew(open);
        await using (var records = open())
        {
            await new StoreRoot(records, crew._key).CreateAsync(TimeProvider.System, Token);
        }

        for (var i = 0; i < Count; i++)
        {
            crew._managers.Add(crew.Open($"machine-{i}"));
        }

        crew._working = Task.WhenAll(Enumerable.Range(0, Count).SelectMany(i => new[] { Task.Run(() => crew.SetAsync(i), Token), Task.Run(() => crew.LookUpAsync(i), Token) }));
        return crew;
    }

    /// <summary>Waits until every machine has set and looked up more, or one of them has failed.</summary>
    internal async Task GoesOnAsync()
    {
        var (before, looked, end) = ((int[])_done.Clone(), Volatile.Read(ref _lookups), Environment.TickCount64 + (long)Longest.TotalMilliseconds);
        while (Enumerable.Range(0, Count).Any(i => Volatile.Read(ref _done[i]) < before[i] + 10) || Volatile.Read(ref _lookups) < looked + 100)
        {
            Assert.False(_working.IsCompleted, $"{_working.Exception}");
            Assert.True(Environment.TickCount64 < end, "nothing goes on");
            await Task.Delay(20, Token);
        }
    }

    /// <summary>Waits until some were refused.</summary>
    internal async Task IsRefusedAsync()
    {
        var (before, end) = (Refusals, Environment.TickCount64 + (long)Longest.TotalMilliseconds);
        while (Refusals < before + (2 * Count))
        {
            Assert.False(_working.IsCompleted, $"{_working.Exception}");
            Assert.True(Environment.TickCount64 < end, "nothing is refused");
            await Task.Delay(20, Token);
        }
    }

    /// <summary>Nothing that was acknowledged is lost, in the store or in a ledger, and every ledger is sound, here and there.</summary>
    internal async Task EndAsync()
    {
        Volatile.Write(ref _isOver, true);
        await _working.WaitAsync(Longest, Token);
        var fresh = Open("fresh");
        for (var i = 0; i < Count; i++)
        {
            var found = await fresh.GetRequiredAsync(NameOf(i), Token);
            Assert.InRange(Parse(found), Volatile.Read(ref _done[i]), Volatile.Read(ref _begun[i]));

            await _managers[i].FlushAsync(Token);
            Assert.Null((await _managers[i].Ledger.VerifyAsync(cancellationToken: Token)).Fault);
            var entries = await _managers[i].Ledger.ReadEntriesAsync(cancellationToken: Token).ToListAsync(Token);
            var told = entries.Where(entry => entry is { Kind: LedgerKind.Created or LedgerKind.Updated } && entry.Secret == NameOf(i)).Select(static entry => entry.Version!.Value).ToHashSet();
            Assert.All(_acknowledged[i], change => Assert.Contains(change.Version, told));
            while (await _managers[i].StoreLedger!.TellAsync(Token) > 0)
            {
            }
        }

        var instances = await fresh.StoreLedger!.VerifyAsync(cancellationToken: Token);
        Assert.Equal(Count, instances.Count(static instance => instance.Instance is not null));
        Assert.All(instances, static instance => Assert.Null(instance.Fault));
    }

    public async ValueTask DisposeAsync()
    {
        Volatile.Write(ref _isOver, true);
        await Record.ExceptionAsync(() => _working.WaitAsync(Longest, CancellationToken.None));
        foreach (var records in _opened)
        {
            await records.DisposeAsync();
        }

        _key.Dispose();
        _state.Delete(recursive: true);
    }

    private static string NameOf(int machine) => $"secret_of_{machine}";

    private static int Parse(SecretValue value) => int.Parse(value.RevealString(), CultureInfo.InvariantCulture);

    private SecretsManager Open(string machine)
    {
        var records = _open();
        _opened.Add(records);
        using var text = _key.ToText();
        Environment.SetEnvironmentVariable("MALLKU_STATE_DIR", Path.Combine(_state.FullName, machine));
        return SecretsManager.Open(new SecretsOptions { Store = records, StoreKey = text });
    }

    private async Task SetAsync(int machine)
    {
        var acknowledged = _acknowledged.GetOrAdd(machine, static _ => new());
        for (var number = 1; !Volatile.Read(ref _isOver); number++)
        {
            using var value = SecretValue.FromString($"{number}");
            Volatile.Write(ref _begun[machine], number);
            try
            {
                acknowledged.Enqueue(await _managers[machine].SetAsync(NameOf(machine), value, cancellationToken: Token).AsTask().WaitAsync(Longest, Token));
                Volatile.Write(ref _done[machine], number);
            }
            catch (SecretsException)
            {
                Interlocked.Increment(ref _refusals);
                await Task.Delay(20, Token);
            }
        }
    }

    private async Task LookUpAsync(int machine)
    {
        var newest = new int[Count];
        for (var i = 0; !Volatile.Read(ref _isOver); i = (i + 1) % Count)
        {
            try
            {
                if (await _managers[machine].GetAsync(NameOf(i), Token).AsTask().WaitAsync(Longest, Token) is { } value)
                {
                    var number = Parse(value);
                    Assert.True(number >= newest[i] && number <= Volatile.Read(ref _begun[i]), $"{NameOf(i)} was {newest[i]} and is {number}");
                    newest[i] = number;
                }

                Interlocked.Increment(ref _lookups);
            }
            catch (SecretsException)
            {
                Interlocked.Increment(ref _refusals);
            }

            await Task.Delay(1, Token);
        }
    }
}
