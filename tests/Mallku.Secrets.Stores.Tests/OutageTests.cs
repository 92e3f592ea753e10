using System.Runtime.CompilerServices;
using Microsoft.Extensions.Time.Testing;

namespace Mallku.Secrets.Stores.Tests;

/// <summary>A medium that does not answer, and comes back.</summary>
public sealed class OutageTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_known_value_is_answered_for_so_long_and_an_unknown_one_is_not(bool follows)
    {
        await using var records = new FailingRecords();
        await using var stage = await StoreStage.CreateAsync(records);
        var store = stage.Open(follows);
        await StoreStage.SetAsync(store, "known", "value");
        await StoreStage.SetAsync(store, "other", "value");
        Assert.Equal("value", await StoreStage.GetAsync(store, "known"));

        records.Break();
        store.Memory.ForgetAll();
        var stale = await store.Memory.FindAsync(SecretName.Parse("known"), Token);
        Assert.Equal("value", stale!.Value.RevealString());
        Assert.Equal(StoreMemory.StaleSourceName, stale.Source);
        await Assert.ThrowsAsync<StoreUnreachableException>(() => StoreStage.GetAsync(store, "other"));
        await Assert.ThrowsAsync<StoreUnreachableException>(async () => await StoreStage.SetAsync(store, "known", "new"));

        records.Mend();
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        while ((await store.Memory.FindAsync(SecretName.Parse("known"), Token))!.Source != SealedStore.SourceName)
        {
            store.Memory.ForgetAll();
            await Task.Delay(10, patience.Token);
        }

        Assert.Equal(2, await StoreStage.SetAsync(store, "known", "new"));
        Assert.Equal("value", await StoreStage.GetAsync(store, "other"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Whoever_has_changed_a_secret_never_has_its_value_of_before(bool follows)
    {
        await using var records = new FailingRecords();
        await using var stage = await StoreStage.CreateAsync(records);
        var store = stage.Open(follows);
        await StoreStage.SetAsync(store, "key", "before");
        Assert.Equal("before", await StoreStage.GetAsync(store, "key"));
        records.Break();
        store.Memory.ForgetAll();
        Assert.Equal(StoreMemory.StaleSourceName, (await store.Memory.FindAsync(SecretName.Parse("key"), Token))!.Source);

        // it answers again, which nobody has found out but who changes something
        records.Mend();
        Assert.Equal(2, await StoreStage.SetAsync(store, "key", "after"));
        Assert.Equal("after", await StoreStage.GetAsync(store, "key"));

        Assert.Equal(3, await StoreStage.SetAsync(store, "key", "newest"));
        records.Break();
        await Assert.ThrowsAsync<StoreUnreachableException>(() => StoreStage.GetAsync(store, "key"));
    }

    [Fact]
    public async Task Whoever_only_changes_secrets_is_told_of_changes_too()
    {
        await using var stage = await StoreStage.CreateAsync(new MemoryRecordStore());
        var store = stage.Open(follows: true);
        await StoreStage.SetAsync(store, "key", "value");
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        while (!store.Memory.IsFollowing)
        {
            await Task.Delay(10, patience.Token);
        }
    }

    [Fact]
    public async Task A_store_that_can_only_not_be_followed_is_asked()
    {
        await using var records = new FailingRecords();
        await using var stage = await StoreStage.CreateAsync(records);
        var store = stage.Open(follows: true);
        var other = stage.Open();
        await StoreStage.SetAsync(other, "key", "before");
        await StoreStage.SetAsync(other, "unknown", "value");
        Assert.Equal("before", await StoreStage.GetAsync(store, "key"));

        records.BreakWatching();
        await StoreStage.SetAsync(other, "key", "after");
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        while (await store.Memory.FindAsync(SecretName.Parse("key"), Token) is not { Source: SealedStore.SourceName, Version: 2 })
        {
            await Task.Delay(10, patience.Token);
        }

        Assert.Equal("value", await StoreStage.GetAsync(store, "unknown"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_turn_whose_taking_got_no_answer_is_its_holders_and_holds_nobody_off_behind_its_end(bool isMade)
    {
        await using var records = new FailingRecords();
        records.LoseNextAnswer(isMade);
        await using (await StoreTurn.TakeAsync(records, TimeProvider.System, Token))
        {
            Assert.NotNull(await records.ReadAsync(new RecordKey(RecordKind.Store, "turn"), Token));
        }

        Assert.Null(await records.ReadAsync(new RecordKey(RecordKind.Store, "turn"), Token));
    }

    [Fact]
    public async Task A_turn_whose_renewal_got_no_answer_stays_its_holders()
    {
        await using var records = new FailingRecords();
        var clock = new FakeTimeProvider();
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        var key = new RecordKey(RecordKind.Store, "turn");
        var turn = await StoreTurn.TakeAsync(records, clock, Token);
        var revision = (await records.ReadAsync(key, Token))!.Revision;
        foreach (bool? lost in new bool?[] { null, true, null, false, null })
        {
            if (lost is { } isMade)
            {
                records.LoseNextAnswer(isMade);
            }

            revision = await RenewedAsync(revision);
        }

        await turn.DisposeAsync();
        Assert.Null(await records.ReadAsync(key, Token));

        async Task<string> RenewedAsync(string before)
        {
            string after;
            while ((after = (await records.ReadAsync(key, patience.Token))!.Revision) == before)
            {
                clock.Advance(TimeSpan.FromSeconds(1));
                await Task.Delay(1, patience.Token);
            }

            return after;
        }
    }

    [Fact]
    public async Task No_old_value_is_answered_where_none_is_wanted()
    {
        await using var records = new FailingRecords();
        await using var stage = await StoreStage.CreateAsync(records);
        var store = stage.Open(maxStaleness: TimeSpan.Zero);
        await StoreStage.SetAsync(store, "known", "value");
        Assert.Equal("value", await StoreStage.GetAsync(store, "known"));
        records.Break();
        store.Memory.ForgetAll();
        await Assert.ThrowsAsync<StoreUnreachableException>(() => StoreStage.GetAsync(store, "known"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_became_of_a_write_whose_answer_was_lost_is_found_out(bool isMade)
    {
        await using var records = new FailingRecords();
        await using var stage = await StoreStage.CreateAsync(records);
        var store = stage.Open();
        await StoreStage.SetAsync(store, "key", "one");
        records.LoseNextAnswer(isMade);
        Assert.Equal(2, await StoreStage.SetAsync(store, "key", "two"));
        var read = await store.ReadAsync("key", Token);
        Assert.Equal([1, 2], read!.Record.Versions.Select(static version => version.Number));
        GC.KeepAlive(read.Owner);
    }

    [Fact]
    public async Task A_write_that_never_has_an_answer_and_never_is_made_is_given_up_soon()
    {
        await using var records = new FailingRecords();
        await using var stage = await StoreStage.CreateAsync(records);
        var store = stage.Open();
        await StoreStage.SetAsync(store, "key", "one");
        records.LoseAnswers(refusal: null);
        var fault = await Assert.ThrowsAsync<StoreUnreachableException>(() => StoreStage.SetAsync(store, "key", "two"));
        Assert.False(fault.MayBeWritten);
        Assert.Contains("nothing was changed", fault.Problem, StringComparison.Ordinal);
        Assert.Equal(Enumerable.Repeat(SealedStore.NotTaken, 3), AbortedOf(stage), StringComparer.Ordinal);
    }

    [Fact]
    public async Task A_write_that_is_refused_as_one_that_may_be_made_is_told_as_refused_where_it_is_not_there()
    {
        await using var records = new FailingRecords();
        await using var stage = await StoreStage.CreateAsync(records);
        var store = stage.Open();
        await StoreStage.SetAsync(store, "key", "one");
        records.LoseAnswers(new SecretsException("the medium is full", "make room"));
        foreach (var change in new Func<Task>[]
        {
            () => StoreStage.SetAsync(store, "key", "two"),
            () => store.ResealAsync(progress: null, Token).AsTask(),
        })
        {
            var before = AbortedOf(stage).Count;
            var fault = await Assert.ThrowsAsync<SecretsException>(change);
            Assert.Equal(("the medium is full; nothing was changed", "make room"), (fault.Problem, fault.Remedy));
            Assert.Equal([SealedStore.NotTaken], AbortedOf(stage).Skip(before), StringComparer.Ordinal);
        }
    }

    [Fact]
    public async Task A_reseal_whose_line_is_lost_says_how_it_goes_on()
    {
        await using var records = new FailingRecords();
        await using var stage = await StoreStage.CreateAsync(records);
        var store = stage.Open();
        await StoreStage.SetAsync(store, "key", "one");
        records.LoseNextAnswer(isMade: true);
        var fault = await Assert.ThrowsAsync<StoreUnreachableException>(() => store.ResealAsync(progress: null, Token).AsTask());
        Assert.False(fault.MayBeWritten);
        Assert.Contains("mallku store reseal", fault.Remedy, StringComparison.Ordinal);
        Assert.True((await store.ResealAsync(progress: null, Token)).IsResumed);
    }

    private static List<string?> AbortedOf(StoreStage stage) => [.. stage.Told.Where(static told => told.Kind == Ledger.LedgerKind.Aborted).Select(static told => told.Note)];

    /// <summary>Records in memory that can be out of reach.</summary>
    private sealed class FailingRecords : IRecordStore
    {
        private readonly MemoryRecordStore _records = new();
        private volatile CancellationTokenSource _broken = new();
        private volatile bool _isBroken, _isWatchingBroken;
        private bool? _isNextMade;
        private bool _losesAnswers;
        private SecretsException? _refusal;

        public string Description => _records.Description;

        public int MaxDataLength => _records.MaxDataLength;

        public void Break()
        {
            _isBroken = true;
            _broken.Cancel();
        }

        public void BreakWatching()
        {
            _isWatchingBroken = true;
            _broken.Cancel();
        }

        public void Mend()
        {
            _broken = new CancellationTokenSource();
            _isBroken = false;
        }

        public void LoseNextAnswer(bool isMade) => _isNextMade = isMade;

        /// <summary>From now on no write is made, and none has an answer, or this one.</summary>
        public void LoseAnswers(SecretsException? refusal) => (_losesAnswers, _refusal) = (true, refusal);

        public ValueTask PrepareAsync(CancellationToken cancellationToken) => _records.PrepareAsync(cancellationToken);

        public ValueTask<StoredRecord?> ReadAsync(RecordKey key, CancellationToken cancellationToken) =>
            _isBroken ? throw Unreachable() : _records.ReadAsync(key, cancellationToken);

        public IAsyncEnumerable<StoredRecord> ListAsync(RecordKind kind, string from, string? before, CancellationToken cancellationToken) =>
            _isBroken ? throw Unreachable() : _records.ListAsync(kind, from, before, cancellationToken);

        public IAsyncEnumerable<StoredRecord> FindAsync(RecordKind kind, string first, string last, CancellationToken cancellationToken) =>
            _isBroken ? throw Unreachable() : _records.FindAsync(kind, first, last, cancellationToken);

        public async ValueTask<bool> WriteAsync(IReadOnlyList<RecordWrite> writes, CancellationToken cancellationToken)
        {
            if (_isBroken)
            {
                throw Unreachable();
            }

            if (_isNextMade is { } isMade)
            {
                _isNextMade = null;
                if (isMade)
                {
                    await _records.WriteAsync(writes, cancellationToken);
                }

                throw new StoreUnreachableException("the answer was lost", "try again") { MayBeWritten = true };
            }

            return _losesAnswers
                ? throw new StoreUnreachableException("the answer was lost", "try again") { MayBeWritten = true, Refusal = _refusal }
                : await _records.WriteAsync(writes, cancellationToken);
        }

        public async IAsyncEnumerable<RecordKey?> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
        {
            if (_isBroken || _isWatchingBroken)
            {
                throw Unreachable();
            }

            using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _broken.Token);
            await using var heard = _records.WatchAsync(either.Token).GetAsyncEnumerator(either.Token);
            while (await MoveAsync(heard, cancellationToken))
            {
                yield return heard.Current;
            }
        }

        private static async Task<bool> MoveAsync(IAsyncEnumerator<RecordKey?> heard, CancellationToken cancellationToken)
        {
            try
            {
                return await heard.MoveNextAsync();
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                throw Unreachable();
            }
        }

        public ValueTask DisposeAsync() => _records.DisposeAsync();

        private static StoreUnreachableException Unreachable() => new("the medium does not answer", "wait for it");
    }
}
