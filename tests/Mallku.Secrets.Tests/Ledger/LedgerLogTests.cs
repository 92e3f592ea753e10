using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Tests.Ledger;

/// <summary>Reading entries as they were written, over several files and while more are added.</summary>
public sealed class LedgerLogTests
{
    [Fact]
    public async Task Reads_every_entry_once_from_any_checkpoint_on()
    {
        using var ledger = new SampleLedger();
        var checkpoints = new List<Checkpoint>();
        for (var i = 0; i < 30; i++)
        {
            await ledger.AddAsync([.. Enumerable.Range(0, (i % 3) + 1).Select(j => SampleLedger.Read($"secret_{i}_{j}", j + 1))]);
            checkpoints.Add(ledger.Newest);
            if (i % 10 == 9)
            {
                ledger.CloseSegment();
                checkpoints.Add(ledger.Newest);
            }
        }

        var all = LedgerLog.ReadEntries(ledger.Folder, ledger.Newest).ToList();
        Assert.Equal(Enumerable.Range(0, (int)ledger.Newest.Size).Select(i => (long)i), all.Select(entry => entry.Index));
        foreach (var from in checkpoints)
        {
            foreach (var to in checkpoints.Where(to => to.Size >= from.Size))
            {
                Assert.Equal(all.Skip((int)from.Size).Take((int)(to.Size - from.Size)), LedgerLog.ReadEntries(ledger.Folder, to, from));
            }
        }
    }

    [Fact]
    public async Task Reads_what_was_written()
    {
        using var ledger = await SampleLedger.MakeAsync();
        var entries = LedgerLog.ReadEntries(ledger.Folder, ledger.Newest).ToList();
        Assert.Equal(("openai_api_key", 1, "vault", "run", 17L), (entries[3].Secret, entries[3].Version, entries[3].Source, entries[3].Purpose, entries[3].Count));
        Assert.Equal("\"quoted\" \n ünï", entries[4].Note);
        Assert.Equal(entries[7], LedgerLog.ReadLast(ledger.Folder, ledger.Newest));
    }

    [Fact]
    public async Task The_newest_entry_of_a_segment_that_was_archived_is_no_other_one()
    {
        using var ledger = await SampleLedger.MakeAsync();
        ledger.CloseSegment();
        Assert.Equal(7, LedgerLog.ReadLast(ledger.Folder, ledger.Newest)?.Index);

        File.Delete(ledger.Folder.SegmentFile(0));
        File.Delete(ledger.Folder.SegmentFile(4));
        Assert.Null(LedgerLog.ReadLast(ledger.Folder, ledger.Newest));
        Assert.Empty(LedgerLog.ReadEntries(ledger.Folder, ledger.Newest));
    }

    [Fact]
    public async Task Counts_the_uses_of_each_secret()
    {
        using var ledger = await SampleLedger.MakeAsync();
        var now = LedgerLog.ReadLast(ledger.Folder, ledger.Newest)!.Time;
        var made = now.AddDays(-40);
        var uses = AccessReport.Make(
            LedgerLog.ReadEntries(ledger.Folder, ledger.Newest), [new("never", "vault", 3, made, []), new("openai_api_key", "vault", 1, made, [])]);
        Assert.Equal([("mistral_api_key", 3), ("never", 0), ("openai_api_key", 19L)], uses.Select(use => (use.Name, use.Count)));
        Assert.Equal((0, 19), (uses[2].GetDays(now, 30)[28], uses[2].GetDays(now, 30)[29]));
        Assert.Empty(uses[1].Actors);
        Assert.Equal([(null, null), (3, made), (1, made)], uses.Select(use => (use.Version, use.Created)));
    }
}
