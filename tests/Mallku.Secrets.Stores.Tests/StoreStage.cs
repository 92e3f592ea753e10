using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Stores.Tests;

/// <summary>A shared store in memory, and instances that use it, each with what it has seen and what its ledger was told.</summary>
internal sealed class StoreStage : IAsyncDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("mallku-store-");
    private readonly List<SealedStore> _opened = [];
    private int _instances;

    public IRecordStore Records { get; init; } = new MemoryRecordStore();

    public StoreKey Key { get; } = StoreKey.Generate();

    public TimeProvider Clock { get; init; } = TimeProvider.System;

    public List<LedgerEvent> Told { get; } = [];

    public static async Task<StoreStage> CreateAsync(IRecordStore? records = null, TimeProvider? clock = null)
    {
        var stage = new StoreStage { Records = records ?? new MemoryRecordStore(), Clock = clock ?? TimeProvider.System };
        await new StoreRoot(stage.Records, stage.Key).CreateAsync(stage.Clock, TestContext.Current.CancellationToken);
        return stage;
    }

    public SealedStore Open(bool follows = false, TimeSpan? maxStaleness = null, IRecordStore? records = null, string? seen = null)
    {
        var use = new StoreUse(
            Clock,
            "test",
            (events, _) =>
            {
                lock (Told)
                {
                    Told.AddRange(events);
                }

                return ValueTask.CompletedTask;
            },
            _ => new(false),
            new SeenGenerations(Path.Combine(_folder.FullName, seen ?? $"seen-{_instances++}")),
            maxStaleness ?? TimeSpan.FromMinutes(5),
            follows)
        {
            SeenInstances = new SeenGenerations(Path.Combine(_folder.FullName, $"instances-{_instances++}")),
        };
        var store = new SealedStore(records ?? Records, Key, use);
        _opened.Add(store);
        return store;
    }

    public static async Task<int> SetAsync(SealedStore store, string name, string value)
    {
        using var secret = SecretValue.FromString(value);
        return (await store.SetAsync(SecretName.Parse(name), secret, new SetOptions(), TestContext.Current.CancellationToken)).Version;
    }

    public static async Task<string?> GetAsync(SealedStore store, string name) =>
        (await store.Memory.FindAsync(SecretName.Parse(name), TestContext.Current.CancellationToken))?.Value.RevealString();

    public async ValueTask DisposeAsync()
    {
        foreach (var store in _opened)
        {
            await store.Memory.EndAsync();
        }

        await Records.DisposeAsync();
        Key.Dispose();
        _folder.Delete(recursive: true);
    }
}
