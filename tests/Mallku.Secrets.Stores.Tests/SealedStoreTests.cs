using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Models;
using Mallku.Secrets.Rotation;
using Mallku.Secrets.Sources;
using Mallku.Secrets.Vault;
using Microsoft.Extensions.Time.Testing;

namespace Mallku.Secrets.Stores.Tests;

public sealed class SealedStoreTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_one_instance_sets_another_finds()
    {
        await using var stage = await StoreStage.CreateAsync();
        var (one, other) = (stage.Open(), stage.Open());
        Assert.Equal(1, await StoreStage.SetAsync(one, "openai_api_key", "sk-first"));
        Assert.Equal("sk-first", await StoreStage.GetAsync(other, "openai_api_key"));
        Assert.Equal(2, await StoreStage.SetAsync(other, "openai_api_key", "sk-second"));
        one.Memory.ForgetAll();
        Assert.Equal("sk-second", await StoreStage.GetAsync(one, "openai_api_key"));
        Assert.Null(await StoreStage.GetAsync(one, "OPENAI_API_KEY"));
        Assert.Equal("openai_api_key", (await one.FindAsync(SecretName.Parse("OPENAI-API-KEY"), Token))!.Record.Name);
        Assert.Null(await one.FindAsync(SecretName.Parse("other"), Token));
        Assert.Equal([LedgerKind.Created, LedgerKind.Updated], stage.Told.Select(static told => told.Kind));
    }

    [Fact]
    public async Task Versions_are_kept_with_their_values_and_pruned()
    {
        await using var stage = await StoreStage.CreateAsync();
        var store = stage.Open();
        for (var i = 1; i <= 14; i++)
        {
            Assert.Equal(i, await StoreStage.SetAsync(store, "k", $"value-{i}"));
        }

        var read = await store.ReadAsync("k", Token);
        Assert.Equal(Enumerable.Range(5, 10), read!.Record.Versions.Select(static version => version.Number));
        Assert.Equal("\"value-13\"", Encoding.UTF8.GetString(read.Record.Get(13)!.Value!.Value.Span));
        Assert.Equal(10, await stage.Records.ListAsync(RecordKind.Version, "", null, Token).CountAsync(Token));
        GC.KeepAlive(read.Owner);
    }

    [Fact]
    public async Task A_removed_secret_leaves_no_value_and_its_numbers_are_not_used_again()
    {
        await using var stage = await StoreStage.CreateAsync();
        var store = stage.Open();
        await StoreStage.SetAsync(store, "k", "one");
        await StoreStage.SetAsync(store, "k", "two");
        await store.ChangeAsync("k", edit => edit.Remove(), Token);
        Assert.Equal(0, await stage.Records.ListAsync(RecordKind.Version, "", null, Token).CountAsync(Token));
        Assert.Null(await StoreStage.GetAsync(store, "k"));
        Assert.NotNull((await store.FindAsync(SecretName.Parse("k"), Token))!.Record.Removed);
        Assert.Equal(3, await StoreStage.SetAsync(store, "k", "three"));
        Assert.Equal("three", await StoreStage.GetAsync(store, "k"));
    }

    [Fact]
    public async Task Names_that_match_loosely_are_one_secret()
    {
        await using var stage = await StoreStage.CreateAsync();
        var store = stage.Open();
        await StoreStage.SetAsync(store, "my-key", "one");
        Assert.Equal(2, await StoreStage.SetAsync(store, "MY_KEY", "two"));
        Assert.Equal("two", await StoreStage.GetAsync(store, "my-key"));
        Assert.Null(await StoreStage.GetAsync(store, "MY_KEY"));

        await store.RemoveAsync(SecretName.Parse("my-key"), Token);
        Assert.Equal(3, await StoreStage.SetAsync(store, "MY_KEY", "three"));
        Assert.Equal("three", await StoreStage.GetAsync(store, "MY_KEY"));
        Assert.Equal("MY_KEY", (await store.FindAsync(SecretName.Parse("my-key"), Token))!.Record.Name);
    }

    [Fact]
    public async Task No_change_of_eight_writers_is_lost()
    {
        await using var stage = await StoreStage.CreateAsync();
        await StoreStage.SetAsync(stage.Open(), "k", "0");
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(
            async () =>
            {
                var store = stage.Open();
                for (var i = 0; i < 10; i++)
                {
                    await StoreStage.SetAsync(store, "k", "x");
                }
            },
            Token)));
        var read = await stage.Open().ReadAsync("k", Token);
        Assert.Equal(81, read!.Record.Current!.Number);

        // each try that another was faster than is taken back
        var told = stage.Told.GroupBy(static happened => happened.Kind).ToDictionary(static group => group.Key, static group => group.Count());
        Assert.Equal(80, told[LedgerKind.Updated] - told.GetValueOrDefault(LedgerKind.Aborted));
    }

    [Fact]
    public async Task The_medium_sees_neither_names_nor_values()
    {
        await using var stage = await StoreStage.CreateAsync();
        var store = stage.Open();
        await StoreStage.SetAsync(store, "canary_name", "canary-value");
        var dump = new StringBuilder();
        foreach (var kind in Enum.GetValues<RecordKind>())
        {
            await foreach (var record in stage.Records.ListAsync(kind, "", null, Token))
            {
                dump.Append(record.Key.Id).Append(Encoding.UTF8.GetString(record.Data.Span));
            }
        }

        var text = dump.ToString();
        Assert.NotEmpty(text);
        string[] hidden = ["canary", Convert.ToBase64String("canary-value"u8)[..12], "generation", "current", "versions", "\"name\"", "\"keys\"", "\"keep\""];
        Assert.All(hidden, word => Assert.DoesNotContain(word, text, StringComparison.OrdinalIgnoreCase));
    }

    [Theory]
    [InlineData(RecordKind.Secret)]
    [InlineData(RecordKind.Version)]
    public async Task A_record_that_was_moved_to_another_secret_does_not_open(RecordKind kind)
    {
        await using var stage = await StoreStage.CreateAsync();
        var store = stage.Open();
        await StoreStage.SetAsync(store, "a", "of a");
        await StoreStage.SetAsync(store, "b", "of b");
        var found = await stage.Records.ListAsync(kind, "", null, Token).ToListAsync(Token);
        Assert.True(await stage.Records.WriteAsync(
            [new RecordWrite(found[0].Key, found[0].Revision, found[1].Data), new RecordWrite(found[1].Key, found[1].Revision, found[0].Data)], Token));
        await Assert.ThrowsAsync<RecordOpenException>(() => StoreStage.GetAsync(stage.Open(), "a"));
        await Assert.ThrowsAsync<RecordOpenException>(() => StoreStage.GetAsync(stage.Open(), "b"));
    }

    [Fact]
    public async Task A_value_of_another_version_does_not_open()
    {
        await using var stage = await StoreStage.CreateAsync();
        var store = stage.Open();
        await StoreStage.SetAsync(store, "a", "one");
        await StoreStage.SetAsync(store, "a", "two");
        var found = await stage.Records.ListAsync(RecordKind.Version, "", null, Token).ToListAsync(Token);
        Assert.True(await stage.Records.WriteAsync([new RecordWrite(found[1].Key, found[1].Revision, found[0].Data)], Token));
        var refused = await Assert.ThrowsAsync<RecordOpenException>(() => StoreStage.GetAsync(stage.Open(), "a"));
        Assert.Contains("version 2 of 'a'", refused.Problem, StringComparison.Ordinal);
        Assert.StartsWith("set it again", refused.Remedy, StringComparison.Ordinal);
        refused = await Assert.ThrowsAsync<RecordOpenException>(async () => await stage.Open().ReadAsync("a", Token));
        Assert.Contains("version 2 of 'a'", refused.Problem, StringComparison.Ordinal);

        // which helps
        Assert.Equal(3, await StoreStage.SetAsync(stage.Open(), "a", "three"));
        Assert.Equal("three", await StoreStage.GetAsync(stage.Open(), "a"));
    }

    [Theory]
    [InlineData("00000000000000000000000000000000")]
    [InlineData("zz")]
    public async Task A_record_that_somebody_has_put_among_the_secrets_is_said_to_be_one_to_remove(string id)
    {
        await using var stage = await StoreStage.CreateAsync();
        await StoreStage.SetAsync(stage.Open(), "a", "one");
        var foreign = new RecordKey(RecordKind.Secret, id);
        Assert.True(await stage.Records.WriteAsync([new RecordWrite(foreign, Expected: null, "{}"u8.ToArray())], Token));
        var refused = await Assert.ThrowsAsync<RecordOpenException>(async () => await stage.Open().ListAsync(Token));
        var unsealed = await Assert.ThrowsAsync<SecretsException>(async () => await stage.Open().ResealAsync(progress: null, Token));
        foreach (var error in new[] { refused, unsealed })
        {
            Assert.Contains($"'{id}'", error.Problem, StringComparison.Ordinal);
            Assert.Contains("remove it", error.Remedy, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_secret_that_was_put_back_behind_what_this_machine_has_seen_is_refused_also_by_its_next_process()
    {
        await using var stage = await StoreStage.CreateAsync();
        await StoreStage.SetAsync(stage.Open(seen: "machine"), "a", "one");
        var old = await stage.Records.ListAsync(RecordKind.Secret, "", null, Token).SingleAsync(Token);
        await StoreStage.SetAsync(stage.Open(seen: "machine"), "a", "two");
        var now = await stage.Records.ReadAsync(old.Key, Token);
        Assert.True(await stage.Records.WriteAsync([new RecordWrite(old.Key, now!.Revision, old.Data)], Token));
        var refused = await Assert.ThrowsAsync<SecretsException>(() => StoreStage.GetAsync(stage.Open(seen: "machine"), "a"));
        Assert.Contains("put back", refused.Problem, StringComparison.Ordinal);

        // a fresh machine can't know
        Assert.Equal("one", await StoreStage.GetAsync(stage.Open(), "a"));

        now = await stage.Records.ReadAsync(old.Key, Token);
        Assert.True(await stage.Records.WriteAsync([new RecordWrite(old.Key, now!.Revision, Data: null)], Token));
        refused = await Assert.ThrowsAsync<SecretsException>(() => StoreStage.GetAsync(stage.Open(seen: "machine"), "a"));
        Assert.Contains("lost a secret", refused.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_another_process_of_the_machine_has_seen_counts_for_one_that_runs()
    {
        await using var stage = await StoreStage.CreateAsync();
        var (one, other) = (stage.Open(seen: "machine"), stage.Open(seen: "machine"));
        await StoreStage.SetAsync(one, "a", "one");
        Assert.Equal("one", await StoreStage.GetAsync(other, "a"));
        var old = await stage.Records.ListAsync(RecordKind.Secret, "", null, Token).SingleAsync(Token);
        await StoreStage.SetAsync(one, "a", "two");
        var now = await stage.Records.ReadAsync(old.Key, Token);
        Assert.True(await stage.Records.WriteAsync([new RecordWrite(old.Key, now!.Revision, old.Data)], Token));
        other.Memory.ForgetAll();
        var refused = await Assert.ThrowsAsync<SecretsException>(() => StoreStage.GetAsync(other, "a"));
        Assert.Contains("put back", refused.Problem, StringComparison.Ordinal);
        await Assert.ThrowsAsync<SecretsException>(() => StoreStage.SetAsync(other, "a", "three"));

        // and so does that it is to forget it
        StoreStage.Forget(refused);
        Assert.Equal("one", await StoreStage.GetAsync(other, "a"));
    }

    [Fact]
    public async Task Processes_that_note_at_the_same_time_lose_nothing()
    {
        await using var stage = await StoreStage.CreateAsync();
        var path = stage.Open(seen: "machine").Seen.Path;
        await Task.WhenAll(Enumerable.Range(0, 4).Select(process => Task.Run(() =>
        {
            var seen = new SeenGenerations(path);
            for (var i = 1; i <= 2000; i++)
            {
                // few secrets, so that it is written anew by whoever begins
                seen.Note(((process * 10) + (i % 10)).ToString("x32", System.Globalization.CultureInfo.InvariantCulture), i);
                seen = i % 500 == 0 ? new SeenGenerations(path) : seen;
            }
        })));
        var all = new SeenGenerations(path);
        Assert.Equal(40, all.Ids.Count);
        Assert.All(all.Ids, id => Assert.InRange(all.Get(id), 1991, 2000));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_secret_that_is_gone_or_was_put_back_is_noticed_by_whoever_has_seen_it_and_looks_at_all(bool isGone)
    {
        await using var stage = await StoreStage.CreateAsync();
        await StoreStage.SetAsync(stage.Open(seen: "machine"), "a", "one");
        var old = await stage.Records.ListAsync(RecordKind.Secret, "", null, Token).SingleAsync(Token);
        await StoreStage.SetAsync(stage.Open(seen: "machine"), "a", "two");
        await StoreStage.SetAsync(stage.Open(seen: "machine"), "b", "value");
        Assert.Equal(2, (await stage.Open(seen: "machine").ListAsync(Token)).Count);

        var now = await stage.Records.ReadAsync(old.Key, Token);
        Assert.True(await stage.Records.WriteAsync([new RecordWrite(old.Key, now!.Revision, isGone ? (ReadOnlyMemory<byte>?)null : old.Data)], Token));
        var expected = isGone ? "lost a secret" : "put back";
        var refused = await Assert.ThrowsAsync<SecretsException>(async () => await stage.Open(seen: "machine").ListAsync(Token));
        Assert.Contains(expected, refused.Problem, StringComparison.Ordinal);
        var findings = await StoreInspection.InspectAsync(stage.Open(seen: "machine"), Token);
        Assert.Contains(expected, Assert.Single(findings, static finding => finding.Level == FindingLevel.Error).What, StringComparison.Ordinal);

        // a fresh machine can't know, and one that is told to forget it neither
        Assert.Equal(isGone ? 1 : 2, (await stage.Open().ListAsync(Token)).Count);
        StoreStage.Forget(refused);
        Assert.Equal(isGone ? 1 : 2, (await stage.Open(seen: "machine").ListAsync(Token)).Count);
    }

    [Fact]
    public async Task A_change_that_is_made_is_said_to_be_also_where_it_cant_be_noted_that_it_was_seen()
    {
        await using var stage = await StoreStage.CreateAsync();
        await StoreStage.SetAsync(stage.Open(seen: "machine"), "a", "one");
        var records = new ForgetfulRecords(stage.Records);
        var store = stage.Open(seen: "machine", records: records);
        Assert.Equal("one", await StoreStage.GetAsync(store, "a"));
        records.BeforeWrite = () =>
        {
            File.Delete(store.Seen.Path);
            Directory.CreateDirectory(store.Seen.Path);
            return Task.CompletedTask;
        };
        var refused = await Assert.ThrowsAsync<SecretsException>(() => StoreStage.SetAsync(store, "a", "two"));
        Assert.Contains("'a' was changed in", refused.Problem, StringComparison.Ordinal);
        Assert.DoesNotContain("nothing was changed", refused.Message, StringComparison.Ordinal);
        Assert.Equal("two", await StoreStage.GetAsync(stage.Open(), "a"));
        Assert.DoesNotContain(stage.Told, static told => told.Kind == LedgerKind.Aborted);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(100)]
    public async Task A_secret_is_set_where_only_values_are_left_of_one_that_is_gone(int left)
    {
        await using var stage = await StoreStage.CreateAsync();
        var store = stage.Open();
        var id = (await store.Root.OpenAsync(Token)).IdOf(SecretName.Parse("a"));
        for (var i = 1; i <= left; i++)
        {
            Assert.True(await stage.Records.WriteAsync([new RecordWrite(StoreSealing.KeyOf(id, i), Expected: null, "{}"u8.ToArray())], Token));
        }

        Assert.Equal(1, await StoreStage.SetAsync(store, "a", "one"));
        Assert.Equal("one", await StoreStage.GetAsync(stage.Open(), "a"));
        Assert.Equal(2, await StoreStage.SetAsync(store, "a", "two"));
        Assert.Equal(2, await stage.Records.ListAsync(RecordKind.Version, "", before: null, Token).CountAsync(Token));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_secret_that_is_gone_or_damaged_keeps_no_other_from_being_rotated(bool isGone)
    {
        var clock = new FakeTimeProvider(DateTimeOffset.UtcNow);
        await using var stage = await StoreStage.CreateAsync(clock: clock);
        var store = stage.Open(seen: "machine", clock: clock);
        var runner = new RotationRunner(store, []);
        foreach (var name in new[] { "a", "b", "c" })
        {
            await StoreStage.SetAsync(store, name, "value");
            await runner.SetPolicyAsync(name, new RotationPolicy { Rotator = "generate", Every = TimeSpan.FromDays(30) }, Token);
        }

        clock.Advance(TimeSpan.FromDays(31));
        var head = await stage.Records.ReadAsync(new RecordKey(RecordKind.Secret, (await store.Root.OpenAsync(Token)).IdOf(SecretName.Parse("b"))), Token);
        Assert.True(await stage.Records.WriteAsync([new RecordWrite(head!.Key, head.Revision, isGone ? null : (ReadOnlyMemory<byte>?)"{}"u8.ToArray())], Token));
        var done = await runner.RunDueAsync(Token);
        Assert.Equal(["a", "c"], done.Where(static one => one.Action == RotationAction.Rotated).Select(static one => one.Name), StringComparer.Ordinal);
        var failed = Assert.Single(done, static one => one.Action == RotationAction.Failed);
        Assert.Equal(store.Describe(), failed.Name);
        Assert.NotNull(failed.Error);
    }

    [Fact]
    public async Task A_value_that_is_gone_is_a_fault_and_not_absent()
    {
        await using var stage = await StoreStage.CreateAsync();
        await StoreStage.SetAsync(stage.Open(), "a", "one");
        var value = await stage.Records.ListAsync(RecordKind.Version, "", null, Token).SingleAsync(Token);
        Assert.True(await stage.Records.WriteAsync([new RecordWrite(value.Key, value.Revision, Data: null)], Token));
        var refused = await Assert.ThrowsAsync<SecretsException>(() => StoreStage.GetAsync(stage.Open(), "a"));
        Assert.Contains("lost the value of version 1 of 'a'", refused.Problem, StringComparison.Ordinal);
        await Assert.ThrowsAsync<SecretsException>(async () => await stage.Open().ReadAsync("a", Token));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_somebody_has_put_where_the_next_value_goes_does_not_take_its_place(bool isOneOfOurs)
    {
        await using var stage = await StoreStage.CreateAsync();
        await StoreStage.SetAsync(stage.Open(), "a", "one");
        var first = await stage.Records.ListAsync(RecordKind.Version, "", null, Token).SingleAsync(Token);
        var next = new RecordKey(RecordKind.Version, first.Key.Id[..^1] + "2");
        Assert.True(await stage.Records.WriteAsync([new RecordWrite(next, Expected: null, isOneOfOurs ? first.Data : "{}"u8.ToArray())], Token));
        Assert.Equal("one", await StoreStage.GetAsync(stage.Open(), "a"));
        Assert.Equal(2, await StoreStage.SetAsync(stage.Open(), "a", "two"));
        Assert.Equal("two", await StoreStage.GetAsync(stage.Open(), "a"));
        Assert.Equal(3, await StoreStage.SetAsync(stage.Open(), "a", "three"));
        Assert.Equal("three", await StoreStage.GetAsync(stage.Open(), "a"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_secret_whose_value_is_lost_is_set_again_and_is_whole_from_then_on(bool isAltered)
    {
        await using var stage = await StoreStage.CreateAsync();
        await StoreStage.SetAsync(stage.Open(), "a", "one");
        await StoreStage.SetAsync(stage.Open(), "a", "two");
        await LoseAsync("1");
        Assert.Equal("two", await StoreStage.GetAsync(stage.Open(), "a"));

        // which one would come back is not for the program to choose
        var runner = new RotationRunner(stage.Open(), []);
        var refused = await Assert.ThrowsAnyAsync<SecretsException>(async () => await runner.RollBackAsync("a", cancellationToken: Token));
        Assert.DoesNotContain("no earlier version", refused.Problem, StringComparison.Ordinal);
        Assert.Equal(3, await StoreStage.SetAsync(stage.Open(), "a", "three"));
        await LoseAsync("3");
        await Assert.ThrowsAnyAsync<SecretsException>(() => StoreStage.GetAsync(stage.Open(), "a"));
        Assert.Equal(4, await StoreStage.SetAsync(stage.Open(), "a", "four"));
        Assert.Equal("four", await StoreStage.GetAsync(stage.Open(), "a"));
        var whole = await stage.Open().ReadAsync("a", Token);
        Assert.Equal([2, 4], whole!.Record.Versions.Where(static version => version.Value is not null).Select(static version => version.Number));
        GC.KeepAlive(whole.Owner);
        Assert.Contains(stage.Told, static told => told is { Version: 4, Note: "the store had lost the value of version 3" });
        await stage.Open().RemoveAsync(SecretName.Parse("a"), Token);
        Assert.Null(await StoreStage.GetAsync(stage.Open(), "a"));

        async Task LoseAsync(string number)
        {
            var value = await stage.Records.ListAsync(RecordKind.Version, "", null, Token).SingleAsync(record => record.Key.Id.EndsWith('0' + number, StringComparison.Ordinal), Token);
            Assert.True(await stage.Records.WriteAsync([new RecordWrite(value.Key, value.Revision, isAltered ? "{}"u8.ToArray() : null)], Token));
        }
    }

    [Fact]
    public async Task A_head_that_names_no_ledger_as_older_programs_write_it_opens()
    {
        await using var stage = await StoreStage.CreateAsync();
        await StoreStage.SetAsync(stage.Open(), "a", "one");
        var sealing = await new StoreRoot(stage.Records, stage.Key).OpenAsync(Token);
        var found = await stage.Records.ListAsync(RecordKind.Secret, "", null, Token).SingleAsync(Token);
        var context = new SealContext("secret", found.Key.Id);
        var head = new SecuredModel<SecretHead>("secret", StoreJson.Default.SecretHead, sealing.Deployment).Open(found.Data, context);
        using var record = JsonDocument.Parse(head.Record.Utf8);
        var written = new SecuredModel<HeadOfBefore>("secret", HeadOfBeforeJson.Default.HeadOfBefore, sealing.Deployment).Seal(
            new HeadOfBefore { Name = head.Name, Generation = head.Generation, Write = head.Write, Record = record.RootElement }, context);
        Assert.DoesNotContain(sealing.Deployment.Index.FieldId("secret", "recorded").ToString(), Encoding.UTF8.GetString(written.Json.Span), StringComparison.Ordinal);
        Assert.True(await stage.Records.WriteAsync([new RecordWrite(found.Key, found.Revision, written.Json)], Token));
        Assert.Equal("one", await StoreStage.GetAsync(stage.Open(), "a"));
        Assert.Equal(2, await StoreStage.SetAsync(stage.Open(), "a", "two"));
        Assert.Empty((await StoreStatus.ReadAsync(stage.Open(), Token)).Silent);
    }

    [Fact]
    public async Task Another_stores_key_opens_nothing()
    {
        await using var stage = await StoreStage.CreateAsync();
        using var other = StoreKey.Generate();
        var error = await Assert.ThrowsAsync<VaultOpenException>(async () => await new StoreRoot(stage.Records, other).OpenAsync(Token));
        Assert.Contains("does not open", error.Problem, StringComparison.Ordinal);
        await Assert.ThrowsAsync<SecretsException>(async () => await new StoreRoot(stage.Records, other).CreateAsync(TimeProvider.System, Token));
        await Assert.ThrowsAsync<VaultOpenException>(async () => await new StoreRoot(new MemoryRecordStore(), other).OpenAsync(Token));
    }

    [Fact]
    public async Task Of_instances_that_make_a_store_at_the_same_time_one_succeeds()
    {
        await using var records = new MemoryRecordStore();
        var keys = Enumerable.Range(0, 8).Select(static _ => StoreKey.Generate()).ToList();
        var made = await Task.WhenAll(keys.Select(key => Task.Run(
            async () =>
            {
                try
                {
                    await new StoreRoot(records, key).CreateAsync(TimeProvider.System, Token);
                    return true;
                }
                catch (SecretsException)
                {
                    return false;
                }
            },
            Token)));
        Assert.Single(made, true);
        await new StoreRoot(records, keys[Array.IndexOf(made, true)]).OpenAsync(Token);
    }

    [Fact]
    public async Task A_change_is_seen_by_who_follows()
    {
        await using var stage = await StoreStage.CreateAsync();
        var (writer, reader) = (stage.Open(), stage.Open(follows: true));
        await StoreStage.SetAsync(writer, "a", "one");
        Assert.Equal("one", await StoreStage.GetAsync(reader, "a"));
        for (var i = 0; i < 20; i++)
        {
            var stamp = reader.Memory.GetChangeStamp(Environment.TickCount64);
            await StoreStage.SetAsync(writer, "a", $"value {i}");
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(10));
            while (reader.Memory.GetChangeStamp(Environment.TickCount64) == stamp || await StoreStage.GetAsync(reader, "a") != $"value {i}")
            {
                await Task.Delay(1, patience.Token);
            }
        }
    }
}

/// <summary>A head without what came to it later.</summary>
internal sealed record HeadOfBefore
{
    [Secured(Obfuscation.Encrypted)]
    public required string Name { get; init; }

    [Secured(Obfuscation.Encrypted)]
    public required long Generation { get; init; }

    [Secured(Obfuscation.Encrypted)]
    public required string Write { get; init; }

    [Secured(Obfuscation.Encrypted)]
    public required JsonElement Record { get; init; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(HeadOfBefore))]
internal sealed partial class HeadOfBeforeJson : JsonSerializerContext;
