using System.Text;

namespace Mallku.Secrets.Stores.Tests;

/// <summary>What every <see cref="IRecordStore"/> does. One test has one store of its own, and may open it several times.</summary>
public abstract class RecordStoreContract
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>Opens the test's store, once more.</summary>
    protected abstract Task<IRecordStore> OpenAsync();

    [Fact]
    public async Task What_was_written_is_read_by_another_instance()
    {
        await using var one = await PreparedAsync();
        await using var other = await OpenAsync();
        Assert.True(await one.WriteAsync([Put(RecordKind.Secret, "a", null, "first")], Token));
        var found = await other.ReadAsync(new(RecordKind.Secret, "a"), Token);
        Assert.NotNull(found);
        Assert.Equal(new RecordKey(RecordKind.Secret, "a"), found.Key);
        Assert.Equal("first", TextOf(found));
        Assert.Null(await other.ReadAsync(new(RecordKind.Secret, "b"), Token));
        Assert.Null(await other.ReadAsync(new(RecordKind.Version, "a"), Token));
    }

    [Fact]
    public async Task A_record_is_only_replaced_as_it_was_seen()
    {
        await using var store = await PreparedAsync();
        Assert.False(await store.WriteAsync([Put(RecordKind.Secret, "a", "1", "x")], Token));
        Assert.True(await store.WriteAsync([Put(RecordKind.Secret, "a", null, "first")], Token));
        Assert.False(await store.WriteAsync([Put(RecordKind.Secret, "a", null, "again")], Token));
        var first = await RequireAsync(store, RecordKind.Secret, "a");
        Assert.True(await store.WriteAsync([Put(RecordKind.Secret, "a", first.Revision, "second")], Token));
        Assert.False(await store.WriteAsync([Put(RecordKind.Secret, "a", first.Revision, "third")], Token));
        var second = await RequireAsync(store, RecordKind.Secret, "a");
        Assert.Equal("second", TextOf(second));
        Assert.NotEqual(first.Revision, second.Revision, StringComparer.Ordinal);
    }

    [Fact]
    public async Task A_revision_does_not_come_back_with_a_record_that_was_removed()
    {
        await using var store = await PreparedAsync();
        Assert.True(await store.WriteAsync([Put(RecordKind.Version, "a", null, "first")], Token));
        var first = await RequireAsync(store, RecordKind.Version, "a");
        Assert.True(await store.WriteAsync([new RecordWrite(first.Key, first.Revision, null)], Token));
        Assert.Null(await store.ReadAsync(first.Key, Token));
        Assert.False(await store.WriteAsync([new RecordWrite(first.Key, first.Revision, null)], Token));
        Assert.True(await store.WriteAsync([Put(RecordKind.Version, "a", null, "first")], Token));
        Assert.NotEqual(first.Revision, (await RequireAsync(store, RecordKind.Version, "a")).Revision, StringComparer.Ordinal);
        Assert.False(await store.WriteAsync([Put(RecordKind.Version, "a", first.Revision, "x")], Token));
    }

    [Fact]
    public async Task A_write_is_made_whole_or_not_at_all()
    {
        await using var store = await PreparedAsync();
        Assert.True(await store.WriteAsync([Put(RecordKind.Secret, "a", null, "a1"), Put(RecordKind.Version, "b", null, "b1")], Token));
        var (a, b) = (await RequireAsync(store, RecordKind.Secret, "a"), await RequireAsync(store, RecordKind.Version, "b"));
        Assert.False(await store.WriteAsync([Put(RecordKind.Secret, "a", a.Revision, "a2"), Put(RecordKind.Version, "b", null, "b2"), Put(RecordKind.Version, "c", null, "c")], Token));
        Assert.False(await store.WriteAsync([new RecordWrite(a.Key, a.Revision, null), new RecordWrite(new(RecordKind.Version, "none"), a.Revision, null)], Token));
        Assert.Equal("a1", TextOf(await RequireAsync(store, RecordKind.Secret, "a")));
        Assert.Null(await store.ReadAsync(new(RecordKind.Version, "c"), Token));

        Assert.True(await store.WriteAsync(
            [Put(RecordKind.Secret, "a", a.Revision, "a2"), new RecordWrite(b.Key, b.Revision, null), Put(RecordKind.Version, "c", null, "c")], Token));
        Assert.Equal("a2", TextOf(await RequireAsync(store, RecordKind.Secret, "a")));
        Assert.Null(await store.ReadAsync(b.Key, Token));
        Assert.Equal("c", TextOf(await RequireAsync(store, RecordKind.Version, "c")));
    }

    [Fact]
    public async Task Absence_can_be_demanded()
    {
        await using var store = await PreparedAsync();
        var absent = new RecordWrite(new(RecordKind.Store, "x"), null, null);
        Assert.True(await store.WriteAsync([absent, Put(RecordKind.Secret, "a", null, "a")], Token));
        Assert.True(await store.WriteAsync([Put(RecordKind.Store, "x", null, "x")], Token));
        Assert.False(await store.WriteAsync([absent, Put(RecordKind.Secret, "b", null, "b")], Token));
        Assert.Null(await store.ReadAsync(new(RecordKind.Secret, "b"), Token));
    }

    [Fact]
    public async Task Records_are_listed_by_their_ids()
    {
        await using var store = await PreparedAsync();
        foreach (var id in new[] { "b", "a.2", "a-1", "c", "a.10", "0" })
        {
            Assert.True(await store.WriteAsync([Put(RecordKind.Audit, id, null, id)], Token));
        }

        Assert.True(await store.WriteAsync([Put(RecordKind.Instance, "a", null, "other")], Token));
        Assert.Equal(["0", "a-1", "a.10", "a.2", "b", "c"], await IdsAsync(store.ListAsync(RecordKind.Audit, "", null, Token)));
        Assert.Equal(["a.10", "a.2"], await IdsAsync(store.ListAsync(RecordKind.Audit, "a.", "a/", Token)));
        Assert.Equal(["b"], await IdsAsync(store.ListAsync(RecordKind.Audit, "b", "c", Token)));
        Assert.Empty(await IdsAsync(store.ListAsync(RecordKind.Store, "", null, Token)));
    }

    [Fact]
    public async Task Any_id_of_the_alphabet_is_one_and_is_sorted_by_its_characters_whatever_the_language()
    {
        await using var store = await PreparedAsync();
        string[] ids = ["-", "--", "-a", ".", ".-", "..", "0", "0-9", "a", "a-b", "a.b", "aa", "ab", "az", "b", "ch", "cz", "ff", "fz", "h", "ll", "lz", "t", new('z', 200)];
        foreach (var id in ids.Reverse())
        {
            Assert.True(await store.WriteAsync([Put(RecordKind.Secret, id, null, id, id)], Token));
        }

        Assert.Equal<string[]>(ids, [.. await IdsAsync(store.ListAsync(RecordKind.Secret, "", null, Token))]);
        Assert.Equal<string[]>(ids, [.. await IdsAsync(store.FindAsync(RecordKind.Secret, "-", new('z', 200), Token))]);
        Assert.Equal(["aa", "ab", "az", "b"], await IdsAsync(store.ListAsync(RecordKind.Secret, "aa", "c", Token)));
        foreach (var id in ids)
        {
            var found = await RequireAsync(store, RecordKind.Secret, id);
            Assert.Equal(id, TextOf(found));
            Assert.True(await store.WriteAsync([new RecordWrite(found.Key, found.Revision, null)], Token));
            Assert.Null(await store.ReadAsync(found.Key, Token));
        }
    }

    [Fact]
    public async Task More_records_than_a_page_are_listed()
    {
        await using var store = await PreparedAsync();
        var ids = Enumerable.Range(0, 2500).Select(static i => $"id-{i:D5}").ToList();
        foreach (var batch in ids.Chunk(RecordWrite.MostAtOnce))
        {
            Assert.True(await store.WriteAsync([.. batch.Select(static id => Put(RecordKind.Secret, id, null, id, "of." + id, "all"))], Token));
        }

        var listed = new List<string>();
        await foreach (var record in store.ListAsync(RecordKind.Secret, "", null, Token))
        {
            Assert.Equal(record.Key.Id, TextOf(record));
            listed.Add(record.Key.Id);
        }

        Assert.Equal(ids, listed);
        Assert.Equal(ids, await IdsAsync(store.FindAsync(RecordKind.Secret, "of.", "of.z", Token)));
        Assert.Equal(ids, await SortedIdsAsync(store.FindAsync(RecordKind.Secret, "all", "all", Token)));
    }

    [Fact]
    public async Task Records_are_found_by_their_terms_as_last_written()
    {
        await using var store = await PreparedAsync();
        Assert.True(await store.WriteAsync([Put(RecordKind.Secret, "a", null, "a", "loose.x", "time.05"), Put(RecordKind.Secret, "b", null, "b", "loose.x", "time.07")], Token));
        Assert.True(await store.WriteAsync([Put(RecordKind.Version, "a", null, "other", "loose.x")], Token));
        Assert.Equal(["a", "b"], await SortedIdsAsync(store.FindAsync(RecordKind.Secret, "loose.x", "loose.x", Token)));
        Assert.Empty(await IdsAsync(store.FindAsync(RecordKind.Secret, "loose", "loose", Token)));
        Assert.Equal(["a", "b"], await IdsAsync(store.FindAsync(RecordKind.Secret, "time.04", "time.07", Token)));
        Assert.Equal(["b"], await IdsAsync(store.FindAsync(RecordKind.Secret, "time.06", "time.99", Token)));

        var a = await RequireAsync(store, RecordKind.Secret, "a");
        Assert.True(await store.WriteAsync([Put(RecordKind.Secret, "a", a.Revision, "a", "loose.y", "time.05")], Token));
        Assert.Equal(["b"], await IdsAsync(store.FindAsync(RecordKind.Secret, "loose.x", "loose.x", Token)));
        Assert.Equal(["a"], await IdsAsync(store.FindAsync(RecordKind.Secret, "loose.y", "loose.y", Token)));
        var b = await RequireAsync(store, RecordKind.Secret, "b");
        Assert.True(await store.WriteAsync([new RecordWrite(b.Key, b.Revision, null)], Token));
        Assert.Empty(await IdsAsync(store.FindAsync(RecordKind.Secret, "loose.x", "loose.x", Token)));
        Assert.Empty(await IdsAsync(store.FindAsync(RecordKind.Secret, "time.06", "time.99", Token)));
    }

    [Fact]
    public async Task Terms_that_begin_alike_are_found_in_their_order()
    {
        await using var store = await PreparedAsync();
        string[] terms = ["a-", "a", "a.b", "a0", "aa", "b", "a-b", "a."];
        foreach (var term in terms)
        {
            Assert.True(await store.WriteAsync([Put(RecordKind.Secret, $"of.{term}", null, "x", term)], Token));
        }

        Array.Sort(terms, StringComparer.Ordinal);
        Assert.Equal([.. terms.Select(static term => $"of.{term}")], await IdsAsync(store.FindAsync(RecordKind.Secret, "a", "b", Token)));
        Assert.Equal(["of.a", "of.a-"], await IdsAsync(store.FindAsync(RecordKind.Secret, "a", "a-", Token)));
    }

    [Fact]
    public async Task The_largest_write_is_made_whole_with_all_its_terms()
    {
        await using var store = await PreparedAsync();
        var revisions = new Dictionary<string, string?>(StringComparer.Ordinal);
        for (var round = 0; round < 3; round++)
        {
            var writes = Enumerable.Range(0, RecordWrite.MostAtOnce).Select(i => Put(RecordKind.Secret, $"id-{i:D2}", null, "x", [.. Enumerable.Range(0, 8).Select(n => $"round-{round}.{n}.{i}")]));
            Assert.True(await store.WriteAsync([.. writes.Select(write => write with { Expected = revisions.GetValueOrDefault(write.Key.Id) })], Token));
            var found = await store.FindAsync(RecordKind.Secret, "round-", "round-z", Token).ToListAsync(Token);
            Assert.Equal(8 * RecordWrite.MostAtOnce, found.Count);
            revisions = found.DistinctBy(static record => record.Key).ToDictionary(static record => record.Key.Id, static record => (string?)record.Revision, StringComparer.Ordinal);
        }

        Assert.Empty(await store.FindAsync(RecordKind.Secret, "round-0", "round-1.z", Token).ToListAsync(Token));
    }

    [Fact]
    public async Task Data_of_any_text_comes_back()
    {
        await using var store = await PreparedAsync();
        var text = "\u0001\t\n\"\\é漢🜁 '; DROP TABLE x; --" + new string('x', 70_000);
        Assert.True(await store.WriteAsync([Put(RecordKind.Version, "a", null, text)], Token));
        Assert.Equal(text, TextOf(await RequireAsync(store, RecordKind.Version, "a")));
    }

    [Fact]
    public async Task A_record_of_the_largest_size_comes_back_and_a_larger_one_is_refused()
    {
        await using var store = await PreparedAsync();
        var text = new string('x', store.MaxDataLength - """{"text":""}""".Length);
        Assert.True(await store.WriteAsync([Put(RecordKind.Version, "a", null, text)], Token));
        Assert.Equal(text, TextOf(await RequireAsync(store, RecordKind.Version, "a")));
        await Assert.ThrowsAsync<SecretsException>(async () => await store.WriteAsync([Put(RecordKind.Version, "b", null, text + "x")], Token));
        Assert.Null(await store.ReadAsync(new(RecordKind.Version, "b"), Token));

        // a value of 1 MiB in base64, with what belongs to it
        Assert.InRange(store.MaxDataLength, 1_400_000, int.MaxValue);
    }

    [Fact]
    public async Task What_is_no_write_is_refused()
    {
        await using var store = await PreparedAsync();
        await Assert.ThrowsAsync<ArgumentException>(async () => await store.WriteAsync([], Token));
        await Assert.ThrowsAsync<ArgumentException>(async () => await store.WriteAsync([Put(RecordKind.Secret, "A b", null, "x")], Token));
        await Assert.ThrowsAsync<ArgumentException>(async () => await store.WriteAsync([Put(RecordKind.Secret, "", null, "x")], Token));
        await Assert.ThrowsAsync<ArgumentException>(async () => await store.WriteAsync([Put(RecordKind.Secret, "a", null, "x", "a/b")], Token));
        await Assert.ThrowsAsync<ArgumentException>(async () => await store.WriteAsync([Put(RecordKind.Secret, "a", null, "x"), Put(RecordKind.Secret, "a", null, "y")], Token));
        Assert.Empty(await IdsAsync(store.ListAsync(RecordKind.Secret, "", null, Token)));
    }

    [Fact]
    public async Task Any_number_of_instances_prepare_at_the_same_time()
    {
        var stores = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => OpenAsync()));
        await Task.WhenAll(stores.Select(store => store.PrepareAsync(Token).AsTask()));
        var made = await Task.WhenAll(stores.Select((store, i) => store.WriteAsync([Put(RecordKind.Store, "store", null, $"{i}")], Token).AsTask()));
        Assert.Single(made, true);
        var winner = Array.IndexOf(made, true);
        Assert.Equal($"{winner}", TextOf(await RequireAsync(stores[0], RecordKind.Store, "store")));
        foreach (var store in stores)
        {
            await store.PrepareAsync(Token);
            await store.DisposeAsync();
        }
    }

    [Fact]
    public async Task No_write_of_several_at_once_is_lost()
    {
        await using var first = await PreparedAsync();
        Assert.True(await first.WriteAsync([Put(RecordKind.Secret, "n", null, "0"), Put(RecordKind.Secret, "m", null, "0")], Token));
        const int writers = 8, each = 20;
        await Task.WhenAll(Enumerable.Range(0, writers).Select(_ => Task.Run(
            async () =>
            {
                await using var store = await OpenAsync();
                for (var i = 0; i < each;)
                {
                    var (n, m) = (await RequireAsync(store, RecordKind.Secret, "n"), await RequireAsync(store, RecordKind.Secret, "m"));
                    var next = int.Parse(TextOf(n), System.Globalization.CultureInfo.InvariantCulture) + 1;
                    if (await store.WriteAsync([Put(RecordKind.Secret, "n", n.Revision, $"{next}"), Put(RecordKind.Secret, "m", m.Revision, $"{next}")], Token))
                    {
                        i++;
                    }
                }
            },
            Token)));
        Assert.Equal($"{writers * each}", TextOf(await RequireAsync(first, RecordKind.Secret, "n")));
        Assert.Equal($"{writers * each}", TextOf(await RequireAsync(first, RecordKind.Secret, "m")));
    }

    [Fact]
    public async Task A_record_is_a_register_whatever_eight_writers_do()
    {
        await using var first = await PreparedAsync();
        var history = new RegisterHistory(new(RecordKind.Secret, "n"));
        await history.BeginAsync(first, Token);
        const int writers = 8, each = 25;
        await Task.WhenAll(Enumerable.Range(0, writers).Select(_ => Task.Run(
            async () =>
            {
                await using var store = await OpenAsync();
                await history.CountAsync(store, static written => written == each, Token);
            },
            Token)));
        history.Check();
        Assert.Equal(writers * each, history.Written);
    }

    [Fact]
    public async Task Of_two_writes_that_each_demand_the_absence_of_what_the_other_makes_at_most_one_is_made()
    {
        await using var one = await PreparedAsync();
        await using var other = await OpenAsync();
        for (var round = 0; round < 50; round++)
        {
            var (a, b) = ($"a-{round}", $"b-{round}");
            var made = await Task.WhenAll(
                Task.Run(async () => await one.WriteAsync([new RecordWrite(new(RecordKind.Secret, a), null, null), Put(RecordKind.Secret, b, null, "x")], Token), Token),
                Task.Run(async () => await other.WriteAsync([new RecordWrite(new(RecordKind.Secret, b), null, null), Put(RecordKind.Secret, a, null, "x")], Token), Token));
            var found = new[] { await one.ReadAsync(new(RecordKind.Secret, b), Token), await one.ReadAsync(new(RecordKind.Secret, a), Token) };
            Assert.Equal(made, found.Select(static record => record is not null));
            Assert.NotEqual([true, true], made);
        }
    }

    [Fact]
    public async Task Many_may_demand_the_absence_of_one_record_at_once_and_write_nothing_any_more_once_it_is_there()
    {
        await using var first = await PreparedAsync();
        var absent = new RecordWrite(new(RecordKind.Store, "x"), null, null);
        const int writers = 8, enough = 40;
        var written = 0;
        var isEnough = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var writing = Enumerable.Range(0, writers).Select(number => Task.Run(
            async () =>
            {
                await using var store = await OpenAsync();
                for (var i = 0; await store.WriteAsync([Put(RecordKind.Secret, $"of-{number}-{i}", null, "x"), absent], Token); i++)
                {
                    if (Interlocked.Increment(ref written) == enough)
                    {
                        isEnough.SetResult();
                    }
                }
            },
            Token)).ToList();
        await isEnough.Task.WaitAsync(TimeSpan.FromMinutes(1), Token);
        Assert.True(await first.WriteAsync([Put(RecordKind.Store, "x", null, "x")], Token));
        var there = await IdsAsync(first.ListAsync(RecordKind.Secret, "", null, Token));
        await Task.WhenAll(writing);
        Assert.Equal(there, await IdsAsync(first.ListAsync(RecordKind.Secret, "", null, Token)));
        Assert.True(there.Count >= enough);
    }

    [Fact]
    public async Task An_audit_record_is_neither_changed_nor_removed()
    {
        await using var store = await PreparedAsync();
        Assert.True(await store.WriteAsync([Put(RecordKind.Audit, "a", null, "first")], Token));
        var first = await RequireAsync(store, RecordKind.Audit, "a");
        await Assert.ThrowsAsync<ArgumentException>(async () => await store.WriteAsync([Put(RecordKind.Audit, "a", first.Revision, "second")], Token));
        await Assert.ThrowsAsync<ArgumentException>(async () => await store.WriteAsync([new RecordWrite(first.Key, first.Revision, null)], Token));
        Assert.False(await store.WriteAsync([Put(RecordKind.Audit, "a", null, "second")], Token));
        Assert.Equal("first", TextOf(await RequireAsync(store, RecordKind.Audit, "a")));
    }

    [Fact]
    public async Task A_watcher_hears_of_every_change_by_others_and_by_itself()
    {
        await using var one = await PreparedAsync();
        await using var other = await OpenAsync();
        await using var heard = one.WatchAsync(Token).GetAsyncEnumerator(Token);
        Assert.True(await heard.MoveNextAsync());
        Assert.Null(heard.Current);
        Assert.True(await other.WriteAsync([Put(RecordKind.Secret, "a", null, "a")], Token));
        await HearAsync(heard, new RecordKey(RecordKind.Secret, "a"));
        Assert.True(await one.WriteAsync([Put(RecordKind.Store, "k", null, "k"), Put(RecordKind.Version, "v", null, "v")], Token));
        await HearAsync(heard, new RecordKey(RecordKind.Store, "k"), new RecordKey(RecordKind.Version, "v"));
        var a = await RequireAsync(one, RecordKind.Secret, "a");
        Assert.True(await other.WriteAsync([new RecordWrite(a.Key, a.Revision, null)], Token));
        await HearAsync(heard, a.Key);
    }

    [Fact]
    public async Task A_watch_ends_when_it_is_cancelled()
    {
        await using var store = await PreparedAsync();
        using var end = CancellationTokenSource.CreateLinkedTokenSource(Token);
        await using var heard = store.WatchAsync(end.Token).GetAsyncEnumerator(Token);
        Assert.True(await heard.MoveNextAsync());
        var next = heard.MoveNextAsync().AsTask();
        await end.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => next.WaitAsync(TimeSpan.FromSeconds(10), Token));
    }

    [Fact]
    public async Task A_call_that_is_cancelled_before_it_begins_changes_nothing()
    {
        await using var store = await PreparedAsync();
        using var ended = new CancellationTokenSource();
        await ended.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await store.WriteAsync([Put(RecordKind.Secret, "a", null, "a")], ended.Token));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await store.ReadAsync(new(RecordKind.Secret, "a"), ended.Token));
        Assert.Null(await store.ReadAsync(new(RecordKind.Secret, "a"), Token));
    }

    private async Task<IRecordStore> PreparedAsync()
    {
        var store = await OpenAsync();
        await store.PrepareAsync(Token);
        return store;
    }

    // a store may tell that anything may have changed instead
    private static async Task HearAsync(IAsyncEnumerator<RecordKey?> heard, params RecordKey[] expected)
    {
        var missing = expected.ToHashSet();
        while (missing.Count > 0)
        {
            Assert.True(await heard.MoveNextAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(10), Token));
            if (heard.Current is not { } key)
            {
                return;
            }

            missing.Remove(key);
        }
    }

    private static RecordWrite Put(RecordKind kind, string id, string? expected, string text, params string[] terms) =>
        new(new(kind, id), expected, Encoding.UTF8.GetBytes(new System.Text.Json.Nodes.JsonObject { ["text"] = text }.ToJsonString(Relaxed))) { Terms = terms };

    private static readonly System.Text.Json.JsonSerializerOptions Relaxed = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static string TextOf(StoredRecord record) => System.Text.Json.Nodes.JsonNode.Parse(record.Data.Span)!["text"]!.GetValue<string>();

    private static async Task<StoredRecord> RequireAsync(IRecordStore store, RecordKind kind, string id)
    {
        var found = await store.ReadAsync(new(kind, id), Token);
        Assert.NotNull(found);
        return found;
    }

    private static async Task<List<string>> IdsAsync(IAsyncEnumerable<StoredRecord> records) => await records.Select(static record => record.Key.Id).ToListAsync(Token);

    private static async Task<List<string>> SortedIdsAsync(IAsyncEnumerable<StoredRecord> records)
    {
        var ids = await IdsAsync(records);
        ids.Sort(StringComparer.Ordinal);
        return ids;
    }
}
