using System.Text;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Tests.Storage;

/// <summary>A shared store, and instances that use it, each with what it has seen and what its ledger was told.</summary>
internal sealed class StoreStage : StorePlace
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("mallku-store-");
    private readonly List<SealedStore> _opened = [];
    private int _instances;

    public IRecordStore Records { get; init; } = new MemoryRecordStore();

    /// <summary>Opens the medium once more, as another machine does; null where all use the same object.</summary>
    public Func<IRecordStore>? OpenRecords { get; init; }

    public StoreKey Key { get; init; } = StoreKey.Generate();

    public List<LedgerEvent> Told { get; } = [];

    public static async Task<StoreStage> CreateAsync(IRecordStore? records = null, TimeProvider? clock = null, Func<IRecordStore>? open = null)
    {
        var stage = new StoreStage { Records = records ?? open?.Invoke() ?? new MemoryRecordStore(), OpenRecords = open, Clock = clock ?? TimeProvider.System };
        await new StoreRoot(stage.Records, stage.Key).CreateAsync(stage.Clock, TestContext.Current.CancellationToken);
        return stage;
    }

    public override ISecretStore OpenAt(TimeProvider clock) => Open(clock: clock);

    public SealedStore Open(bool follows = false, TimeSpan? maxStaleness = null, IRecordStore? records = null, string? seen = null, TimeProvider? clock = null)
    {
        var folder = _folder.CreateSubdirectory(seen ?? $"machine-{Interlocked.Increment(ref _instances)}").FullName;
        var use = new StoreUse(
            clock ?? Clock,
            "test",
            (events, _) =>
            {
                lock (Told)
                {
                    Told.AddRange(events);
                }

                return new ValueTask<Checkpoint?>(result: null);
            },
            _ => new(false),
            new SeenGenerations(Path.Combine(folder, "seen")),
            maxStaleness ?? TimeSpan.FromMinutes(5),
            follows)
        {
            SeenRoot = new SeenGenerations(Path.Combine(folder, "seen-store")),
            SeenInstances = new SeenGenerations(Path.Combine(folder, "seen-instances")),
        };
        var store = new SealedStore(records ?? OpenRecords?.Invoke() ?? Records, Key, use);
        lock (_opened)
        {
            _opened.Add(store);
        }

        return store;
    }

    public override Task<IReadOnlyList<LedgerEvent>> ToldAsync()
    {
        lock (Told)
        {
            return Task.FromResult<IReadOnlyList<LedgerEvent>>([.. Told]);
        }
    }

    public override async Task<Func<Task>> DamageAsync()
    {
        var heads = await Records.ListAsync(RecordKind.Secret, "", null, TestContext.Current.CancellationToken).ToListAsync(TestContext.Current.CancellationToken);
        await WriteOverAsync(static _ => Encoding.UTF8.GetBytes("{\"a\":1}"));
        return () => WriteOverAsync(head => heads.Single(former => former.Key == head.Key).Data);
    }

    /// <summary>Does what an error says to do where what was seen is gone for good.</summary>
    public static void Forget(SecretsException refused) => Forget(refused.Remedy);

    public static void Forget(string remedy)
    {
        var place = remedy[(remedy.IndexOf(": rm ", StringComparison.Ordinal) + 5)..];
        foreach (var file in Directory.GetFiles(Path.GetDirectoryName(place)!, Path.GetFileName(place)))
        {
            File.Delete(file);
        }
    }

    public static async Task<int> SetAsync(ISecretStore store, string name, string value)
    {
        using var secret = SecretValue.FromString(value);
        return (await store.SetAsync(SecretName.Parse(name), secret, new SetOptions(), TestContext.Current.CancellationToken)).Version;
    }

    public static async Task<string?> GetAsync(SealedStore store, string name) =>
        (await store.Memory.FindAsync(SecretName.Parse(name), TestContext.Current.CancellationToken))?.Value.RevealString();

    public override async ValueTask DisposeAsync()
    {
        foreach (var store in _opened)
        {
            await store.Memory.EndAsync();
            if (store.Records != Records)
            {
                await store.DisposeAsync();
            }
        }

        await Records.DisposeAsync();
        Key.Dispose();
        _folder.Delete(recursive: true);
    }

    private async Task WriteOverAsync(Func<StoredRecord, ReadOnlyMemory<byte>> data)
    {
        await foreach (var head in Records.ListAsync(RecordKind.Secret, "", null, TestContext.Current.CancellationToken))
        {
            Assert.True(await Records.WriteAsync([new RecordWrite(head.Key, head.Revision, data(head))], TestContext.Current.CancellationToken));
        }
    }
}
