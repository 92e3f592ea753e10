namespace Mallku.Secrets.Stores.Tests;

/// <summary>Machines that share a store, each with a state of its own. One test at a time: where that lies is said by a variable of the process.</summary>
internal sealed class Machines : IAsyncDisposable
{
    internal const string Name = "state folder";
    private readonly StoreKey _key = StoreKey.Generate();
    private readonly DirectoryInfo _state = Directory.CreateTempSubdirectory("mallku-state-");

    internal MemoryRecordStore Records { get; private set; } = new();

    internal string StateOf(string machine) => Path.Combine(_state.FullName, machine);

    /// <summary>Copies what a machine keeps of its own, in the place of what the other one has.</summary>
    internal void CopyState(string from, string to)
    {
        if (Directory.Exists(StateOf(to)))
        {
            Directory.Delete(StateOf(to), recursive: true);
        }

        foreach (var file in Directory.GetFiles(StateOf(from), "*", SearchOption.AllDirectories))
        {
            var copy = Path.Combine(StateOf(to), Path.GetRelativePath(StateOf(from), file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            File.Copy(file, copy);
        }
    }

    internal async Task<SecretsManager> OpenAsync(string machine, SecretsOptions? options = null)
    {
        if (await Records.ReadAsync(StoreRoot.Record, TestContext.Current.CancellationToken) is null)
        {
            await new StoreRoot(Records, _key).CreateAsync(TimeProvider.System, TestContext.Current.CancellationToken);
        }

        using var text = _key.ToText();
        Environment.SetEnvironmentVariable("MALLKU_STATE_DIR", StateOf(machine));
        return SecretsManager.Open((options ?? new SecretsOptions()) with { Store = Records, StoreKey = text });
    }

    internal StoreKey Key => _key;

    /// <summary>What only somebody with the store's key can do.</summary>
    internal AuditRecords Audit => new StoreRoot(Records, _key).Audit;

    /// <summary>Puts other records in the place of those that there were: what only somebody with the database can do.</summary>
    internal async Task TamperAsync(MemoryRecordStore original, Func<StoredRecord, ReadOnlyMemory<byte>?> change)
    {
        var tampered = new MemoryRecordStore();
        foreach (var kind in Enum.GetValues<RecordKind>())
        {
            await foreach (var record in original.ListAsync(kind, "", before: null, TestContext.Current.CancellationToken))
            {
                // where it says null, an empty one comes out of it
                if (change(record) is { Length: > 0 } data)
                {
                    Assert.True(await tampered.WriteAsync([new RecordWrite(record.Key, Expected: null, data)], TestContext.Current.CancellationToken));
                }
            }
        }

        Records = tampered;
    }

    public async ValueTask DisposeAsync()
    {
        await Records.DisposeAsync();
        _key.Dispose();
        _state.Delete(recursive: true);
    }
}
