using System.Text;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Rotation;
using Mallku.Secrets.Sources;
using Mallku.Secrets.Tests;
using Mallku.Secrets.Vault;
using Microsoft.Extensions.Time.Testing;

namespace Mallku.Secrets.Stores.Tests;

/// <summary>What instances tell a shared store of their ledgers, and what is noticed of it.</summary>
[Collection(Machines.Name)]
public sealed class StoreLedgerTests : IAsyncDisposable
{
    private readonly Machines _machines = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public ValueTask DisposeAsync() => _machines.DisposeAsync();

    [Fact]
    public async Task Each_use_and_change_by_any_machine_is_told_in_the_order_of_time()
    {
        var (one, other) = await UseAsync();
        var third = await _machines.OpenAsync("third");

        var told = await third.StoreLedger!.ReadAsync(cancellationToken: Token).ToListAsync(Token);
        Assert.Equal(
            ["created openai_api_key", "updated openai_api_key", "read openai_api_key"],
            told.Where(static one => one.Entry.Secret is not null).Select(static one => $"{one.Entry.KindText} {one.Entry.Secret}"),
            StringComparer.Ordinal);
        Assert.Equal(told.Select(static one => one.Entry.Time).Order(), told.Select(static one => one.Entry.Time));
        Assert.Equal(2, told.Select(static one => one.Instance.Id).Distinct(StringComparer.Ordinal).Count());
        Assert.Equal(
            new[] { await one.Ledger.GetPublicKeyAsync(Token), await other.Ledger.GetPublicKeyAsync(Token) }.Order(StringComparer.Ordinal),
            (await third.StoreLedger.ListInstancesAsync(Token)).Select(static instance => instance.PublicKey).Order(StringComparer.Ordinal));

        var use = Assert.Single(await third.StoreLedger.ReportAsync(cancellationToken: Token));
        Assert.Equal(("openai_api_key", 2, 1L), (use.Name, use.Version, use.Count));
        Assert.Equal(2, await CountSoundAsync(third));

        // what was told is not told again
        Assert.Equal(0, await one.StoreLedger!.TellAsync(Token));
        Assert.Empty(await third.StoreLedger.ReadAsync(DateTimeOffset.UtcNow.AddMinutes(1), cancellationToken: Token).ToListAsync(Token));
    }

    [Fact]
    public async Task Nothing_is_called_put_back_while_other_processes_of_the_machine_go_on()
    {
        await UseAsync();
        using var done = new CancellationTokenSource();
        var busy = await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => _machines.OpenAsync("one")));
        var working = busy.Select(process => Task.Run(
            async () =>
            {
                var told = 0L;
                while (!done.IsCancellationRequested)
                {
                    await process.WithPurpose("again").GetRequiredAsync("openai_api_key", Token);
                    told += await process.StoreLedger!.TellAsync(Token);
                }

                return told;
            },
            Token)).ToList();
        for (var i = 0; i < 40; i++)
        {
            // each knows what its machine has seen by then, as a command does
            var verified = await (await _machines.OpenAsync("one")).StoreLedger!.VerifyAsync(cancellationToken: Token);
            Assert.Equal(2, verified.Count);
            Assert.All(verified, static found => Assert.Null(found.Fault));
        }

        await done.CancelAsync();
        Assert.True((await Task.WhenAll(working)).Sum() > 0);
    }

    [Fact]
    public async Task Machines_whose_ledgers_have_pseudonyms_are_counted_together_under_the_secrets_names()
    {
        var (one, other) = await UseAsync();
        foreach (var machine in new[] { one, other })
        {
            await VaultNames.SwitchAsync(machine.Vault, toPseudonyms: true, Token);
            await machine.RefreshAsync(Token);
            using var value = SecretValue.FromString("sk-shared");
            await machine.SetAsync("openai_api_key", value, cancellationToken: Token);
            await machine.GetRequiredAsync("openai_api_key", Token);
            await machine.GetAsync("nowhere", Token);
            await machine.FlushAsync(Token);
            await machine.StoreLedger!.TellAsync(Token);
        }

        await one.RemoveAsync("openai_api_key", Token);
        await one.StoreLedger!.TellAsync(Token);
        var third = await _machines.OpenAsync("third");
        Assert.Equal(3, Assert.Single(await third.StoreLedger!.ReportAsync(cancellationToken: Token)).Count);
        var told = await third.StoreLedger.ReadAsync(cancellationToken: Token).Where(static one => one.Entry.Secret is not null).ToListAsync(Token);
        Assert.Equal(3 + 2 + 2 + 1, told.Count(static one => one.Entry.Secret == "openai_api_key"));

        // each machine has its own, and what is in no store's list of names stays what it is
        Assert.Equal(2, told.Where(static one => one.Entry.Kind == LedgerKind.Updated && one.Entry.Pseudonym is not null).Select(static one => one.Entry.Pseudonym).Distinct(StringComparer.Ordinal).Count());
        Assert.All(told.Where(static one => one.Entry.Kind == LedgerKind.Missing), static one => Assert.True(NamePseudonyms.IsPseudonym(one.Entry.Secret!)));
        Assert.Equal(2, await CountSoundAsync(third));
        await foreach (var record in _machines.Records.ListAsync(RecordKind.Instance, "", before: null, Token))
        {
            Assert.DoesNotContain("pseudonym", Encoding.UTF8.GetString(record.Data.Span), StringComparison.OrdinalIgnoreCase);
        }
    }

    [Fact]
    public async Task The_medium_sees_no_name_no_host_and_no_user_of_it()
    {
        await UseAsync();
        var actor = LedgerActors.Current;
        foreach (var kind in new[] { RecordKind.Instance, RecordKind.Audit })
        {
            var records = await _machines.Records.ListAsync(kind, "", before: null, Token).ToListAsync(Token);
            Assert.NotEmpty(records);
            Assert.All(records, record =>
            {
                var text = Encoding.UTF8.GetString(record.Data.Span) + record.Key.Id;
                Assert.All(["openai_api_key", $"\"{actor.Host}\"", $"\"{actor.User}\"", $"\"{actor.Process}\"", "mallku-ledger", "checkpoint"], word => Assert.DoesNotContain(word, text, StringComparison.Ordinal));
            });
        }
    }

    [Fact]
    public async Task What_a_machine_does_with_its_own_vault_is_no_business_of_the_others()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("private_key", "value");
        var manager = await _machines.OpenAsync("one", folder.Options);
        using var value = SecretValue.FromString("sk-shared");
        await manager.SetAsync("shared_key", value, cancellationToken: Token);
        await manager.GetRequiredAsync("private_key", Token);
        await manager.GetRequiredAsync("shared_key", Token);
        await manager.FlushAsync(Token);
        await manager.StoreLedger!.TellAsync(Token);

        var told = await (await _machines.OpenAsync("other")).StoreLedger!.ReadAsync(cancellationToken: Token).ToListAsync(Token);
        Assert.Contains(told, static one => one.Entry is { Kind: LedgerKind.Read, Secret: "shared_key" });
        Assert.DoesNotContain(told, static one => one.Entry.Secret == "private_key");
        Assert.Equal(1, await CountSoundAsync(manager));
        Assert.Equal((await manager.Vault.ViewLedgerAsync(Token))!.Newest.Size, Assert.Single(await manager.StoreLedger.ListInstancesAsync(Token)).Entries);
    }

    [Fact]
    public async Task What_is_more_than_one_record_takes_is_told_in_several()
    {
        var manager = await _machines.OpenAsync("one");
        await manager.Vault.RecordAsync([.. Enumerable.Range(0, 5000).Select(static i => new LedgerEvent(LedgerKind.Read, $"key_{i}", 1, "store", "test"))], Token);
        // another one of this machine tells it at the same time
        var again = await _machines.OpenAsync("one");
        var counts = await Task.WhenAll(manager.StoreLedger!.TellAsync(Token).AsTask(), again.StoreLedger!.TellAsync(Token).AsTask());

        Assert.Equal((await manager.Vault.ViewLedgerAsync(Token))!.Newest.Size, counts.Sum());
        Assert.True(await _machines.Records.ListAsync(RecordKind.Audit, "", before: null, Token).CountAsync(Token) > 4);
        Assert.Equal(1, await CountSoundAsync(manager));
        Assert.Equal(
            Enumerable.Range(0, 5000).Select(static i => $"key_{i}"),
            await manager.StoreLedger.ReadAsync(cancellationToken: Token).Where(static one => one.Entry.Secret is not null).Select(static one => one.Entry.Secret!).ToListAsync(Token),
            StringComparer.Ordinal);
    }

    [Fact]
    public async Task Whoever_runs_tells_it_by_himself()
    {
        var clock = new FakeTimeProvider(DateTimeOffset.UtcNow);
        var manager = await _machines.OpenAsync("one", new SecretsOptions { TimeProvider = clock });
        using var value = SecretValue.FromString("sk-shared");
        await manager.SetAsync("key", value, cancellationToken: Token);
        await manager.GetRequiredAsync("key", Token);
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while ((await manager.StoreLedger!.ListInstancesAsync(Token)) is not [{ Entries: > 1 }])
        {
            clock.Advance(TimeSpan.FromSeconds(8));
            await Task.Delay(10, patience.Token);
        }

        await manager.FlushAsync(Token);
    }

    [Fact]
    public async Task A_record_that_is_altered_or_gone_or_of_another_instance_is_named()
    {
        await UseAsync();
        var batches = await _machines.Records.ListAsync(RecordKind.Audit, "", before: null, Token).ToListAsync(Token);
        Assert.True(batches.Count >= 2);
        var original = _machines.Records;
        foreach (var batch in batches)
        {
            Func<StoredRecord, ReadOnlyMemory<byte>?>[] damages =
            [
                record => record.Key == batch.Key ? null : record.Data,
                record => record.Key == batch.Key ? Flip(record.Data) : record.Data,
                record => record.Key == batch.Key ? batches.First(other => other != batch).Data : record.Data,
            ];
            foreach (var damage in damages)
            {
                await _machines.TamperAsync(original, damage);
                var found = await (await _machines.OpenAsync("third")).StoreLedger!.VerifyAsync(cancellationToken: Token);
                var fault = Assert.Single(found, static one => one.Fault is not null);
                Assert.StartsWith(fault.Id, batch.Key.Id, StringComparison.Ordinal);
            }
        }

        foreach (var instance in await original.ListAsync(RecordKind.Instance, "", before: null, Token).ToListAsync(Token))
        {
            await _machines.TamperAsync(original, record => record.Key == instance.Key ? Flip(record.Data) : record.Data);
            var found = await (await _machines.OpenAsync("third")).StoreLedger!.VerifyAsync(cancellationToken: Token);
            Assert.Equal(instance.Key.Id, Assert.Single(found, static one => one.Fault is not null).Id);
        }
    }

    [Fact]
    public async Task A_log_that_shrinks_or_is_lost_is_named_by_who_has_seen_more()
    {
        var (one, _) = await UseAsync();
        var before = _machines.Records;
        var older = new Dictionary<RecordKey, ReadOnlyMemory<byte>>();
        foreach (var kind in new[] { RecordKind.Instance, RecordKind.Audit })
        {
            await foreach (var record in before.ListAsync(kind, "", before: null, Token))
            {
                older.Add(record.Key, record.Data);
            }
        }

        await one.RefreshAsync(Token);
        await one.GetRequiredAsync("openai_api_key", Token);
        await one.FlushAsync(Token);
        Assert.True(await one.StoreLedger!.TellAsync(Token) > 0);
        var auditor = await _machines.OpenAsync("auditor");
        Assert.Equal(2, await CountSoundAsync(auditor));

        await _machines.TamperAsync(before, record => record.Key.Kind is RecordKind.Instance or RecordKind.Audit
            ? older.TryGetValue(record.Key, out var data) ? data : (ReadOnlyMemory<byte>?)null
            : record.Data);
        var shrunk = Assert.Single(await (await _machines.OpenAsync("auditor")).StoreLedger!.VerifyAsync(cancellationToken: Token), static found => found.Fault is not null);
        Assert.Contains("was put back", shrunk.Fault!.Problem, StringComparison.Ordinal);
        await Assert.ThrowsAsync<SecretsException>(async () => await (await _machines.OpenAsync("one")).StoreLedger!.TellAsync(Token));

        await _machines.TamperAsync(before, static record => record.Key.Kind is RecordKind.Instance or RecordKind.Audit ? null : record.Data);
        var lost = await (await _machines.OpenAsync("auditor")).StoreLedger!.VerifyAsync(cancellationToken: Token);
        Assert.Equal(2, lost.Count(static found => found.Fault?.Problem.Contains("has nothing any more of the instance", StringComparison.Ordinal) == true));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task After_a_backup_of_the_database_was_put_back_each_machine_goes_on_by_what_its_error_says(bool hasResealed)
    {
        var (one, other) = await UseAsync();
        var backup = new Dictionary<RecordKey, ReadOnlyMemory<byte>>();
        foreach (var kind in Enum.GetValues<RecordKind>())
        {
            await foreach (var record in _machines.Records.ListAsync(kind, "", before: null, Token))
            {
                backup.Add(record.Key, record.Data);
            }
        }

        using var value = SecretValue.FromString("sk-later");
        await one.SetAsync("openai_api_key", value, cancellationToken: Token);
        await other.SetAsync("another", value, cancellationToken: Token);
        if (hasResealed)
        {
            await one.Store!.ResealAsync(progress: null, Token);
        }

        foreach (var machine in new[] { one, other })
        {
            await machine.RefreshAsync(Token);
            await machine.GetRequiredAsync("openai_api_key", Token);
            await machine.FlushAsync(Token);
            await machine.StoreLedger!.TellAsync(Token);
        }

        Assert.Equal(2, await CountSoundAsync(one));
        Assert.Equal(2, await CountSoundAsync(other));
        await _machines.TamperAsync(_machines.Records, record => backup.TryGetValue(record.Key, out var data) ? data : (ReadOnlyMemory<byte>?)null);
        var remedies = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var name in new[] { "one", "other" })
        {
            var machine = await _machines.OpenAsync(name);
            var refused = await Assert.ThrowsAnyAsync<SecretsException>(async () => await machine.GetAsync("openai_api_key", Token));
            var untold = await Assert.ThrowsAnyAsync<SecretsException>(async () => await machine.StoreLedger!.TellAsync(Token));
            Assert.EndsWith("/seen*", refused.Remedy, StringComparison.Ordinal);
            Assert.EndsWith("/seen*", untold.Remedy, StringComparison.Ordinal);
            if (!hasResealed)
            {
                var faults = (await machine.StoreLedger!.VerifyAsync(cancellationToken: Token)).Where(static found => found.Fault is not null).ToList();
                Assert.NotEmpty(faults);
                Assert.All(faults, static found => Assert.EndsWith("/seen*", found.Fault!.Remedy, StringComparison.Ordinal));
            }

            remedies.Add(name, refused.Remedy);
        }

        foreach (var (name, remedy) in remedies)
        {
            StoreStage.Forget(remedy);
            var machine = await _machines.OpenAsync(name);
            Assert.Equal(name == "one" ? "sk-shared" : "sk-again", (await machine.GetRequiredAsync("openai_api_key", Token)).RevealString());

            await machine.SetAsync("openai_api_key", value, cancellationToken: Token);
            await machine.RemoveAsync("openai_api_key", Token);
            using var again = SecretValue.FromString("sk-again");
            await machine.SetAsync("openai_api_key", again, cancellationToken: Token);
            await machine.FlushAsync(Token);
            Assert.True(await machine.StoreLedger!.TellAsync(Token) > 0);
        }

        foreach (var name in new[] { "one", "other", "third" })
        {
            Assert.Equal(2, await CountSoundAsync(await _machines.OpenAsync(name)));
        }
    }

    [Fact]
    public async Task A_machine_that_changes_secrets_and_does_not_tell_is_named_after_a_while()
    {
        var (one, _) = await UseAsync();
        var key = await one.Ledger.GetPublicKeyAsync(Token);
        var id = Assert.Single(await one.StoreLedger!.ListInstancesAsync(Token), instance => instance.PublicKey == key).Id;
        var before = DateTimeOffset.UtcNow;
        using var value = SecretValue.FromString("sk-shared");
        await one.SetAsync("untold", value, cancellationToken: Token);

        // by who has never seen anything of it
        var found = Assert.Single(await VerifyLaterAsync("third", TimeSpan.FromMinutes(4)), static one => one.SilentSince is not null);
        Assert.Equal((id, null), (found.Id, found.Fault));
        Assert.InRange(found.SilentSince!.Value, before, DateTimeOffset.UtcNow);
        found = Assert.Single(await VerifyLaterAsync("fourth", TimeSpan.FromMinutes(6)), static one => one.Fault is not null);
        Assert.Equal(id, found.Id);
        Assert.Contains("does not tell of it", found.Fault!.Problem, StringComparison.Ordinal);
        var status = await StoreStatus.ReadAsync((await _machines.OpenAsync("fifth")).Store!, Token);
        Assert.Equal((id, found.SilentSince), (Assert.Single(status.Silent).Id, status.Silent[0].Since));

        // as is one of which what it told was removed, or everything
        Assert.True(await one.StoreLedger!.TellAsync(Token) > 0);
        Assert.All(await VerifyLaterAsync("sixth", TimeSpan.FromDays(1)), static one => Assert.Equal((null, null), (one.Fault, one.SilentSince)));
        var original = _machines.Records;
        await _machines.TamperAsync(original, record => record.Key.Id.StartsWith(id, StringComparison.Ordinal) ? null : record.Data);
        found = Assert.Single(await VerifyLaterAsync("seventh", TimeSpan.FromMinutes(6)), static one => one.Fault is not null);
        Assert.Equal((id, null), (found.Id, found.Instance));
        Assert.Contains("the store has nothing of its ledger", found.Fault!.Problem, StringComparison.Ordinal);
        Assert.DoesNotContain(await VerifyLaterAsync("eighth", TimeSpan.FromMinutes(4)), static one => one.Fault is not null);
    }

    [Fact]
    public async Task A_log_that_is_put_back_is_named_also_by_who_has_never_seen_more()
    {
        var (one, other) = await UseAsync();
        var audit = await Task.WhenAll(new[] { RecordKind.Instance, RecordKind.Audit }
            .Select(kind => _machines.Records.ListAsync(kind, "", before: null, Token).ToDictionaryAsync(static record => record.Key, static record => record.Data, cancellationToken: Token).AsTask()));
        using var value = SecretValue.FromString("sk-shared");
        await other.SetAsync("another", value, cancellationToken: Token);
        Assert.True(await other.StoreLedger!.TellAsync(Token) > 0);
        Assert.Equal(2, await CountSoundAsync(one));

        await _machines.TamperAsync(_machines.Records, record => record.Key.Kind switch
        {
            RecordKind.Instance => audit[0].GetValueOrDefault(record.Key),
            RecordKind.Audit => audit[1].TryGetValue(record.Key, out var data) ? data : (ReadOnlyMemory<byte>?)null,
            _ => record.Data,
        });
        var found = Assert.Single(await VerifyLaterAsync("third", TimeSpan.FromHours(1)), static one => one.Fault is not null);
        Assert.Equal(await other.Ledger.GetPublicKeyAsync(Token), found.Instance!.PublicKey);
        Assert.Contains("does not tell of it", found.Fault!.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_secret_whose_head_was_altered_is_named_and_keeps_nothing_from_being_verified()
    {
        await UseAsync();
        await _machines.TamperAsync(_machines.Records, static record => record.Key.Kind == RecordKind.Secret ? Flip(record.Data) : record.Data);
        var found = await (await _machines.OpenAsync("third")).StoreLedger!.VerifyAsync(cancellationToken: Token);
        Assert.Contains("who changed a secret last", Assert.Single(found, static one => one.Fault is not null).Fault!.Problem, StringComparison.Ordinal);
        Assert.Equal(2, found.Count(static one => one is { Instance: not null, Fault: null }));
    }

    [Fact]
    public async Task A_secret_that_is_gone_or_was_put_back_is_named_by_a_machine_that_has_seen_it()
    {
        var (one, _) = await UseAsync();
        var old = await _machines.Records.ListAsync(RecordKind.Secret, "", before: null, Token).SingleAsync(Token);
        using var value = SecretValue.FromString("sk-next");
        await one.SetAsync("openai_api_key", value, cancellationToken: Token);
        await one.StoreLedger!.TellAsync(Token);

        // who has only verified has seen it too
        var auditor = await _machines.OpenAsync("auditor");
        Assert.Equal(2, await CountSoundAsync(auditor));
        var original = _machines.Records;
        await _machines.TamperAsync(original, record => record.Key == old.Key ? old.Data : record.Data);
        var found = Assert.Single(await (await _machines.OpenAsync("auditor")).StoreLedger!.VerifyAsync(cancellationToken: Token), static one => one.Fault is not null);
        Assert.Equal(old.Key.Id, found.Id);
        Assert.Contains("older state was put back", found.Fault!.Problem, StringComparison.Ordinal);

        await _machines.TamperAsync(original, static record => record.Key.Kind is RecordKind.Secret or RecordKind.Version ? null : record.Data);
        found = Assert.Single(await (await _machines.OpenAsync("one")).StoreLedger!.VerifyAsync(cancellationToken: Token), static one => one.Fault is not null);
        Assert.Contains("lost a secret", found.Fault!.Problem, StringComparison.Ordinal);
        Assert.Equal(2, await CountSoundAsync(await _machines.OpenAsync("third")));
    }

    [Fact]
    public async Task A_secret_that_was_put_back_is_named_by_the_doctor_which_goes_on_with_the_others()
    {
        var (one, _) = await UseAsync();
        var old = await _machines.Records.ListAsync(RecordKind.Secret, "", before: null, Token).SingleAsync(Token);
        using var value = SecretValue.FromString("sk-next");
        await one.SetAsync("openai_api_key", value, cancellationToken: Token);
        await one.SetAsync("another", value, cancellationToken: Token);
        await one.Store!.ChangeAsync("another", static edit => edit.Record.Policy = new RotationPolicy { Rotator = "generate", Every = TimeSpan.FromDays(1) }, Token);
        await one.StoreLedger!.TellAsync(Token);
        var instance = (await one.StoreLedger.ListInstancesAsync(Token))[0];
        await _machines.TamperAsync(_machines.Records, record => record.Key == old.Key ? old.Data : record.Key == AuditRecords.KeyOf(instance.Id) ? Flip(record.Data) : record.Data);

        var store = (await _machines.OpenAsync("one")).Store!;
        var findings = await StoreInspection.InspectAsync(store, Token);
        Assert.Contains(findings, static finding => finding is { Level: FindingLevel.Ok, Check: StoreInspection.Check } && finding.What.EndsWith(": 1 secret", StringComparison.Ordinal));
        Assert.Contains(findings, static finding => finding.Level == FindingLevel.Error && finding.What.Contains("'openai_api_key' at generation", StringComparison.Ordinal));
        Assert.Contains(findings, finding => finding.Level == FindingLevel.Error && finding.What.Contains(instance.Id, StringComparison.Ordinal));
        Assert.Equal("another", Assert.Single(await RotationReview.ReadAsync(store, static _ => { }, Token)).Name);
        await Assert.ThrowsAsync<SecretsException>(async () => await store.ListAsync(Token));
    }

    [Fact]
    public async Task A_version_that_two_machines_have_made_tells_of_a_put_back_also_to_who_sees_the_store_for_the_first_time()
    {
        var (one, other) = await UseAsync();
        var kept = new Dictionary<RecordKey, ReadOnlyMemory<byte>>();
        foreach (var kind in new[] { RecordKind.Secret, RecordKind.Version })
        {
            await foreach (var record in _machines.Records.ListAsync(kind, "", before: null, Token))
            {
                kept.Add(record.Key, record.Data);
            }
        }

        using var value = SecretValue.FromString("sk-next");
        await one.SetAsync("openai_api_key", value, cancellationToken: Token);
        await one.StoreLedger!.TellAsync(Token);
        Assert.All(await other.StoreLedger!.VerifyAsync(cancellationToken: Token), static found => Assert.Empty(found.Oddities));
        await _machines.TamperAsync(_machines.Records, record => record.Key.Kind is RecordKind.Secret or RecordKind.Version
            ? kept.TryGetValue(record.Key, out var data) ? data : (ReadOnlyMemory<byte>?)null
            : record.Data);
        var third = await _machines.OpenAsync("third");
        await third.Vault.EnsureMadeAsync(Token);
        await VaultNames.SwitchAsync(third.Vault, toPseudonyms: true, Token);
        await third.RefreshAsync(Token);
        await third.SetAsync("openai_api_key", value, cancellationToken: Token);
        await third.StoreLedger!.TellAsync(Token);

        var found = Assert.Single(await (await _machines.OpenAsync("fourth")).StoreLedger!.VerifyAsync(cancellationToken: Token), static one => one.Oddities.Count > 0);
        Assert.Equal((await third.Ledger.GetPublicKeyAsync(Token), null), (found.Instance!.PublicKey, found.Fault));
        Assert.Contains("version 3 of 'openai_api_key' was made by", Assert.Single(found.Oddities), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_only_changes_secrets_tells_it_too()
    {
        var clock = new FakeTimeProvider(DateTimeOffset.UtcNow);
        var manager = await _machines.OpenAsync("one", new SecretsOptions { TimeProvider = clock });
        using var value = SecretValue.FromString("sk-shared");
        await manager.SetAsync("key", value, cancellationToken: Token);
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while ((await manager.StoreLedger!.ListInstancesAsync(Token)) is not [{ Entries: > 1 }])
        {
            clock.Advance(TimeSpan.FromSeconds(8));
            await Task.Delay(10, patience.Token);
        }
    }

    [Fact]
    public async Task Who_has_the_stores_key_can_not_make_another_one_have_said_it()
    {
        await UseAsync();
        var audit = _machines.Audit;
        var original = _machines.Records;
        var heads = await original.ListAsync(RecordKind.Instance, "", before: null, Token).ToListAsync(Token);
        var batch = (await original.ListAsync(RecordKind.Audit, "", before: null, Token).ToListAsync(Token))[0];
        var instance = heads.Single(head => batch.Key.Id.StartsWith(head.Key.Id, StringComparison.Ordinal)).Key.Id;
        var told = audit.OpenBatch(instance, batch);
        var forged = Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(told.Lines).Replace(LedgerActors.Current.Host, "another-host", StringComparison.Ordinal));

        await _machines.TamperAsync(original, record => record.Key == batch.Key ? audit.Seal(instance, AuditRecords.KeyOf(instance, 0), told with { Lines = forged }).Data : record.Data);
        var found = await (await _machines.OpenAsync("third")).StoreLedger!.VerifyAsync(cancellationToken: Token);
        Assert.Contains("not those that it signed", Assert.Single(found, static one => one.Fault is not null).Fault!.Problem, StringComparison.Ordinal);

        // and what nobody has signed is no entry of his
        await _machines.TamperAsync(original, record => record.Key == batch.Key ? audit.Seal(instance, AuditRecords.KeyOf(instance, 0), told with { Lines = forged, Checkpoint = null }).Data : record.Data);
        found = await (await _machines.OpenAsync("third")).StoreLedger!.VerifyAsync(cancellationToken: Token);
        Assert.Contains(found, static one => one.Fault is not null || one.NotSigned > 0);
    }

    [Fact]
    public async Task An_older_ledger_and_one_that_was_archived_too_soon_are_told()
    {
        var manager = await _machines.OpenAsync("one");
        using var value = SecretValue.FromString("sk-shared");
        await manager.SetAsync("key", value, cancellationToken: Token);
        var session = manager.Vault.Ledger.Find((await manager.Vault.OpenAsync(Token)).Document)!;
        session.CloseSegment();
        await manager.SetAsync("key", value, cancellationToken: Token);
        var ledger = manager.Vault.Ledger.Folder;
        var first = ledger.SegmentFile(0);
        File.Move(first, first + ".archived");
        var early = await Assert.ThrowsAsync<LedgerException>(async () => await manager.StoreLedger!.TellAsync(Token));
        Assert.Contains("archived before", early.Problem, StringComparison.Ordinal);
        File.Move(first + ".archived", first);
        Assert.True(await manager.StoreLedger!.TellAsync(Token) > 0);
        Assert.Equal(1, await CountSoundAsync(manager));
    }

    [Fact]
    public async Task Batches_of_which_the_store_knows_nothing_are_named_by_who_has_never_seen_it()
    {
        var (_, other) = await UseAsync();
        var original = _machines.Records;
        var key = await other.Ledger.GetPublicKeyAsync(Token);
        var instances = await other.StoreLedger!.ListInstancesAsync(Token);
        var reader = Assert.Single(instances, instance => instance.PublicKey == key);

        // what is known of a reader is removed, and of everybody
        await _machines.TamperAsync(original, record => record.Key == AuditRecords.KeyOf(reader.Id) ? null : record.Data);
        var fault = Assert.Single(await (await _machines.OpenAsync("third")).StoreLedger!.VerifyAsync(cancellationToken: Token), static one => one.Fault is not null);
        Assert.Equal((reader.Id, null), (fault.Id, fault.Instance));
        Assert.Contains("what the store knew of it was removed", fault.Fault!.Problem, StringComparison.Ordinal);
        await _machines.TamperAsync(original, static record => record.Key.Kind == RecordKind.Instance ? null : record.Data);
        var faults = await (await _machines.OpenAsync("fourth")).StoreLedger!.VerifyAsync(cancellationToken: Token);
        Assert.Equal(instances.Select(static one => one.Id), faults.Where(static one => one.Fault is not null).Select(static one => one.Id).Order(StringComparer.Ordinal), StringComparer.Ordinal);

        // and what nobody has told is named, wherever it lies
        foreach (var id in new[] { "-", "zz.0", "zz.1", "zzz", reader.Id, reader.Id + "-x.1", AuditRecords.KeyOf(reader.Id, reader.Entries).Id, AuditRecords.KeyOf(reader.Id, long.MaxValue).Id })
        {
            await _machines.TamperAsync(original, static record => record.Data);
            Assert.True(await _machines.Records.WriteAsync([new RecordWrite(new(RecordKind.Audit, id), Expected: null, "{}"u8.ToArray())], Token));
            fault = Assert.Single(await (await _machines.OpenAsync("fifth")).StoreLedger!.VerifyAsync(cancellationToken: Token), static one => one.Fault is not null);
            Assert.Contains(id, fault.Fault!.Problem, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task What_is_told_while_it_is_verified_is_no_fault()
    {
        var (one, other) = await UseAsync();
        var telling = Task.Run(
            async () =>
            {
                for (var i = 0; i < 300; i++)
                {
                    await one.GetRequiredAsync("openai_api_key", Token);
                    await one.FlushAsync(Token);
                    await one.StoreLedger!.TellAsync(Token);
                }
            },
            Token);
        do
        {
            Assert.All(await other.StoreLedger!.VerifyAsync(cancellationToken: Token), static found => Assert.Null(found.Fault));
        }
        while (!telling.IsCompleted);

        await telling;
    }

    [Fact]
    public async Task Who_has_lost_what_it_knew_of_a_store_that_has_lost_its_head_goes_on_past_its_own_entries()
    {
        var (one, _) = await UseAsync();
        var key = await one.Ledger.GetPublicKeyAsync(Token);
        var instance = Assert.Single(await one.StoreLedger!.ListInstancesAsync(Token), instance => instance.PublicKey == key);
        await _machines.TamperAsync(_machines.Records, record => record.Key == AuditRecords.KeyOf(instance.Id) ? null : record.Data);
        foreach (var file in Directory.GetFiles(_machines.StateOf("one"), "seen-instances*", SearchOption.AllDirectories))
        {
            File.Delete(file);
        }

        var again = await _machines.OpenAsync("one");
        await again.GetRequiredAsync("openai_api_key", Token);
        await again.FlushAsync(Token);
        Assert.Equal(1, await again.StoreLedger!.TellAsync(Token));
        Assert.Equal(2, await CountSoundAsync(again));
    }

    private static ReadOnlyMemory<byte> Flip(ReadOnlyMemory<byte> data)
    {
        // within the base64 of a ciphertext, where the JSON stays one
        var text = Encoding.UTF8.GetString(data.Span);
        var at = text.LastIndexOf('"') - 8;
        return Encoding.UTF8.GetBytes(text[..at] + (text[at] == 'A' ? 'B' : 'A') + text[(at + 1)..]);
    }

    private async Task<IReadOnlyList<InstanceVerification>> VerifyLaterAsync(string machine, TimeSpan later)
    {
        var clock = new FakeTimeProvider(DateTimeOffset.UtcNow + later);
        return await (await _machines.OpenAsync(machine, new SecretsOptions { TimeProvider = clock })).StoreLedger!.VerifyAsync(cancellationToken: Token);
    }

    private static async Task<int> CountSoundAsync(SecretsManager manager)
    {
        var found = await manager.StoreLedger!.VerifyAsync(cancellationToken: Token);
        Assert.All(found, static one => Assert.Null(one.Fault));
        Assert.All(found, static one => Assert.Equal(0, one.NotSigned));
        return found.Count;
    }

    // one machine sets and sets again, another one reads
    private async Task<(SecretsManager One, SecretsManager Other)> UseAsync()
    {
        var (one, other) = (await _machines.OpenAsync("one"), await _machines.OpenAsync("other"));
        using var value = SecretValue.FromString("sk-shared");
        await one.SetAsync("openai_api_key", value, cancellationToken: Token);
        await one.SetAsync("openai_api_key", value, cancellationToken: Token);
        await other.GetRequiredAsync("openai_api_key", Token);
        await other.FlushAsync(Token);
        await one.StoreLedger!.TellAsync(Token);
        await other.StoreLedger!.TellAsync(Token);
        return (one, other);
    }
}
