using Mallku.Secrets.Ledger;
using Mallku.Secrets.Rotation;
using Mallku.Secrets.Storage;
using Microsoft.Extensions.Time.Testing;

namespace Mallku.Secrets.Tests.Storage;

/// <summary>The contract over a sealed store on records in memory, and what only several machines can do to each other.</summary>
public sealed class SealedStoreContractTests : RotationContract
{
    internal override async Task<StorePlace> CreateAsync(TimeProvider clock) => await StoreStage.CreateAsync(clock: clock);

    [Theory]
    [InlineData("create", "ends it")]
    [InlineData("set", "ends it")]
    [InlineData("test", "ends it")]
    [InlineData("create", "gives it up")]
    [InlineData("set", "gives it up")]
    [InlineData("test", "gives it up")]
    [InlineData("create", "stops at test")]
    [InlineData("set", "stops at test")]
    public async Task A_machine_that_stood_still_during_a_step_is_overtaken_and_leaves_no_key_behind(string step, string another)
    {
        await using var place = await BeginAsync();
        var isReached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var stands = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Shop.During = async now =>
        {
            if (now == step && isReached.TrySetResult())
            {
                await stands.Task;
            }
        };

        // its clock stands still with it, so that it does not hold its turn
        var frozen = new RotationRunner(place.OpenAt(new FakeTimeProvider(Clock.GetUtcNow())), [Shop]);
        var policy = new RotationPolicy { Rotator = "shop", Grace = TimeSpan.FromDays(1) };
        var standing = frozen.RotateAsync("key", policy, Token).AsTask();
        await isReached.Task.WaitAsync(TimeSpan.FromMinutes(1), Token);

        Shop.FailsAt = another == "stops at test" ? "test" : null;
        var other = new RotationRunner(place.OpenAt(Clock), [Shop]);
        var going = another == "gives it up" ? other.AbandonAsync("key", Token).AsTask() : (Task)other.ResumeAsync("key", Token).AsTask();
        while (!going.IsCompleted)
        {
            Clock.Advance(TimeSpan.FromSeconds(1));
            await Task.Delay(1, Token);
        }

        Assert.Equal(another == "stops at test", (await Record.ExceptionAsync(() => going)) is SecretsException);
        Shop.FailsAt = null;
        stands.SetResult();
        var overtaken = await Assert.ThrowsAnyAsync<SecretsException>(() => standing);
        Assert.Contains("another process", overtaken.Problem, StringComparison.Ordinal);
        if (another == "gives it up")
        {
            Assert.Equal("by hand", await ReadAsync(place.OpenStore(), "key"));
            Assert.Equal(["by hand"], Shop.Keys);
            Assert.True(Shop.InUse is null or "by hand", "what is in use is revoked");
            return;
        }

        if (another == "stops at test")
        {
            Assert.Equal("test", Assert.Single(await Runner(place).GetStatusAsync(Token)).PendingStep);
            Assert.Equal(2, (await other.ResumeAsync("key", Token)).Version);
        }

        var current = await ReadAsync(place.OpenStore(), "key");
        Assert.Equal(["by hand", current!], Shop.Keys);
        Assert.Equal(current, Shop.InUse);
        Assert.Equal(2, (await HistoryAsync(place.OpenStore(), "key")).Count);
        Assert.Null(Assert.Single(await Runner(place).GetStatusAsync(Token)).Pending);
    }

    [Theory]
    [InlineData(true, false)]
    [InlineData(true, true)]
    [InlineData(false, false)]
    [InlineData(false, true)]
    public async Task A_change_whose_answer_was_lost_is_acknowledged_only_where_it_was_made(bool isMade, bool isFollowed)
    {
        await using var stage = await StoreStage.CreateAsync();
        var records = new ForgetfulRecords(stage.Records);
        var (store, other) = (stage.Open(records: records), stage.Open());
        await SetAsync(store, "key", "one");
        records.Instead = async make =>
        {
            if (isMade)
            {
                await make();
            }

            if (isFollowed)
            {
                await other.ChangeAsync("key", static edit => edit.Record.Policy = new RotationPolicy { Rotator = "another" }, Token);
            }
        };
        var changing = store.ChangeAsync("key", static edit =>
        {
            edit.Record.Policy = new RotationPolicy { Rotator = "one" };
            edit.Tell(LedgerKind.PolicySet, version: null, "one");
            return 0;
        }, Token).AsTask();

        // others have gone on: nobody can tell from what
        if (isFollowed)
        {
            Assert.True((await Assert.ThrowsAsync<StoreUnreachableException>(() => changing)).MayBeWritten);
        }
        else
        {
            await changing;
        }

        var read = (await stage.Open().ReadAsync("key", Token))!.Record;
        Assert.Equal(isFollowed ? "another" : "one", read.Policy!.Rotator);
        Assert.Equal(isMade && !isFollowed ? 0 : 1, stage.Told.Count(static told => told.Kind == LedgerKind.Aborted));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_version_whose_answer_was_lost_is_known_again_also_where_others_have_gone_on(bool isMade)
    {
        await using var stage = await StoreStage.CreateAsync();
        var records = new ForgetfulRecords(stage.Records);
        var (store, other) = (stage.Open(records: records), stage.Open());
        await SetAsync(store, "key", "one");
        records.Instead = async make =>
        {
            if (isMade)
            {
                await make();
            }

            await SetAsync(other, "key", "of another");
        };
        var setting = SetAsync(store, "key", "two");
        if (isMade)
        {
            Assert.Equal(2, (await setting).Version);
        }
        else
        {
            Assert.True((await Assert.ThrowsAsync<StoreUnreachableException>(() => setting)).MayBeWritten);
        }

        Assert.Equal("of another", await ReadAsync(stage.Open(), "key"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_look_that_is_overtaken_is_not_taken_for_a_state_that_was_put_back(bool isOfAll)
    {
        await using var stage = await StoreStage.CreateAsync();
        var records = new ForgetfulRecords(stage.Records);
        var store = stage.Open(records: records);
        await SetAsync(store, "key", "one");

        // by others of the same process, between the medium's answer and its use
        records.AfterRead = () => SetAsync(store, "key", "two");
        var found = isOfAll ? await store.ReadAllAsync(Token).SingleAsync(Token) : (await store.FindAsync(SecretName.Parse("key"), Token))!;
        Assert.InRange(found.Record.Current!.Number, isOfAll ? 2 : 1, 2);

        // nor is one that did not see the first write of a secret
        records.AfterRead = () => SetAsync(store, "new", "one");
        Assert.Null(await store.FindAsync(SecretName.Parse("new"), Token));
        Assert.Equal("one", await ReadAsync(store, "new"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_copy_that_is_cut_off_between_two_writes_has_changed_nothing_and_is_made_again(bool isMade)
    {
        await using var source = await StoreStage.CreateAsync(clock: Clock);
        await using var stage = await StoreStage.CreateAsync(clock: Clock);
        var from = source.OpenStore();
        await SetManyAsync(from, "many");
        var records = new ForgetfulRecords(stage.Records) { Instead = make => isMade ? make() : Task.CompletedTask };
        var copy = new SecretCopy(from, stage.Open(records: records));
        var planned = await copy.PlanAsync("many", overwrite: false, Token);
        Assert.False((await Assert.ThrowsAsync<StoreUnreachableException>(async () => await copy.DoAsync(planned, Token))).MayBeWritten);
        Assert.Empty(stage.Told);
        Assert.Empty(await stage.Open().ListAsync(Token));

        copy = new SecretCopy(from, stage.Open());
        planned = await copy.PlanAsync("many", overwrite: false, Token);
        Assert.Equal((CopyStep.New, 80), (planned.Step, planned.Versions));
        await copy.DoAsync(planned, Token);
        Assert.Equal(await ReadAllAsync(from, "many"), await ReadAllAsync(stage.Open(), "many"));
        Assert.Equal(80, await stage.Records.ListAsync(RecordKind.Version, "", null, Token).CountAsync(Token));
        Assert.Single(stage.Told);
    }

    [Fact]
    public async Task A_reseal_while_a_copy_is_written_in_parts_takes_no_value_from_it()
    {
        await using var source = await StoreStage.CreateAsync(clock: Clock);
        await using var stage = await StoreStage.CreateAsync(clock: Clock);
        var from = source.OpenStore();
        await SetManyAsync(from, "many");
        var records = new ForgetfulRecords(stage.Records);
        var copy = new SecretCopy(from, stage.Open(records: records));
        var planned = await copy.PlanAsync("many", overwrite: false, Token);

        // after its first part
        records.Written = async () => await stage.Open().ResealAsync(progress: null, Token);
        await copy.DoAsync(planned, Token);
        Assert.Equal(await ReadAllAsync(from, "many"), await ReadAllAsync(stage.Open(), "many"));
    }

    [Fact]
    public async Task Who_sets_a_secret_while_a_copy_of_it_is_written_in_parts_loses_nothing()
    {
        await using var source = await StoreStage.CreateAsync(clock: Clock);
        await using var stage = await StoreStage.CreateAsync(clock: Clock);
        var from = source.OpenStore();
        await SetManyAsync(from, "many");
        var records = new ForgetfulRecords(stage.Records);
        var copy = new SecretCopy(from, stage.Open(records: records));
        var planned = await copy.PlanAsync("many", overwrite: false, Token);

        // after its first part
        records.Written = () =>
        {
            records.AfterRead = () => SetAsync(stage.Open(), "many", "of another");
            return Task.CompletedTask;
        };
        var refused = await Assert.ThrowsAsync<SecretsException>(async () => await copy.DoAsync(planned, Token));
        Assert.Contains("meanwhile", refused.Problem, StringComparison.Ordinal);
        Assert.Equal(["of another"], await ReadAllAsync(stage.Open(), "many"));
        Assert.Single(await stage.Records.ListAsync(RecordKind.Version, "", null, Token).ToListAsync(Token));
        Assert.Equal((LedgerKind.Created, 1), Assert.Single(stage.Told.Select(static told => (told.Kind, told.Version!.Value))));
    }
}
