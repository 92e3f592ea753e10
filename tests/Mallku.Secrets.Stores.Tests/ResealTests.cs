using System.Text.Json;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Models;
using Microsoft.Extensions.Time.Testing;

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
    public async Task A_value_that_is_gone_is_named_and_keeps_no_other_secret_from_it()
    {
        await using var stage = await StoreStage.CreateAsync();
        var store = stage.Open();
        await SetAsync(store, 3);
        var lost = StoreSealing.KeyOf((await store.Root.OpenAsync(Token)).IdOf(SecretName.Parse("key-1")), 1);
        Assert.True(await stage.Records.WriteAsync([new RecordWrite(lost, (await stage.Records.ReadAsync(lost, Token))!.Revision, Data: null)], Token));
        var refused = await Assert.ThrowsAsync<SecretsException>(async () => await store.ResealAsync(progress: null, Token));
        Assert.Contains("'key-1'", refused.Problem, StringComparison.Ordinal);
        await StoreStage.SetAsync(store, "key-1", "newer");
        Assert.True((await store.ResealAsync(progress: null, Token)).IsResumed);
        Assert.Single(await KeysAsync(stage.Records));
    }

    [Fact]
    public async Task One_that_goes_on_opens_also_what_is_under_the_new_key_already()
    {
        await using var stage = await StoreStage.CreateAsync();
        await SetAsync(stage.Open(), 2);
        await Assert.ThrowsAsync<StoreUnreachableException>(async () => await stage.Open(records: new CutOff(stage.Records, 2)).ResealAsync(progress: null, Token));
        await StoreStage.SetAsync(stage.Open(), "later", "value");
        var later = StoreSealing.KeyOf((await stage.Open().Root.OpenAsync(Token)).IdOf(SecretName.Parse("later")), 1);
        var value = (await stage.Records.ReadAsync(later, Token))!;
        var altered = value.Data.ToArray();
        altered[^10] = (byte)(altered[^10] == 'A' ? 'B' : 'A');
        Assert.True(await stage.Records.WriteAsync([new RecordWrite(later, value.Revision, altered)], Token));
        var refused = await Assert.ThrowsAsync<SecretsException>(async () => await stage.Open().ResealAsync(progress: null, Token));
        Assert.Contains("the value of version 1 of 'later' can't be used", refused.Problem, StringComparison.Ordinal);
        await StoreStage.SetAsync(stage.Open(), "later", "newer");
        Assert.True((await stage.Open().ResealAsync(progress: null, Token)).IsResumed);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Values_whose_secrets_are_gone_are_named_and_keep_it_from_ending(bool isPutBack)
    {
        await using var stage = await StoreStage.CreateAsync();
        await SetAsync(stage.Open(), 3);
        await StoreStage.SetAsync(stage.Open(), "key-1", "newer");
        var sealing = await stage.Open().Root.OpenAsync(Token);
        List<StoredRecord> gone = [];
        foreach (var name in new[] { "key-1", "key-2" })
        {
            gone.Add((await stage.Records.ReadAsync(new RecordKey(RecordKind.Secret, sealing.IdOf(SecretName.Parse(name))), Token))!);
            Assert.True(await stage.Records.WriteAsync([new RecordWrite(gone[^1].Key, gone[^1].Revision, Data: null)], Token));
        }

        // by a machine that has not seen them
        var refused = await Assert.ThrowsAsync<SecretsException>(async () => await stage.Open().ResealAsync(progress: null, Token));
        Assert.StartsWith("3 values in the store 'memory' belong to no secret", refused.Problem, StringComparison.Ordinal);
        Assert.All(gone, head => Assert.Contains(head.Key.Id, refused.Problem, StringComparison.Ordinal));
        Assert.Equal("value-0", await StoreStage.GetAsync(stage.Open(), "key-0"));

        // what it says to do helps
        foreach (var head in gone)
        {
            if (isPutBack)
            {
                Assert.True(await stage.Records.WriteAsync([new RecordWrite(head.Key, Expected: null, head.Data)], Token));
            }
        }

        if (!isPutBack)
        {
            await StoreStage.SetAsync(stage.Open(), "key-1", "again");
            await StoreStage.SetAsync(stage.Open(), "key-2", "again");
        }

        Assert.True((await stage.Open().ResealAsync(progress: null, Token)).IsResumed);
        Assert.Single(await KeysAsync(stage.Records));
        Assert.Equal(isPutBack ? "newer" : "again", await StoreStage.GetAsync(stage.Open(), "key-1"));
    }

    [Fact]
    public async Task Many_values_that_are_of_no_secret_are_dropped()
    {
        await using var stage = await StoreStage.CreateAsync();
        var store = stage.Open();
        await SetAsync(store, 1);
        var id = (await store.Root.OpenAsync(Token)).IdOf(SecretName.Parse("key-0"));
        for (var i = 1000; i < 2000; i++)
        {
            Assert.True(await stage.Records.WriteAsync([new RecordWrite(StoreSealing.KeyOf(id, i), Expected: null, "{}"u8.ToArray())], Token));
        }

        await store.ResealAsync(progress: null, Token);
        Assert.Single(await stage.Records.ListAsync(RecordKind.Version, "", before: null, Token).ToListAsync(Token));
    }

    [Fact]
    public async Task One_that_the_store_refuses_is_taken_back_in_the_ledger()
    {
        await using var stage = await StoreStage.CreateAsync();
        await StoreStage.SetAsync(stage.Open(), "a", "one");
        var store = stage.Open(records: new ReadOnlyRecords(stage.Records));
        await Assert.ThrowsAsync<SecretsException>(async () => await store.ResealAsync(progress: null, Token));
        Assert.Equal([LedgerKind.KeyRotated, LedgerKind.Aborted], stage.Told.TakeLast(2).Select(static told => told.Kind));
        Assert.False((await store.Root.ReadAsync(Token)).Head.IsResealing);
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
                // the new key, that the old one is replaced, three values, three heads, and the end
                Assert.Equal(9, writes);
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
                        await StoreStage.SetAsync(store, $"of-user-{number}-{rounds}", "new");
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
            foreach (var round in Enumerable.Range(0, rounds[user]))
            {
                Assert.Equal("new", await StoreStage.GetAsync(stage.Open(), $"of-user-{user}-{round}"));
            }
        }
    }

    [Fact]
    public async Task A_value_that_no_version_has_is_removed_and_one_that_does_not_authenticate_is_named_and_keeps_no_other_from_its_turn()
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
        await SetAsync(stage.Open(), 3);
        var refused = await Assert.ThrowsAsync<SecretsException>(async () => await stage.Open().ResealAsync(null, Token));
        Assert.StartsWith("1 secret in the store 'memory' could not be sealed anew, as all others are: the value of version 1 of 'other'", refused.Problem, StringComparison.Ordinal);
        Assert.Contains("set it again", refused.Remedy, StringComparison.Ordinal);
        Assert.Equal("value-0", await StoreStage.GetAsync(stage.Open(), "key-0"));
        Assert.Equal(3, (await UnderAsync(stage, RecordKind.Secret, (await new StoreRoot(stage.Records, stage.Key).OpenAsync(Token)).Newest)).Count);

        // the remedy helps
        await StoreStage.SetAsync(stage.Open(), "other", "value");
        Assert.True((await stage.Open().ResealAsync(null, Token)).IsResumed);
        Assert.Single(await KeysAsync(stage.Records));
    }

    [Fact]
    public async Task One_over_a_secret_that_is_gone_or_was_put_back_is_not_done()
    {
        await using var stage = await StoreStage.CreateAsync();
        await SetAsync(stage.Open(seen: "machine"), 2);
        var old = await stage.Records.ListAsync(RecordKind.Secret, "", null, Token).FirstAsync(Token);
        await SetAsync(stage.Open(seen: "machine"), 2);
        foreach (var (data, expected) in new[] { ((ReadOnlyMemory<byte>?)old.Data, "an older state was put back"), (null, "has lost a secret") })
        {
            var now = (await stage.Records.ReadAsync(old.Key, Token))!;
            Assert.True(await stage.Records.WriteAsync([new RecordWrite(old.Key, now.Revision, data)], Token));
            var refused = await Assert.ThrowsAsync<SecretsException>(async () => await stage.Open(seen: "machine").ResealAsync(null, Token));
            Assert.Contains(expected, refused.Problem, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(RecordKind.Secret)]
    [InlineData(RecordKind.Version)]
    public async Task What_is_under_a_key_that_was_replaced_does_not_count(RecordKind kind)
    {
        await using var stage = await StoreStage.CreateAsync();
        await SetAsync(stage.Open(), 2);
        var former = await FormerAsync(stage);
        var id = former.IdOf(SecretName.Parse("key-0"));
        await stage.Open().ResealAsync(null, Token);
        await StoreStage.SetAsync(stage.Open(), "key-0", "newer");

        // by somebody who knows the former key and has the database
        var head = (await stage.Open().ReadHeadAsync(id, Token))!;
        var value = (await stage.Records.ReadAsync(StoreSealing.KeyOf(id, 2), Token))!;
        var forged = kind == RecordKind.Secret ? former.SealHead(head with { Generation = 1000 }) : former.SealValue(id, head.Record.Get(2)!, "\"forged\""u8, value.Revision);
        Assert.True(await stage.Records.WriteAsync([forged], Token));

        var refused = await Assert.ThrowsAsync<RecordOpenException>(() => StoreStage.GetAsync(stage.Open(), "key-0"));
        Assert.Contains("under a data key that was replaced", refused.Problem, StringComparison.Ordinal);
        await Assert.ThrowsAsync<RecordOpenException>(async () => await stage.Open().ReadAsync("key-0", Token));
        Assert.Equal("value-1", await StoreStage.GetAsync(stage.Open(), "key-1"));

        // nor does the next one make it count
        var failed = await Assert.ThrowsAsync<SecretsException>(async () => await stage.Open().ResealAsync(null, Token));
        Assert.Contains("under a data key that was replaced", failed.Problem, StringComparison.Ordinal);
        await Assert.ThrowsAsync<RecordOpenException>(() => StoreStage.GetAsync(stage.Open(), "key-0"));
        if (kind == RecordKind.Secret)
        {
            await Assert.ThrowsAsync<RecordOpenException>(async () => await stage.Open().ListAsync(Token));
            var changes = await RecordedChanges.ReadAsync(stage.Open(), Token);
            Assert.Contains("under a data key that was replaced", Assert.Single(changes.Faults).Value.Problem, StringComparison.Ordinal);
        }
        else
        {
            Assert.Equal(3, await StoreStage.SetAsync(stage.Open(), "key-0", "newest"));
            Assert.Equal("newest", await StoreStage.GetAsync(stage.Open(), "key-0"));
        }
    }

    [Fact]
    public async Task A_process_that_is_told_of_nothing_finds_out_after_a_while_that_a_key_was_replaced()
    {
        var clock = new FakeTimeProvider(DateTimeOffset.UtcNow);
        await using var stage = await StoreStage.CreateAsync(clock: clock);
        await SetAsync(stage.Open(), 1);
        var (runs, former) = (stage.Open(), await FormerAsync(stage));
        Assert.NotNull(await runs.ReadAsync("key-0", Token));
        await stage.Open().ResealAsync(null, Token);
        var head = (await stage.Open().ReadHeadAsync(former.IdOf(SecretName.Parse("key-0")), Token))!;
        Assert.True(await stage.Records.WriteAsync([former.SealHead(head)], Token));
        clock.Advance(TimeSpan.FromSeconds(10));
        await Assert.ThrowsAsync<RecordOpenException>(async () => await runs.ReadAsync("key-0", Token));
    }

    [Theory]
    [InlineData("key-0", 1)]
    [InlineData("new", 1)]
    [InlineData("key-0", 2)]
    [InlineData("new", 2)]
    public async Task A_write_under_the_former_key_that_comes_behind_the_end_is_made_under_the_new_one(string name, int reseals)
    {
        await using var stage = await StoreStage.CreateAsync();
        await SetAsync(stage.Open(), 2);
        var records = new ForgetfulRecords(stage.Records);
        var late = stage.Open(records: records);
        records.BeforeWrite = async () =>
        {
            for (var i = 0; i < reseals; i++)
            {
                await stage.Open().ResealAsync(null, Token);
            }
        };
        await StoreStage.SetAsync(late, name, "late");
        Assert.Null(records.BeforeWrite);
        Assert.Equal("late", await StoreStage.GetAsync(stage.Open(), name));
        Assert.Single(await KeysAsync(stage.Records));
        Assert.Equal(1, stage.Told.Count(static told => told.Kind == LedgerKind.Aborted));
    }

    [Fact]
    public async Task A_new_secret_that_comes_after_the_last_look_is_not_lost()
    {
        await using var stage = await StoreStage.CreateAsync();
        await SetAsync(stage.Open(), 1);
        var late = stage.Open();
        await StoreStage.GetAsync(late, "key-0");

        // in the second pass, which finds nothing any more
        var records = new ForgetfulRecords(stage.Records) { Read = RecordKind.Version };
        records.AfterRead = () =>
        {
            records.AfterRead = () => StoreStage.SetAsync(late, "new", "late");
            return Task.CompletedTask;
        };
        await stage.Open(records: records).ResealAsync(null, Token);
        Assert.Equal("late", await StoreStage.GetAsync(stage.Open(), "new"));
        Assert.Single(await KeysAsync(stage.Records));
    }

    [Theory]
    [InlineData(RecordKind.Secret, "get")]
    [InlineData(RecordKind.Version, "get")]
    [InlineData(RecordKind.Secret, "read")]
    [InlineData(RecordKind.Version, "read")]
    [InlineData(RecordKind.Secret, "set")]
    [InlineData(RecordKind.Version, "set")]
    [InlineData(RecordKind.Secret, "list")]
    [InlineData(RecordKind.Secret, "verify")]
    [InlineData(RecordKind.Version, "search")]
    [InlineData(RecordKind.Secret, "reseal")]
    [InlineData(RecordKind.Version, "reseal")]
    public async Task A_record_that_was_read_just_before_it_was_sealed_anew_is_read_once_more(RecordKind kind, string use)
    {
        await using var stage = await StoreStage.CreateAsync();
        await SetAsync(stage.Open(), 1);
        await SetAsync(stage.Open(), 1);
        var records = new ForgetfulRecords(stage.Records) { Read = kind };
        var store = stage.Open(records: records);
        records.AfterRead = async () =>
        {
            // all of it, so that nothing opens any more under what was read
            await stage.Open().ResealAsync(null, Token);
            store.Root.Forget();
        };
        switch (use)
        {
            case "get":
                Assert.Equal("value-0", await StoreStage.GetAsync(store, "key-0"));
                break;
            case "read":
                Assert.All((await store.ReadAsync("key-0", Token))!.Record.Versions, static version => Assert.NotNull(version.Value));
                break;
            case "set":
                Assert.Equal(3, await StoreStage.SetAsync(store, "key-0", "value-0"));
                Assert.Equal(3, (await store.ReadAsync("key-0", Token))!.Record.Versions.Count(static version => version.Value is not null));
                break;
            case "list":
                Assert.Single(await store.ListAsync(Token));
                break;
            case "verify":
                Assert.Empty((await RecordedChanges.ReadAsync(store, Token)).Faults);
                break;
            case "search":
                var one = (await stage.Open().ReadAsync("key-0", Token))!;
                Assert.Single(await store.ReadHoldersAsync(one.Record.Current!, except: null, Token).ToListAsync(Token));
                GC.KeepAlive(one.Owner);
                break;
            default:
                await store.ResealAsync(null, Token);
                break;
        }

        Assert.Null(records.AfterRead);
        Assert.Single(await KeysAsync(stage.Records));
        Assert.Equal("value-0", await StoreStage.GetAsync(stage.Open(), "key-0"));
    }

    [Fact]
    public async Task What_is_new_is_refused_where_the_stores_own_record_was_put_back_behind_a_reseal_which_the_next_one_mends()
    {
        await using var stage = await StoreStage.CreateAsync();
        await SetAsync(stage.Open(), 1);
        var before = (await stage.Records.ReadAsync(StoreRoot.Record, Token))!;
        await stage.Open().ResealAsync(null, Token);
        var now = (await stage.Records.ReadAsync(StoreRoot.Record, Token))!;
        var all = await stage.Records.ListAsync(RecordKind.Secret, "", null, Token).Concat(stage.Records.ListAsync(RecordKind.Version, "", null, Token)).ToListAsync(Token);
        Assert.True(await stage.Records.WriteAsync([new RecordWrite(now.Key, now.Revision, before.Data), .. all.Select(static one => new RecordWrite(one.Key, one.Revision, Data: null))], Token));
        var refused = await Assert.ThrowsAsync<SecretsException>(() => StoreStage.SetAsync(stage.Open(), "new", "value"));
        Assert.Contains("mallku store reseal", refused.Remedy, StringComparison.Ordinal);
        await stage.Open().ResealAsync(null, Token);
        Assert.Equal(1, await StoreStage.SetAsync(stage.Open(), "new", "value"));
        Assert.Equal("value", await StoreStage.GetAsync(stage.Open(), "new"));
    }

    // what seals under the key that is the newest now, as whoever has learned it does later
    private static async Task<StoreSealing> FormerAsync(StoreStage stage) => await new StoreRoot(stage.Records, stage.Key).OpenAsync(Token);

    private static async Task<List<StoredRecord>> UnderAsync(StoreStage stage, RecordKind kind, string keyId) =>
        await stage.Records.ListAsync(kind, "", null, Token).Where(record => DocumentSeal.FindKeyId(record.Data) == keyId).ToListAsync(Token);

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

    private sealed class ReadOnlyRecords(IRecordStore inner) : IRecordStore
    {
        public string Description => inner.Description;

        public int MaxDataLength => inner.MaxDataLength;

        public ValueTask PrepareAsync(CancellationToken cancellationToken) => inner.PrepareAsync(cancellationToken);

        public ValueTask<StoredRecord?> ReadAsync(RecordKey key, CancellationToken cancellationToken) => inner.ReadAsync(key, cancellationToken);

        public IAsyncEnumerable<StoredRecord> ListAsync(RecordKind kind, string from, string? before, CancellationToken cancellationToken) =>
            inner.ListAsync(kind, from, before, cancellationToken);

        public IAsyncEnumerable<StoredRecord> FindAsync(RecordKind kind, string first, string last, CancellationToken cancellationToken) =>
            inner.FindAsync(kind, first, last, cancellationToken);

        public ValueTask<bool> WriteAsync(IReadOnlyList<RecordWrite> writes, CancellationToken cancellationToken) =>
            throw new SecretsException("this user may not write", "use another one");

        public IAsyncEnumerable<RecordKey?> WatchAsync(CancellationToken cancellationToken) => inner.WatchAsync(cancellationToken);

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
