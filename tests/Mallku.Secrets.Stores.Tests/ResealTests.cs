using System.Text.Json;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Models;

namespace Mallku.Secrets.Stores.Tests;

/// <summary>A store's data key is replaced while others read and write, and whatever is cut off is gone on with.</summary>
public sealed class ResealTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_machine_that_has_seen_the_new_key_seals_nothing_under_the_old_one_where_that_was_put_back()
    {
        await using var stage = await StoreStage.CreateAsync();
        await StoreStage.SetAsync(stage.Open(seen: "one"), "a", "one");
        var before = (await stage.Records.ReadAsync(StoreRoot.Record, Token))!;
        await stage.Open(seen: "one").ResealAsync(progress: null, Token);
        await PutAsync(before.Data);
        var refused = await Assert.ThrowsAsync<VaultOpenException>(() => StoreStage.SetAsync(stage.Open(seen: "one"), "a", "two"));
        Assert.Contains("an older state was put back", refused.Problem, StringComparison.Ordinal);
        await Assert.ThrowsAsync<VaultOpenException>(() => StoreStage.GetAsync(stage.Open(seen: "one"), "a"));

        async Task PutAsync(ReadOnlyMemory<byte> data)
        {
            var found = (await stage.Records.ReadAsync(StoreRoot.Record, Token))!;
            Assert.True(await stage.Records.WriteAsync([new RecordWrite(found.Key, found.Revision, data)], Token));
        }
    }

    [Fact]
    public async Task Everything_is_under_the_new_key_and_reads_as_before()
    {
        await using var stage = await StoreStage.CreateAsync();
        var store = stage.Open();
        await SetAsync(store, 5);
        await StoreStage.SetAsync(store, "key-0", "newer");
        var before = await KeysAsync(stage.Records);
        Assert.Single(before);

        var progress = new List<(long Done, long Total)>();
        var resealed = await store.ResealAsync((done, total) => progress.Add((done, total)), Token);
        Assert.Equal((false, 5), (resealed.IsResumed, resealed.Secrets));
        Assert.Equal((5, 5), progress[4]);
        Assert.Equal([resealed.KeyId], await KeysAsync(stage.Records));
        Assert.DoesNotContain(resealed.KeyId, before, StringComparer.Ordinal);
        Assert.Contains(stage.Told, static told => told is { Kind: LedgerKind.KeyRotated, Source: "store" });

        foreach (var reader in new[] { store, stage.Open() })
        {
            Assert.Equal("newer", await StoreStage.GetAsync(reader, "key-0"));
            Assert.Equal(2, (await reader.ReadAsync("key-0", Token))!.Record.Versions.Count(static version => version.Value is not null));
            Assert.Equal("value-4", await StoreStage.GetAsync(reader, "key-4"));
        }

        await StoreStage.SetAsync(stage.Open(), "another", "value");
        Assert.Equal([resealed.KeyId], await KeysAsync(stage.Records));
        var next = await stage.Open().ResealAsync(null, Token);
        Assert.Equal((false, 6), (next.IsResumed, next.Secrets));
        Assert.NotEqual(resealed.KeyId, next.KeyId, StringComparer.Ordinal);
    }

    [Fact]
    public async Task One_that_is_cut_off_anywhere_is_gone_on_with_and_loses_nothing()
    {
        for (var writes = 0; ; writes++)
        {
            await using var stage = await StoreStage.CreateAsync();
            await SetAsync(stage.Open(), 3);
            var cut = new CutOff(stage.Records, writes);
            try
            {
                await stage.Open(records: cut).ResealAsync(null, Token);
            }
            catch (StoreUnreachableException)
            {
                // here it ends
            }

            foreach (var i in Enumerable.Range(0, 3))
            {
                Assert.Equal($"value-{i}", await StoreStage.GetAsync(stage.Open(), $"key-{i}"));
            }

            if (!cut.IsCut)
            {
                // the new key, three values, three heads, and the end
                Assert.Equal(8, writes);
                break;
            }

            var hadBegun = (await KeyCountAsync(stage)) == 2;
            var resumed = await stage.Open().ResealAsync(null, Token);
            Assert.Equal(hadBegun, resumed.IsResumed);
            Assert.Equal(2, await KeyCountAsync(stage));
            Assert.Equal([resumed.KeyId], await KeysAsync(stage.Records));
        }
    }

    [Fact]
    public async Task Readers_and_writers_never_fail_meanwhile()
    {
        await using var stage = await StoreStage.CreateAsync();
        await SetAsync(stage.Open(), 20);
        using var end = new CancellationTokenSource();
        var users = new List<Task<int>>();
        for (var user = 0; user < 4; user++)
        {
            // two follow what changes, two ask each time; each with a data key that it has known since before
            var store = stage.Open(follows: user < 2);
            await StoreStage.GetAsync(store, "key-0");
            var number = user;
            users.Add(Task.Run(
                async () =>
                {
                    var rounds = 0;
                    for (; !end.IsCancellationRequested || rounds < 20; rounds++)
                    {
                        Assert.Equal($"value-{rounds % 20}", await StoreStage.GetAsync(store, $"key-{rounds % 20}"));
                        Assert.NotNull((await store.ReadAsync($"key-{rounds % 20}", Token))!.Record.Current!.Value);
                        store.Memory.ForgetAll();
                        await StoreStage.SetAsync(store, $"of-user-{number}", $"{rounds}");
                    }

                    return rounds;
                },
                Token));
        }

        var resealer = stage.Open();
        for (var i = 0; i < 3; i++)
        {
            await resealer.ResealAsync(null, Token);
        }

        await end.CancelAsync();
        var rounds = await Task.WhenAll(users);
        for (var user = 0; user < 4; user++)
        {
            Assert.Equal($"{rounds[user] - 1}", await StoreStage.GetAsync(stage.Open(), $"of-user-{user}"));
        }
    }

    [Fact]
    public async Task A_value_that_no_version_has_is_removed_and_one_that_does_not_authenticate_ends_it()
    {
        await using var stage = await StoreStage.CreateAsync();
        await SetAsync(stage.Open(), 1);
        var value = await stage.Records.ListAsync(RecordKind.Version, "", null, Token).SingleAsync(Token);
        var left = new RecordKey(RecordKind.Version, value.Key.Id[..^2] + "77");
        Assert.True(await stage.Records.WriteAsync([new RecordWrite(left, null, value.Data)], Token));
        await stage.Open().ResealAsync(null, Token);
        Assert.Null(await stage.Records.ReadAsync(left, Token));
        Assert.Equal("value-0", await StoreStage.GetAsync(stage.Open(), "key-0"));

        value = (await stage.Records.ReadAsync(value.Key, Token))!;
        await StoreStage.SetAsync(stage.Open(), "other", "value");
        var others = await stage.Records.ListAsync(RecordKind.Version, "", null, Token).ToListAsync(Token);
        var other = others.Single(one => one.Key != value.Key);
        Assert.True(await stage.Records.WriteAsync([new RecordWrite(other.Key, other.Revision, value.Data)], Token));
        await Assert.ThrowsAsync<RecordOpenException>(async () => await stage.Open().ResealAsync(null, Token));
        Assert.Equal("value-0", await StoreStage.GetAsync(stage.Open(), "key-0"));
    }

    private static async Task SetAsync(SealedStore store, int count)
    {
        for (var i = 0; i < count; i++)
        {
            await StoreStage.SetAsync(store, $"key-{i}", $"value-{i}");
        }
    }

    private static async Task<int> KeyCountAsync(StoreStage stage) => (await new StoreRoot(stage.Records, stage.Key).ReadAsync(Token)).Head.Keys.Count;

    // under which data keys there are records
    private static async Task<string[]> KeysAsync(IRecordStore records)
    {
        var found = await records.ListAsync(RecordKind.Secret, "", null, Token).Concat(records.ListAsync(RecordKind.Version, "", null, Token)).ToListAsync(Token);
        return [.. found.Select(static record => JsonSerializer.Deserialize<JsonElement>(record.Data.Span).GetProperty("$key").GetString()!).Distinct(StringComparer.Ordinal)];
    }

    /// <summary>Takes some writes, and then no more, as for a process that is killed.</summary>
    private sealed class CutOff(IRecordStore records, int writes) : IRecordStore
    {
        private int _left = writes;

        internal bool IsCut => _left < 0;

        public string Description => records.Description;

        public int MaxDataLength => records.MaxDataLength;

        public ValueTask PrepareAsync(CancellationToken cancellationToken) => records.PrepareAsync(cancellationToken);

        public ValueTask<StoredRecord?> ReadAsync(RecordKey key, CancellationToken cancellationToken) => records.ReadAsync(key, cancellationToken);

        public IAsyncEnumerable<StoredRecord> ListAsync(RecordKind kind, string from, string? before, CancellationToken cancellationToken) => records.ListAsync(kind, from, before, cancellationToken);

        public IAsyncEnumerable<StoredRecord> FindAsync(RecordKind kind, string first, string last, CancellationToken cancellationToken) => records.FindAsync(kind, first, last, cancellationToken);

        public ValueTask<bool> WriteAsync(IReadOnlyList<RecordWrite> writes, CancellationToken cancellationToken) =>
            Interlocked.Decrement(ref _left) < 0 ? throw new StoreUnreachableException("cut off", "go on") : records.WriteAsync(writes, cancellationToken);

        public IAsyncEnumerable<RecordKey?> WatchAsync(CancellationToken cancellationToken) => records.WatchAsync(cancellationToken);

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
