using System.Globalization;
using Mallku.Secrets;
using Mallku.Secrets.Ledger;

namespace Mallku.Bench.Stores;

/// <summary>
/// A shared store beside what it stands on: a lookup from memory beside one with a vault, and cold lookups and writes beside the
/// engine by hand.
/// </summary>
/// <remarks>
/// By hand, too, each statement is made that the store makes, over rows of the same sizes, and each use and each change is
/// on the disk before it counts, by the same append of a line to the ledger: a cold lookup is two reads and a line, a write is the
/// read of the head, whose revision the write is conditional on, that of the values, the line, and the write of the head with a new
/// value in the place of the oldest of ten. Nothing is sealed or checked by hand. The same once more with a bare line of that length.
/// </remarks>
internal static class StoreSpeed
{
    private const int Read = 160, Written = 32, Versions = 11, Callers = 16, AloneCalls = 64, TogetherCalls = 160, FromMemory = 100_000, MostThreads = 64;
    private const string Warm = "warm";

    private delegate ValueTask Append();

    internal static async Task MeasureAsync(string name, int comparisons)
    {
        // who blocks in a flush must not keep others from the processor
        ThreadPool.SetMinThreads(MostThreads, MostThreads);
        await using var engine = await Engine.StartAsync(name);
        using var key = await engine.CreateStoreAsync();
        await using var instance = Instance.Open(engine, key);
        await FillAsync(instance.Secrets);
        await using var bare = await engine.CopyToBareAsync(instance.Records);
        using var lines = new DurableLines(Path.Combine(instance.State, "lines"), instance.LineLength());
        var read = await FindIdsAsync(instance.Secrets, Read, ReadName);
        var written = await FindIdsAsync(instance.Secrets, Written, WrittenName);
        var table = new Table($"{engine.Name}, {comparisons} comparisons", "by hand", "mallku", "mallku / by hand", "goal", "by the processor's time of this process");
        await CompareMemoryAsync(table, instance.Secrets, comparisons);
        await Comparison.WarmUpAsync(
            () => LookUpAsync(instance.Secrets, Callers, TogetherCalls), () => Spent.OnAsync(Callers, TogetherCalls, i => LookUpAsync(bare, LedgerAsync, read[i])));
        await Comparison.WarmUpAsync(
            () => SetAsync(instance.Secrets, Callers, TogetherCalls), () => Spent.OnAsync(Callers, TogetherCalls, i => WriteAsync(bare, LedgerAsync, written[i % Written])));
        foreach (var (callers, calls) in new[] { (1, AloneCalls), (Callers, TogetherCalls) })
        {
            var who = callers == 1 ? "one caller" : $"{callers} callers";
            foreach (var (append, how, goal) in new (Append, string, string)[] { (LedgerAsync, "", "at least 0.8"), (lines.AddAsync, ", by hand with a bare line", "") })
            {
                Add($"cold lookups a second, {who}{how}", goal, calls, await Comparison.OfAsync(
                    comparisons, () => LookUpAsync(instance.Secrets, callers, calls), () => Spent.OnAsync(callers, calls, i => LookUpAsync(bare, append, read[i]))));
                Add($"writes a second, {who}{how}", goal, calls, await Comparison.OfAsync(
                    comparisons, () => SetAsync(instance.Secrets, callers, calls), () => Spent.OnAsync(callers, calls, i => WriteAsync(bare, append, written[i % Written]))));
            }
        }

        table.Print();

        async ValueTask LedgerAsync() => await instance.Secrets.Vault.RecordAsync([new LedgerEvent(LedgerKind.Read, ReadName(0), 1, "store", "bench")], CancellationToken.None);

        void Add(string what, string goal, int calls, Comparison compared) =>
            table.Add(what, Rate(calls, compared.Other), Rate(calls, compared.One), $"{compared.ByClock:F2}", goal, $"{compared.ByProcessor:F2}");

        static string Rate(int calls, Estimate round) => $"{calls / round.Median * 1e6:F0}";
    }

    private static async Task CompareMemoryAsync(Table table, SecretsManager stored, int comparisons)
    {
        using var home = new TemporaryVault(secrets: 5);
        var inVault = SecretsManager.Open(home.Options);
        const string inVaultName = "provider_3_api_key";
        await stored.GetRequiredAsync(Warm);
        await inVault.GetRequiredAsync(inVaultName);
        var allocated = 0L;
        var compared = await Comparison.OfAsync(comparisons, () => Loop(inVault, inVaultName), () => Loop(stored, Warm));
        table.Add("lookup from memory, ns (by hand: a vault)", Nanoseconds(compared.One), Nanoseconds(compared.Other), $"{compared.ByClock:F2}", "1, in its interval", $"{compared.ByProcessor:F2}");
        table.Add("  bytes allocated by one", "", $"{(double)allocated / FromMemory / (2 * comparisons):F2}", "", "0", "");
        await inVault.FlushAsync();

        Task<Spent> Loop(SecretsManager manager, string name) => Spent.OnAsync(1, 1, once =>
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < FromMemory; i++)
            {
                // in memory it is there at once; where a change was told of meanwhile, it is not
                var asked = manager.GetAsync(name);
                if (!asked.IsCompleted)
                {
                    asked.AsTask().GetAwaiter().GetResult();
                }
            }

            allocated += manager == stored ? GC.GetAllocatedBytesForCurrentThread() - before : 0;
            return ValueTask.CompletedTask;
        });

        static string Nanoseconds(Estimate round) => $"{round.Median * 1000 / FromMemory:F1}";
    }

    private static async Task FillAsync(SecretsManager secrets)
    {
        await SetAsync(secrets, Warm);
        await Spent.OnAsync(Callers, Read, i => SetAsync(secrets, ReadName(i)));
        await SetAsync(secrets, Callers, Written * Versions);
    }

    // a manager of its own counts anew, and after a fresh look nothing is known but the store's keys
    private static async Task<Spent> LookUpAsync(SecretsManager secrets, int callers, int calls)
    {
        var cold = secrets.WithPurpose("bench");
        await cold.RefreshAsync();
        await cold.GetRequiredAsync(Warm);
        return await Spent.OnAsync(callers, calls, async i => await cold.GetRequiredAsync(ReadName(i)));
    }

    private static async ValueTask LookUpAsync(IBareRecords bare, Append append, string id)
    {
        await bare.ReadAsync(new RecordKey(RecordKind.Secret, id));
        await bare.ReadAsync(StoreSealing.KeyOf(id, 1));
        await append();
    }

    private static Task<Spent> SetAsync(SecretsManager secrets, int callers, int calls) => Spent.OnAsync(callers, calls, i => SetAsync(secrets, WrittenName(i % Written)));

    private static async ValueTask SetAsync(SecretsManager secrets, string name)
    {
        using var value = SecretValue.FromString("sk-0123456789abcdefghijklmnopqrstuvwxyz");
        await secrets.SetAsync(name, value);
    }

    private static async ValueTask WriteAsync(IBareRecords bare, Append append, string id)
    {
        var head = await bare.ReadAsync(new RecordKey(RecordKind.Secret, id));
        var values = await bare.ListVersionsAsync(StoreSealing.VersionsOf(id), StoreSealing.AfterVersionsOf(id));
        var (oldest, newest) = (values[0], values[^1]);
        var next = int.Parse(newest.Key.Id.AsSpan(id.Length + 1), CultureInfo.InvariantCulture) + 1;
        await append();
        await bare.WriteAsync([
            new RecordWrite(head.Key, head.Revision, head.Data),
            new RecordWrite(StoreSealing.KeyOf(id, next), Expected: null, newest.Data),
            new RecordWrite(oldest.Key, oldest.Revision, Data: null),
        ]);
    }

    private static async Task<List<string>> FindIdsAsync(SecretsManager secrets, int count, Func<int, string> nameOf)
    {
        var sealing = await secrets.Store!.Root.OpenAsync(CancellationToken.None);
        return [.. Enumerable.Range(0, count).Select(i => sealing.IdOf(SecretName.Parse(nameOf(i))))];
    }

    private static string ReadName(int i) => $"read_{i}";

    private static string WrittenName(int i) => $"written_{i}";
}
