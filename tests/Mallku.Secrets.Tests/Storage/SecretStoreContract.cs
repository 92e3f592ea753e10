using System.Text;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Rotation;
using Mallku.Secrets.Storage;
using Microsoft.Extensions.Time.Testing;

namespace Mallku.Secrets.Tests.Storage;

/// <summary>What every <see cref="ISecretStore"/> does, as one process sees it and as others do.</summary>
public abstract class SecretStoreContract
{
    private protected static CancellationToken Token => TestContext.Current.CancellationToken;

    private protected FakeTimeProvider Clock { get; } = new(new DateTimeOffset(2026, 11, 24, 10, 0, 0, TimeSpan.Zero));

    /// <summary>Makes the place of a test, by the clock.</summary>
    internal abstract Task<StorePlace> CreateAsync(TimeProvider clock);

    [Fact]
    public async Task What_was_set_is_read_by_another_with_its_version_and_its_time()
    {
        await using var place = await CreateAsync(Clock);
        var (one, other) = (place.OpenStore(), place.OpenStore());
        var change = await SetAsync(one, "openai_api_key", "sk-first");
        Assert.Equal(("openai_api_key", 1, one.Name, true, 0), (change.Name, change.Version, change.Store, change.Created, change.Absorbed.Count));
        Assert.Equal("sk-first", await ReadAsync(other, "openai_api_key"));
        Clock.Advance(TimeSpan.FromHours(1));
        Assert.False((await SetAsync(other, "openai_api_key", "sk-ü\0\"")).Created);
        Assert.Equal("sk-ü\0\"", await ReadAsync(one, "openai_api_key"));
        Assert.Null(await one.ReadAsync("another", Token));
        Assert.Null(await one.FindAsync(SecretName.Parse("another"), Token));
        Assert.Null(await one.GetHistoryAsync(SecretName.Parse("another"), Token));

        var history = (await one.GetHistoryAsync(SecretName.Parse("openai_api_key"), Token))!;
        Assert.Equal(("openai_api_key", null), (history.Name, history.Removed));
        Assert.Equal(
            [(2, SecretVersionState.Current, Clock.GetUtcNow(), "set"), (1, SecretVersionState.Previous, Clock.GetUtcNow() - TimeSpan.FromHours(1), "set")],
            history.Versions.Select(static version => (version.Number, version.State, version.Created, version.Source)));
        Assert.Equal(
            [(LedgerKind.Created, "openai_api_key", 1, one.Name, "test"), (LedgerKind.Updated, "openai_api_key", 2, one.Name, "test")],
            (await place.ToldAsync()).Select(static told => (told.Kind, told.Secret!, told.Version!.Value, told.Source!, told.Purpose!)));
    }

    [Fact]
    public async Task A_version_that_is_replaced_with_a_grace_may_be_used_until_its_end()
    {
        await using var place = await CreateAsync(Clock);
        var store = place.OpenStore();
        await SetAsync(store, "key", "one");
        await SetAsync(store, "key", "two", new SetOptions { Grace = TimeSpan.FromHours(6), Source = "import" });
        var version = (await HistoryAsync(place.OpenStore(), "key"))[1];
        Assert.Equal((SecretVersionState.Previous, Clock.GetUtcNow() + TimeSpan.FromHours(6)), (version.State, version.GraceEnds));
        Assert.Equal(Clock.GetUtcNow() + TimeSpan.FromHours(6), (await place.ToldAsync())[^1].GraceEnds);
        Clock.Advance(TimeSpan.FromHours(6));
        version = (await HistoryAsync(place.OpenStore(), "key"))[1];
        Assert.Equal((SecretVersionState.Retired, null), (version.State, version.GraceEnds));
        Assert.Equal("import", (await HistoryAsync(store, "key"))[0].Source);
    }

    [Fact]
    public async Task A_secret_is_copied_there_whole_though_its_versions_are_more_than_one_write_takes()
    {
        await using var source = await StoreStage.CreateAsync(clock: Clock);
        await using var place = await CreateAsync(Clock);
        var (from, to) = (source.OpenStore(), place.OpenStore());
        await SetManyAsync(from, "many");
        var copy = new SecretCopy(from, to);
        var planned = await copy.PlanAsync("many", overwrite: false, Token);
        Assert.Equal((CopyStep.New, 80), (planned.Step, planned.Versions));
        await copy.DoAsync(planned, Token);
        Assert.Equal(await ReadAllAsync(from, "many"), await ReadAllAsync(place.OpenStore(), "many"));
        Assert.Equal([(LedgerKind.Created, 80)], (await place.ToldAsync()).Select(static told => (told.Kind, told.Version!.Value)));
        Assert.Equal(81, (await SetAsync(place.OpenStore(), "many", "next", new SetOptions { Grace = TimeSpan.FromDays(1) })).Version);
        Assert.Equal([.. await ReadAllAsync(from, "many"), "next"], await ReadAllAsync(to, "many"));
    }

    [Fact]
    public async Task A_version_without_a_value_has_none_where_it_is_copied_to()
    {
        await using var source = await StoreStage.CreateAsync(clock: Clock);
        await using var place = await CreateAsync(Clock);
        var (from, to) = (source.OpenStore(), place.OpenStore());
        await SetAsync(from, "key", "one");
        await from.RemoveAsync(SecretName.Parse("key"), Token);
        await SetAsync(from, "key", "two");
        var copy = new SecretCopy(from, to);
        await copy.DoAsync(await copy.PlanAsync("key", overwrite: false, Token), Token);
        Assert.Equal([null, "two"], await ReadAllAsync(place.OpenStore(), "key"));
        var refused = await Assert.ThrowsAsync<SecretsException>(async () => await new RotationRunner(to, []).RollBackAsync("key", 1, cancellationToken: Token));
        Assert.Contains("no value any more", refused.Problem, StringComparison.Ordinal);

        // and back
        await using var another = await StoreStage.CreateAsync(clock: Clock);
        var back = new SecretCopy(to, another.OpenStore());
        await back.DoAsync(await back.PlanAsync("key", overwrite: false, Token), Token);
        Assert.Equal([null, "two"], await ReadAllAsync(another.OpenStore(), "key"));
    }

    [Fact]
    public async Task A_copy_says_how_many_versions_are_kept_there()
    {
        await using var source = await StoreStage.CreateAsync(clock: Clock);
        await using var place = await CreateAsync(Clock);
        var from = source.Open();
        await from.Root.ChangeAsync(static head => head with { Keep = 100 }, Token);
        for (var i = 1; i <= 15; i++)
        {
            await SetAsync(from, "key", $"value {i}");
        }

        var copy = new SecretCopy(from, place.OpenStore());
        var planned = await copy.PlanAsync("key", overwrite: false, Token);
        Assert.Equal((10, 5), (planned.Versions, planned.Left));
        Assert.Contains("of 15: ", planned.Reason, StringComparison.Ordinal);
        await copy.DoAsync(planned, Token);
        Assert.Equal((await ReadAllAsync(from, "key"))[5..], await ReadAllAsync(place.OpenStore(), "key"));
    }

    [Fact]
    public async Task A_value_is_up_to_1_MiB_long_and_empty_only_where_that_is_said()
    {
        await using var place = await CreateAsync(Clock);
        var store = place.OpenStore();
        var longest = new string('x', (1 << 20) - 2) + "ü";
        await Assert.ThrowsAsync<SecretsException>(() => SetAsync(store, "key", ""));
        await Assert.ThrowsAsync<SecretsException>(() => SetAsync(store, "key", longest + "x"));
        Assert.Null(await store.FindAsync(SecretName.Parse("key"), Token));
        Assert.Empty(await place.ToldAsync());
        await SetAsync(store, "key", longest);
        Assert.Equal(longest, await ReadAsync(place.OpenStore(), "key"));
        await SetAsync(store, "key", "", new SetOptions { AllowEmpty = true });
        Assert.Equal("", await ReadAsync(place.OpenStore(), "key"));
    }

    [Fact]
    public async Task As_many_versions_are_kept_as_is_usual_and_no_more_values()
    {
        await using var place = await CreateAsync(Clock);
        var store = place.OpenStore();
        for (var i = 1; i <= SecretFormat.UsuallyKept + 3; i++)
        {
            Assert.Equal(i, (await SetAsync(store, "key", $"value {i}")).Version);
        }

        var read = (await place.OpenStore().ReadAsync("key", Token))!;
        Assert.Equal(Enumerable.Range(4, SecretFormat.UsuallyKept), read.Record.Versions.Select(static version => version.Number));
        Assert.Equal(Enumerable.Range(4, SecretFormat.UsuallyKept).Select(static i => $"value {i}").ToList(), read.Record.Versions.Select(static version => TextOf(version)!).ToList());
        GC.KeepAlive(read.Owner);
    }

    [Fact]
    public async Task A_removed_secret_has_no_value_any_more_and_its_numbers_are_not_used_again()
    {
        await using var place = await CreateAsync(Clock);
        var (one, other) = (place.OpenStore(), place.OpenStore());
        await SetAsync(one, "key", "one");
        await SetAsync(one, "key", "two");
        await SetAsync(one, "left", "there");
        var removed = await other.RemoveAsync(SecretName.Parse("KEY"), Token);
        Assert.Equal(("key", 2, false), (removed.Name, removed.Version, removed.Created));
        var read = (await one.ReadAsync("key", Token))!;
        Assert.Equal((null, Clock.GetUtcNow()), (read.Record.Current, read.Record.Removed));
        Assert.All(read.Record.Versions, static version => Assert.Null(version.Value));
        Assert.Equal(Clock.GetUtcNow(), (await one.GetHistoryAsync(SecretName.Parse("key"), Token))!.Removed);

        // only by its own name, and one that is there is found by any
        Assert.Null(await one.FindAsync(SecretName.Parse("KEY"), Token));
        Assert.Equal("left", (await one.FindAsync(SecretName.Parse("LEFT"), Token))!.Record.Name);
        await Assert.ThrowsAsync<SecretNotFoundException>(async () => await one.RemoveAsync(SecretName.Parse("key"), Token));
        await Assert.ThrowsAsync<SecretNotFoundException>(async () => await one.RemoveAsync(SecretName.Parse("never"), Token));
        Assert.Equal(["key", "left"], (await one.ReadAllAsync(Token).Select(static secret => secret.Record.Name).ToListAsync(Token)).Order(StringComparer.Ordinal).ToList());
        var again = await SetAsync(one, "key", "three");
        Assert.Equal((3, true), (again.Version, again.Created));
        Assert.Equal("three", await ReadAsync(other, "key"));
        Assert.Equal(
            [(LedgerKind.Created, 1), (LedgerKind.Updated, 2), (LedgerKind.Removed, 2), (LedgerKind.Updated, 3)],
            (await place.ToldAsync()).Where(static told => told.Secret == "key").Select(static told => (told.Kind, told.Version!.Value)));
    }

    [Fact]
    public async Task A_name_that_matches_loosely_is_taken_for_the_secrets_own()
    {
        await using var place = await CreateAsync(Clock);
        var (one, other) = (place.OpenStore(), place.OpenStore());
        await SetAsync(one, "my-key", "one");
        var change = await SetAsync(other, "MY_KEY", "two");
        Assert.Equal(("my-key", 2, false), (change.Name, change.Version, change.Created));
        Assert.Equal("my-key", (await one.FindAsync(SecretName.Parse("My_Key"), Token))!.Record.Name);
        Assert.Null(await one.ReadAsync("MY_KEY", Token));
        Assert.Equal("my-key", (await one.GetHistoryAsync(SecretName.Parse("MY-KEY"), Token))!.Name);
        await other.RemoveAsync(SecretName.Parse("MY_KEY"), Token);

        // the next one may have the other name
        Assert.Equal("MY_KEY", (await SetAsync(one, "MY_KEY", "three")).Name);
        Assert.Equal("three", await ReadAsync(other, "MY_KEY"));
        Assert.Equal("MY_KEY", (await other.FindAsync(SecretName.Parse("my-key"), Token))!.Record.Name);
    }

    [Fact]
    public async Task A_change_that_throws_changes_nothing_and_the_ledger_has_nothing_of_it()
    {
        await using var place = await CreateAsync(Clock);
        var store = place.OpenStore();
        await SetAsync(store, "key", "one");
        foreach (var name in new[] { "key", "another" })
        {
            await Assert.ThrowsAsync<InvalidOperationException>(async () => await store.ChangeAsync<int>(
                name,
                edit =>
                {
                    using var value = SecretValue.FromString("two");
                    edit.Set(value, new SetOptions());
                    throw new InvalidOperationException("no");
                },
                Token));
        }

        Assert.Equal("one", await ReadAsync(place.OpenStore(), "key"));
        Assert.Null(await place.OpenStore().ReadAsync("another", Token));
        Assert.Single(await place.ToldAsync());
    }

    [Fact]
    public async Task Of_changes_that_are_made_together_one_that_throws_keeps_no_other_from_being_made()
    {
        await using var place = await CreateAsync(Clock);
        var store = place.OpenStore();
        await SetAsync(store, "first", "one");
        var refusal = new SecretsException("no", "no");
        Assert.Equal([null, refusal, null], await store.ChangeTogetherAsync([("first", Set), ("second", _ => throw refusal), ("third", Set)], Token));
        Assert.Equal([refusal], await store.ChangeTogetherAsync([("second", _ => throw refusal)], Token));
        var other = place.OpenStore();
        Assert.Equal(["two", "two"], [await ReadAsync(other, "first"), await ReadAsync(other, "third")], StringComparer.Ordinal);
        Assert.Null(await other.ReadAsync("second", Token));
        Assert.Equal(["first 1", "first 2", "third 1"], (await place.ToldAsync()).Select(static told => $"{told.Secret} {told.Version}"), StringComparer.Ordinal);

        static void Set(SecretEdit edit)
        {
            using var value = SecretValue.FromString("two");
            edit.Set(value, new SetOptions());
        }
    }

    [Fact]
    public async Task No_change_of_concurrent_writers_is_lost_and_the_ledger_has_each_once()
    {
        const int writers = 6, each = 6;
        await using var place = await CreateAsync(TimeProvider.System);
        var changes = (await Task.WhenAll(Enumerable.Range(0, writers).Select(writer => Task.Run(
            async () =>
            {
                var store = place.OpenStore();
                var done = new List<(string Name, int Version, string Value)>();
                for (var i = 0; i < each; i++)
                {
                    // one secret that all write, and one of each
                    var name = i % 3 == 2 ? $"own_{writer}" : "shared";
                    var value = $"value {i} of {writer}";
                    done.Add((name, (await SetAsync(store, name, value)).Version, value));
                }

                return done;
            },
            Token)))).SelectMany(static done => done).ToList();

        foreach (var secret in changes.GroupBy(static change => change.Name, StringComparer.Ordinal))
        {
            Assert.Equal(Enumerable.Range(1, secret.Count()), secret.Select(static change => change.Version).Order());
            var read = (await place.OpenStore().ReadAsync(secret.Key, Token))!;
            Assert.Equal(secret.Count(), read.Record.Current!.Number);
            Assert.All(read.Record.Versions, version => Assert.Equal(secret.Single(change => change.Version == version.Number).Value, TextOf(version)));
            GC.KeepAlive(read.Owner);
        }

        // a try that another was faster than is taken back
        var told = await place.ToldAsync();
        var open = told.Where(static happened => happened.Kind is LedgerKind.Created or LedgerKind.Updated).Select(static happened => (happened.Secret!, happened.Version!.Value)).ToList();
        foreach (var aborted in told.Where(static happened => happened.Kind == LedgerKind.Aborted))
        {
            Assert.True(open.Remove((aborted.Secret!, aborted.Version!.Value)));
        }

        Assert.Equal(changes.Select(static change => (change.Name, change.Version)).Order(), open.Order());
    }

    [Fact]
    public async Task What_can_not_be_read_is_never_taken_for_absent_nor_written_over()
    {
        await using var place = await CreateAsync(Clock);
        await SetAsync(place.OpenStore(), "key", "one");
        var mend = await place.DamageAsync();
        var store = place.OpenStore();
        Func<Task>[] asks =
        [
            async () => await store.FindAsync(SecretName.Parse("key"), Token),
            async () => await store.ReadAsync("key", Token),
            async () => await store.ReadAllAsync(Token).ToListAsync(Token),
            async () => await store.GetHistoryAsync(SecretName.Parse("key"), Token),
            async () => await SetAsync(store, "key", "two"),
            async () => await store.RemoveAsync(SecretName.Parse("key"), Token),
            async () => await store.ReadHoldersAsync(Holding("one"), "another", Token).ToListAsync(Token),
        ];
        foreach (var ask in asks)
        {
            var fault = await Assert.ThrowsAnyAsync<SecretsException>(ask);
            Assert.IsNotType<SecretNotFoundException>(fault);
        }

        await mend();
        Assert.Equal("one", await ReadAsync(place.OpenStore(), "key"));
        Assert.Single(await place.ToldAsync());
    }

    [Fact]
    public async Task The_other_secrets_that_hold_a_value_are_found()
    {
        await using var place = await CreateAsync(Clock);
        var (one, other) = (place.OpenStore(), place.OpenStore());
        await SetAsync(one, "a", "same");
        await SetAsync(one, "b", "same");
        await SetAsync(one, "c", "other");
        Assert.Equal(["b"], await HoldersAsync("same", "a"));
        Assert.Equal(["a", "b"], await HoldersAsync("same", "c"));
        Assert.Empty(await HoldersAsync("other", "c"));
        Assert.Empty(await HoldersAsync("none", "c"));

        // as long as it is kept, and may be used
        await SetAsync(one, "b", "new", new SetOptions { Grace = TimeSpan.FromHours(1) });
        Assert.Equal(["b"], await HoldersAsync("same", "a"));
        var holder = Assert.Single(await other.ReadHoldersAsync(Holding("same"), "a", Token).ToListAsync(Token));
        Assert.Equal(1, holder.Record.FindInUse(Holding("same"), Clock.GetUtcNow())?.Number);
        Clock.Advance(TimeSpan.FromHours(1));
        Assert.Null(holder.Record.FindInUse(Holding("same"), Clock.GetUtcNow()));
        await one.RemoveAsync(SecretName.Parse("b"), Token);
        Assert.Empty(await HoldersAsync("same", "a"));

        async Task<List<string>> HoldersAsync(string value, string except) =>
            [.. (await other.ReadHoldersAsync(Holding(value), except, Token).ToListAsync(Token)).Select(static holder => holder.Record.Name).Order(StringComparer.Ordinal)];
    }

    private static VersionRecord Holding(string value)
    {
        using var text = SecretValue.FromString(value);
        return new VersionRecord
        {
            Number = 1,
            Id = VersionRecord.NewId(),
            State = SecretVersionState.Retired,
            Created = DateTimeOffset.UnixEpoch,
            Source = "set",
            Value = JsonToken.Encode(text),
        };
    }

    [Fact]
    public async Task One_at_a_time_has_the_turn_to_rotate()
    {
        await using var place = await CreateAsync(TimeProvider.System);
        var (having, most) = (0, 0);
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(
            async () =>
            {
                var store = place.OpenStore();
                await using var turn = await store.TakeTurnAsync(Token);
                var now = Interlocked.Increment(ref having);
                InterlockedMax(ref most, now);
                await SetAsync(store, "key", "value");
                Interlocked.Decrement(ref having);
            },
            Token)));
        Assert.Equal(1, most);
        Assert.Equal(4, (await HistoryAsync(place.OpenStore(), "key"))[0].Number);
    }

    private protected static async Task<SecretChange> SetAsync(ISecretStore store, string name, string text, SetOptions? options = null)
    {
        using var value = SecretValue.FromString(text);
        return await store.SetAsync(SecretName.Parse(name), value, options ?? new SetOptions(), Token);
    }

    /// <summary>The current value.</summary>
    private protected static async Task<string?> ReadAsync(ISecretStore store, string name)
    {
        var read = await store.ReadAsync(name, Token);
        var text = read?.Record.Current is { } current ? TextOf(current) : null;
        GC.KeepAlive(read?.Owner);
        return text;
    }

    /// <summary>80 versions that may all be used, with 2 MB.</summary>
    private protected static async Task SetManyAsync(ISecretStore store, string name)
    {
        for (var i = 1; i <= 80; i++)
        {
            await SetAsync(store, name, i % 8 == 0 ? new string((char)('a' + (i / 8)), 200_000) : $"value {i}", new SetOptions { Grace = TimeSpan.FromDays(1) });
        }
    }

    /// <summary>The values of its versions, the oldest first; null of those that have none.</summary>
    private protected static async Task<List<string?>> ReadAllAsync(ISecretStore store, string name)
    {
        var read = (await store.ReadAsync(name, Token))!;
        var values = read.Record.Versions.ConvertAll(static version => version.Value is null ? null : TextOf(version));
        GC.KeepAlive(read.Owner);
        return values;
    }

    private protected static async Task<IReadOnlyList<SecretVersion>> HistoryAsync(ISecretStore store, string name) =>
        (await store.GetHistoryAsync(SecretName.Parse(name), Token))!.Versions;

    private static string? TextOf(VersionRecord version)
    {
        if (version.Value is not { } token)
        {
            return null;
        }

        Assert.True(JsonToken.TryDecode(token.Span, borrowed: false, out var value), Encoding.UTF8.GetString(token.Span));
        using (value)
        {
            return value.RevealString();
        }
    }

    private static void InterlockedMax(ref int most, int now)
    {
        for (var before = most; now > before && Interlocked.CompareExchange(ref most, now, before) != before; before = most)
        {
        }
    }
}
