using System.Text;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Tests;
using Mallku.Secrets.Vault;

namespace Mallku.Secrets.Stores.Tests;

/// <summary>What is a machine's in the trail that it tells a shared store, whatever others put there, and where its own ledger was put back.</summary>
[Collection(Machines.Name)]
public sealed class StoreTrailTests : IAsyncDisposable
{
    private readonly Machines _machines = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public ValueTask DisposeAsync() => _machines.DisposeAsync();

    [Fact]
    public async Task Entries_that_a_machine_has_not_signed_are_none_of_its_and_keep_it_from_nothing()
    {
        var (one, id) = await UseAsync();
        var told = await ReadLocalAsync(one);
        var record = await ForgeAsync(id, claimed: 1);

        var third = await _machines.OpenAsync("third");
        var left = new Problems();
        Assert.Equal(told, await ReadAsync(third, left));
        var problem = Assert.Single(left.All);
        Assert.Equal((id, 1L), (problem.Id, problem.NotSigned));
        Assert.Contains("has not signed", problem.Fault!.Problem, StringComparison.Ordinal);
        Assert.Contains(record, problem.Fault.Problem, StringComparison.Ordinal);
        left = new Problems();
        Assert.Equal(1, Assert.Single(await third.StoreLedger!.ReportAsync(left, Token)).Count);
        Assert.Single(left.All);
        Assert.Equal(told.Count, Assert.Single(await third.StoreLedger.ListInstancesAsync(Token)).Entries);
        var found = Assert.Single(await third.StoreLedger.VerifyAsync(cancellationToken: Token));
        Assert.Equal((problem.Fault, 1L, (long)told.Count), (found.Fault, found.NotSigned, found.Instance!.Entries));

        // that machine tells all that it has, in more than one record too, and is still not taken at another's word
        Assert.Null(await one.Store!.Shipper.FindFaultAsync(Token));
        await one.Vault.RecordAsync([.. Enumerable.Range(0, 2000).Select(static i => new LedgerEvent(LedgerKind.Read, $"key_{i}", 1, "store", "test"))], Token);
        Assert.Equal(2000, await one.StoreLedger!.TellAsync(Token));
        Assert.Equal(await ReadLocalAsync(one), await ReadAsync(third, new Problems()));
        found = Assert.Single(await third.StoreLedger.VerifyAsync(cancellationToken: Token));
        Assert.Contains($"the audit record {record} in the name of", found.Fault!.Problem, StringComparison.Ordinal);
        Assert.Equal((1L, (await one.Vault.ViewLedgerAsync(Token))!.Newest.Size), (found.NotSigned, found.Instance!.Entries));

        // nothing is left of it once its owner has removed the record
        await _machines.TamperAsync(_machines.Records, found => found.Key.Id == record ? null : found.Data);
        found = Assert.Single(await (await _machines.OpenAsync("third")).StoreLedger!.VerifyAsync(cancellationToken: Token));
        Assert.Equal((null, 0L), (found.Fault, found.NotSigned));
    }

    [Fact]
    public async Task Records_where_a_machines_next_entries_belong_are_named_and_keep_nobody_from_telling_or_reading()
    {
        var (one, id) = await UseAsync();
        var size = (await one.Vault.ViewLedgerAsync(Token))!.Newest.Size;
        var places = Enumerable.Range((int)size, 20).Select(i => AuditRecords.KeyOf(id, i)).Append(new(RecordKind.Audit, id + ".-")).ToList();
        foreach (var place in places)
        {
            Assert.True(await _machines.Records.WriteAsync([new RecordWrite(place, Expected: null, "{}"u8.ToArray())], Token));
        }

        for (var i = 0; i < 3; i++)
        {
            await one.RefreshAsync(Token);
            await one.GetRequiredAsync("key", Token);
            await one.FlushAsync(Token);
            Assert.True(await one.StoreLedger!.TellAsync(Token) > 0);
        }

        var finding = Assert.Single(await Sources.StoreInspection.InspectAsync(one.Store!, Token), static finding => finding.Check == "store-ledger");
        Assert.Equal(FindingLevel.Ok, finding.Level);
        var third = await _machines.OpenAsync("third");
        var left = new Problems();
        Assert.Equal(await ReadLocalAsync(one), await ReadAsync(third, left));
        var fault = Assert.Single(await third.StoreLedger!.VerifyAsync(cancellationToken: Token)).Fault!;
        Assert.Equal(fault, Assert.Single(left.All).Fault);
        Assert.Contains("and 20 more such records", fault.Problem, StringComparison.Ordinal);

        await _machines.TamperAsync(_machines.Records, record => places.Contains(record.Key) ? null : record.Data);
        Assert.Null(Assert.Single(await (await _machines.OpenAsync("third")).StoreLedger!.VerifyAsync(cancellationToken: Token)).Fault);
    }

    [Fact]
    public async Task What_the_store_knows_of_a_machine_may_be_put_back_and_nothing_is_told_twice_or_left_out()
    {
        var (one, id) = await UseAsync();
        var before = (await _machines.Records.ReadAsync(AuditRecords.KeyOf(id), Token))!.Data;
        await UseOnAsync(one);
        var other = _machines.Audit.OpenHead((await _machines.Records.ReadAsync(AuditRecords.KeyOf(id), Token))!) with { Size = 0, Checkpoint = null };
        foreach (var older in new[] { before, default(ReadOnlyMemory<byte>?), "{}"u8.ToArray(), _machines.Audit.Seal(id, other, revision: null).Data })
        {
            await _machines.TamperAsync(_machines.Records, record => record.Key == AuditRecords.KeyOf(id) ? older : record.Data);
            Assert.Contains(await (await _machines.OpenAsync("third")).StoreLedger!.VerifyAsync(cancellationToken: Token), found => found.Id == id && found.Fault is not null);
            await UseOnAsync(await _machines.OpenAsync("one"));
            Assert.Equal(await ReadLocalAsync(one), await ReadAsync(await _machines.OpenAsync("third"), new Problems()));
            var found = Assert.Single(await (await _machines.OpenAsync("third")).StoreLedger!.VerifyAsync(cancellationToken: Token));
            Assert.Equal((null, 0L), (found.Fault, found.NotSigned));
        }
    }

    [Fact]
    public async Task What_the_store_says_to_have_been_told_and_was_not_is_told()
    {
        var (one, id) = await UseAsync();
        await one.RefreshAsync(Token);
        await one.GetRequiredAsync("key", Token);
        await one.FlushAsync(Token);

        // who reads that machine's witness has its newest checkpoint
        var newest = (await one.Vault.ViewLedgerAsync(Token))!;
        var found = (await _machines.Records.ReadAsync(AuditRecords.KeyOf(id), Token))!;
        var head = _machines.Audit.OpenHead(found) with { Size = newest.Newest.Size, Checkpoint = newest.Note };
        Assert.True(await _machines.Records.WriteAsync([_machines.Audit.Seal(id, head, found.Revision)], Token));
        Assert.Contains("are gone from the store", Assert.Single(await (await _machines.OpenAsync("third")).StoreLedger!.VerifyAsync(cancellationToken: Token)).Fault!.Problem, StringComparison.Ordinal);

        await UseOnAsync(await _machines.OpenAsync("one"));
        Assert.Equal(await ReadLocalAsync(one), await ReadAsync(await _machines.OpenAsync("third"), new Problems()));
        Assert.Null(Assert.Single(await (await _machines.OpenAsync("third")).StoreLedger!.VerifyAsync(cancellationToken: Token)).Fault);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_is_left_behind_a_removed_record_is_the_machines_when_that_was_told_anew(bool isAltered)
    {
        var (one, id) = await UseAsync();
        for (var i = 0; i < 4; i++)
        {
            await UseOnAsync(await _machines.OpenAsync("one"));
        }

        var batches = await _machines.Records.ListAsync(RecordKind.Audit, "", before: null, Token).ToListAsync(Token);
        Assert.True(batches.Count > 4);
        var last = _machines.Audit.OpenBatch(id, batches[^1]);
        var text = Encoding.UTF8.GetString(last.Lines);
        var altered = _machines.Audit.Seal(id, batches[^1].Key, last with { Lines = Encoding.UTF8.GetBytes(text.Replace("\"key\"", "\"yek\"", StringComparison.Ordinal)) });
        await _machines.TamperAsync(_machines.Records, record =>
            record.Key == batches[1].Key || record.Key.Kind == RecordKind.Instance ? null : isAltered && record.Key == altered.Key ? altered.Data : record.Data);
        var again = await _machines.OpenAsync("one");
        StoreStage.Forget(await Assert.ThrowsAsync<SecretsException>(async () => await again.StoreLedger!.TellAsync(Token)));
        await UseOnAsync(await _machines.OpenAsync("one"));

        var (third, left) = (await _machines.OpenAsync("third"), new Problems());
        Assert.Equal(await ReadLocalAsync(one), await ReadAsync(third, left));
        var fault = Assert.Single(await third.StoreLedger!.VerifyAsync(cancellationToken: Token)).Fault;
        Assert.Equal(isAltered ? batches[^1].Key.Id : null, fault?.Problem.Split(' ').FirstOrDefault(word => word.StartsWith(id, StringComparison.Ordinal)));
        Assert.Equal(fault, left.All.SingleOrDefault()?.Fault);
    }

    [Fact]
    public async Task A_vault_without_a_ledger_says_that_a_use_of_the_store_begins_it()
    {
        await UseAsync();
        using var folder = new TemporaryFolder();
        await VaultCreation.CreateAsync(SecretsManager.Open(folder.Options with { UseLedger = false }).Vault, Token);
        var machine = await _machines.OpenAsync("one", folder.Options);
        const string says = "it begins with the next write, or use of the shared store";
        Assert.Contains(says, Assert.Single(await VaultInspection.InspectAsync(machine.Vault, Token), static finding => finding.Check == LedgerInspection.Check).What, StringComparison.Ordinal);
        Assert.Contains(says, (await Assert.ThrowsAsync<SecretsException>(async () => await machine.Ledger.VerifyAsync(cancellationToken: Token))).Remedy, StringComparison.Ordinal);
        await machine.GetRequiredAsync("key", Token);
        Assert.Null((await machine.Ledger.VerifyAsync(cancellationToken: Token)).Fault);
    }

    [Fact]
    public async Task Who_gives_a_machine_another_key_can_not_speak_for_it()
    {
        var (one, id) = await UseAsync();
        var head = _machines.Audit.OpenHead((await _machines.Records.ReadAsync(AuditRecords.KeyOf(id), Token))!);

        // under the same name, by which the instance is known
        using var key = LedgerKey.TryImport(NoteVerifier.Parse(head.Key)!.Name, Encoding.ASCII.GetBytes(Convert.ToBase64String(new byte[32])))!;
        var line = Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(AuditLines.Split(_machines.Audit.OpenBatch(id, await _machines.Records.ListAsync(RecordKind.Audit, "", before: null, Token).FirstAsync(Token)).Lines).First().Span));
        var tree = new TreeFrontier();
        tree.Append(MerkleTree.HashLeaf(line));
        var note = SignedTree.Sign(tree, key);
        var current = (await _machines.Records.ReadAsync(AuditRecords.KeyOf(id), Token))!.Revision;
        Assert.True(await _machines.Records.WriteAsync(
            [
                _machines.Audit.Seal(id, AuditRecords.MakeOtherKeyOf(id, 0), new AuditBatch { Lines = [.. line, (byte)'\n'], Checkpoint = note }),
                _machines.Audit.Seal(id, head with { Key = key.Verifier.ToString(), Size = 1, Checkpoint = note }, current),
            ],
            Token));

        var third = await _machines.OpenAsync("third");
        var left = new Problems();
        Assert.Empty(await ReadAsync(third, left));
        Assert.Contains("has another key", Assert.Single(left.All).Fault!.Problem, StringComparison.Ordinal);
        Assert.Equal(left.All[0].Fault, Assert.Single(await third.StoreLedger!.VerifyAsync(cancellationToken: Token)).Fault);

        await UseOnAsync(await _machines.OpenAsync("one"));
        Assert.Equal(await ReadLocalAsync(one), await ReadAsync(third, new Problems()));
        Assert.Contains("none of its", Assert.Single(await third.StoreLedger!.VerifyAsync(cancellationToken: Token)).Fault!.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_an_older_program_told_is_read_and_gone_on_from()
    {
        var one = await _machines.OpenAsync("one");
        await one.Vault.RecordAsync([.. Enumerable.Range(0, 5000).Select(static i => new LedgerEvent(LedgerKind.Read, $"key_{i}", 1, "store", "test"))], Token);
        await one.StoreLedger!.TellAsync(Token);
        var id = Assert.Single(await one.StoreLedger.ListInstancesAsync(Token)).Id;
        var audit = _machines.Audit;
        var batches = await _machines.Records.ListAsync(RecordKind.Audit, "", before: null, Token).ToListAsync(Token);
        Assert.True(batches.Count > 3);

        // it signed only the last of several
        var unsigned = batches[..^1].ToDictionary(static batch => batch.Key, batch => audit.Seal(id, batch.Key, audit.OpenBatch(id, batch) with { Checkpoint = null }).Data);
        var original = _machines.Records;
        await _machines.TamperAsync(original, record => unsigned.GetValueOrDefault(record.Key, record.Data));
        var third = await _machines.OpenAsync("third");
        Assert.Equal(await ReadLocalAsync(one), await ReadAsync(third, new Problems()));
        Assert.Null(Assert.Single(await third.StoreLedger!.VerifyAsync(cancellationToken: Token)).Fault);

        // and may have been cut off between two of them
        var head = audit.OpenHead((await original.ReadAsync(AuditRecords.KeyOf(id), Token))!);
        var size = AuditRecords.FirstOf(id, batches[2].Key)!.Value;
        await _machines.TamperAsync(original, record => record.Key switch
        {
            { Kind: RecordKind.Instance } => audit.Seal(id, head with { Size = size, Checkpoint = null }, revision: null).Data,
            { Kind: RecordKind.Audit } => record.Key == batches[0].Key || record.Key == batches[1].Key ? unsigned[record.Key] : null,
            _ => record.Data,
        });
        foreach (var seen in Directory.GetFiles(_machines.StateOf("one"), "seen-instances*", SearchOption.AllDirectories))
        {
            File.Delete(seen);
        }

        var again = await _machines.OpenAsync("one");
        Assert.Equal((await one.Vault.ViewLedgerAsync(Token))!.Newest.Size - size, await again.StoreLedger!.TellAsync(Token));
        third = await _machines.OpenAsync("fourth");
        Assert.Equal(await ReadLocalAsync(one), await ReadAsync(third, new Problems()));
        Assert.Null(Assert.Single(await third.StoreLedger!.VerifyAsync(cancellationToken: Token)).Fault);
    }

    [Fact]
    public async Task A_ledger_that_was_put_back_is_named_and_what_follows_is_not_told_until_a_new_one_is_begun()
    {
        var (one, id) = await UseAsync();
        _machines.CopyState("one", "kept");
        await UseOnAsync(one);
        _machines.CopyState("kept", "one");

        // it is shorter than what was told
        var again = await _machines.OpenAsync("one");
        await AssertPutBackAsync(again, id, "an older ledger was put back");

        // and longer
        using var value = SecretValue.FromString("sk-shared");
        for (var i = 0; i < 5; i++)
        {
            await again.SetAsync("another", value, cancellationToken: Token);
        }

        await AssertPutBackAsync(again, id, "does not go on from");
        Assert.Null(Assert.Single(await (await _machines.OpenAsync("third")).StoreLedger!.VerifyAsync(cancellationToken: Token)).Fault);

        // a new one is an instance of its own, and what was changed meanwhile names it once it is set again
        await VaultLedger.RestartAsync(again.Vault, Token);
        await again.SetAsync("another", value, cancellationToken: Token);
        again = await _machines.OpenAsync("one");
        Assert.True(await again.StoreLedger!.TellAsync(Token) > 0);
        Assert.Null(await again.Store!.Shipper.FindFaultAsync(Token));
        foreach (var machine in new[] { again, await _machines.OpenAsync("fourth") })
        {
            var found = await machine.StoreLedger!.VerifyAsync(cancellationToken: Token);
            Assert.Equal(2, found.Count);
            Assert.All(found, static one => Assert.Equal((null, null), (one.Fault, one.SilentSince)));
        }
    }

    [Fact]
    public async Task A_ledger_that_is_gone_is_a_fault_there_and_nowhere_else()
    {
        var (one, _) = await UseAsync();
        var ledger = one.Vault.Ledger.Folder.Path;
        Directory.Move(ledger, ledger + "-gone");
        var again = await _machines.OpenAsync("one");
        var found = await again.StoreLedger!.VerifyAsync(cancellationToken: Token);
        Assert.Equal(2, found.Count);
        Assert.Contains("is gone", Assert.Single(found, static one => one.Fault is not null).Fault!.Problem, StringComparison.Ordinal);
        Assert.Null(Assert.Single(await (await _machines.OpenAsync("third")).StoreLedger!.VerifyAsync(cancellationToken: Token)).Fault);
    }

    [Fact]
    public async Task A_ledger_that_is_given_up_while_its_machine_tells_it_or_compares_it_is_no_fault()
    {
        var (one, _) = await UseAsync();
        foreach (var ask in (Func<AuditShipper, Task>[])[
            static async shipper => Assert.True(await shipper.ShipAsync(Token) > 0), static async shipper => Assert.Null(await shipper.FindFaultAsync(Token))])
        {
            var isGivenUp = false;
            var shipper = new AuditShipper(_machines.Records, _machines.Audit, one.Store!.SeenInstances, TimeProvider.System, ViewAsync);
            await ask(shipper);

            // the one that was there when it was asked for
            async ValueTask<LedgerView?> ViewAsync(CancellationToken cancellationToken)
            {
                var view = await one.Vault.ViewLedgerAsync(cancellationToken);
                if (!isGivenUp)
                {
                    isGivenUp = true;
                    await one.GetRequiredAsync("key", cancellationToken);
                    await one.FlushAsync(cancellationToken);
                    view = await one.Vault.ViewLedgerAsync(cancellationToken);
                    await VaultLedger.RestartAsync((await _machines.OpenAsync("one")).Vault, cancellationToken);
                }

                return view;
            }
        }
    }

    [Fact]
    public async Task A_ledger_that_lies_in_two_places_is_told_from_one_of_them()
    {
        var (one, id) = await UseAsync();
        _machines.CopyState("one", "copy");
        await UseOnAsync(one);
        var copy = await _machines.OpenAsync("copy");
        await copy.GetRequiredAsync("key", Token);
        await copy.FlushAsync(Token);
        Assert.Equal((await one.Vault.ViewLedgerAsync(Token))!.Newest.Size, (await copy.Vault.ViewLedgerAsync(Token))!.Newest.Size);
        await AssertPutBackAsync(copy, id, "does not go on from");
        Assert.Null(Assert.Single(await one.StoreLedger!.VerifyAsync(cancellationToken: Token)).Fault);
    }

    [Fact]
    public async Task A_fork_that_was_told_is_named_as_what_it_is()
    {
        var (one, id) = await UseAsync();
        _machines.CopyState("one", "kept");
        await UseOnAsync(one);
        _machines.CopyState("kept", "one");
        var again = await _machines.OpenAsync("one");
        using var value = SecretValue.FromString("sk-shared");
        for (var i = 0; i < 5; i++)
        {
            await again.SetAsync("another", value, cancellationToken: Token);
        }

        // as an older program did
        var (audit, ledger) = (_machines.Audit, (await again.Vault.ViewLedgerAsync(Token))!);
        var found = (await _machines.Records.ReadAsync(AuditRecords.KeyOf(id), Token))!;
        var head = audit.OpenHead(found);
        var lines = LedgerLog.ReadLines(ledger.Folder, ledger.Newest, after: null, head.Size).SelectMany(static line => line.Bytes.Append((byte)'\n')).ToArray();
        Assert.True(await _machines.Records.WriteAsync(
            [
                audit.Seal(id, AuditRecords.KeyOf(id, head.Size), new AuditBatch { Lines = lines, Checkpoint = ledger.Note }),
                audit.Seal(id, head with { Size = ledger.Newest.Size, Checkpoint = ledger.Note }, found.Revision),
            ],
            Token));
        var third = await _machines.OpenAsync("third");
        var fault = Assert.Single(await third.StoreLedger!.VerifyAsync(cancellationToken: Token)).Fault!;
        Assert.Contains($"has signed other entries from {head.Size} on", fault.Problem, StringComparison.Ordinal);
        Assert.Contains("put back to an older state", fault.Problem, StringComparison.Ordinal);
        Assert.Contains("mallku audit restart", fault.Remedy, StringComparison.Ordinal);
        var left = new Problems();
        Assert.Equal(head.Size, (await ReadAsync(third, left)).Count);
        Assert.Equal(fault, Assert.Single(left.All).Fault);
    }

    private static async Task AssertPutBackAsync(SecretsManager machine, string id, string what)
    {
        var fault = await Assert.ThrowsAsync<LedgerException>(async () => await machine.StoreLedger!.TellAsync(Token));
        Assert.Contains(what, fault.Problem, StringComparison.Ordinal);
        Assert.Contains("mallku audit restart", fault.Remedy, StringComparison.Ordinal);
        Assert.Equal(fault.Problem, (await machine.Store!.Shipper.FindFaultAsync(Token))!.Value.Fault.Problem);
        var found = Assert.Single(await machine.StoreLedger!.VerifyAsync(cancellationToken: Token), static one => one.Fault is not null);
        Assert.Equal((id, fault.Problem), (found.Id, found.Fault!.Problem));
        var finding = Assert.Single(await Sources.StoreInspection.InspectAsync(machine.Store, Token), static finding => finding.Level == FindingLevel.Error);
        Assert.Equal(("store-ledger", fault.Problem), (finding.Check, finding.What));
    }

    // an entry in the name of a machine, by who has the store's key, behind those that it has told
    private async Task<string> ForgeAsync(string id, int claimed)
    {
        var audit = _machines.Audit;
        var found = (await _machines.Records.ReadAsync(AuditRecords.KeyOf(id), Token))!;
        var head = audit.OpenHead(found);
        var batch = audit.OpenBatch(id, await _machines.Records.ListAsync(RecordKind.Audit, "", before: null, Token).LastAsync(Token));
        var line = AuditLines.Split(batch.Lines).Last();
        var forged = Encoding.UTF8.GetString(line.Span).Replace("\"key\"", "\"crown_jewels\"", StringComparison.Ordinal) + "\n";
        var place = AuditRecords.KeyOf(id, head.Size);
        Assert.True(await _machines.Records.WriteAsync(
            [
                audit.Seal(id, place, new AuditBatch { Lines = Encoding.UTF8.GetBytes(forged), Checkpoint = null }),
                audit.Seal(id, head with { Size = head.Size + claimed }, found.Revision),
            ],
            Token));
        return place.Id;
    }

    private static async Task<List<string>> ReadLocalAsync(SecretsManager machine) =>
        await machine.Ledger.ReadEntriesAsync(cancellationToken: Token).Select(static entry => $"{entry.Index} {entry.KindText} {entry.Secret} {entry.Time:O}").ToListAsync(Token);

    private static async Task<List<string>> ReadAsync(SecretsManager machine, Problems problems) =>
        await machine.StoreLedger!.ReadAsync(since: null, problems, Token).Select(static told => $"{told.Entry.Index} {told.Entry.KindText} {told.Entry.Secret} {told.Entry.Time:O}").ToListAsync(Token);

    private static async Task UseOnAsync(SecretsManager machine)
    {
        await machine.RefreshAsync(Token);
        await machine.GetRequiredAsync("key", Token);
        await machine.FlushAsync(Token);
        Assert.True(await machine.StoreLedger!.TellAsync(Token) > 0);
    }

    // a machine that sets and reads a secret, and has told that
    private async Task<(SecretsManager Machine, string Id)> UseAsync()
    {
        var machine = await _machines.OpenAsync("one");
        using var value = SecretValue.FromString("sk-shared");
        await machine.SetAsync("key", value, cancellationToken: Token);
        await UseOnAsync(machine);
        return (machine, Assert.Single(await machine.StoreLedger!.ListInstancesAsync(Token)).Id);
    }

    private sealed class Problems : IProgress<InstanceVerification>
    {
        internal List<InstanceVerification> All { get; } = [];

        public void Report(InstanceVerification value) => All.Add(value);
    }
}
