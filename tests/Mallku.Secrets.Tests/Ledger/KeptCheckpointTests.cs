using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Tests.Ledger;

/// <summary>What a checkpoint that was kept elsewhere shows: an older ledger, or another one of the same key.</summary>
public sealed class KeptCheckpointTests
{
    [Fact]
    public async Task A_ledger_goes_on_from_every_checkpoint_that_it_had()
    {
        using var ledger = new SampleLedger();
        var kept = new List<KeptCheckpoint>();
        for (var i = 0; i < 300; i += 7)
        {
            await ledger.AddAsync([.. Enumerable.Range(0, 7).Select(j => SampleLedger.Read("a", i + j + 1))]);
            kept.Add(ledger.Keep(isDemanded: true));
            if (i == 140)
            {
                ledger.CloseSegment();
            }
        }

        var found = await ledger.VerifyAsync([.. kept]);
        Assert.Null(found.Fault);
        Assert.Empty(found.Unreached);
    }

    [Fact]
    public async Task An_older_copy_of_the_folder_is_seen()
    {
        using var ledger = await SampleLedger.MakeAsync();
        var older = ledger.Photograph();
        await ledger.AddAsync(SampleLedger.Read("a", 1), SampleLedger.Read("b", 1));
        var kept = ledger.Keep();
        ledger.PutBack(older);
        Assert.Null((await ledger.VerifyAsync()).Fault);
        var fault = (await ledger.VerifyAsync(kept)).Fault;
        Assert.Equal((8, 9), (fault?.Entry, fault?.Through));
        Assert.Contains("an older ledger was put back", fault?.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_older_copy_that_went_on_by_other_entries_is_seen_among_them()
    {
        using var ledger = await SampleLedger.MakeAsync();
        var older = ledger.Photograph();
        await ledger.AddAsync(SampleLedger.Read("a", 1));
        var kept = ledger.Keep();
        ledger.PutBack(older);
        ledger.Forget();
        await ledger.AddAsync(SampleLedger.Read("b", 1));
        var fault = (await ledger.VerifyAsync(kept)).Fault;
        Assert.Equal((8, 8), (fault?.Entry, fault?.Through));
        Assert.Contains("is not the one that somebody knows", fault?.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_was_archived_is_not_missed()
    {
        using var ledger = await SampleLedger.MakeAsync();
        ledger.CloseSegment();
        await ledger.AddAsync(SampleLedger.Read("a", 1));
        var whole = ledger.Photograph();
        var atEnd = ledger.Keep(isDemanded: true);
        File.Delete(ledger.Folder.SegmentFile(0));
        File.Delete(ledger.Folder.BoundaryFile(4));
        File.Delete(ledger.Folder.SegmentFile(4));
        var found = await ledger.VerifyAsync(atEnd);
        Assert.Null(found.Fault);
        Assert.Equal(8, found.First);
        Assert.Equal([8], LedgerLog.ReadEntries(ledger.Folder, ledger.Newest).Select(entry => entry.Index));

        var fromBefore = new KeptCheckpoint(LedgerFolder.OpenCheckpoint(whole[ledger.Folder.BoundaryFile(4)], ledger.Verifier)!, "somebody");
        Assert.Equal([fromBefore], (await ledger.VerifyAsync(fromBefore)).Unreached);
        Assert.NotNull((await ledger.VerifyAsync(fromBefore with { IsDemanded = true })).Fault);
        ledger.PutBack(whole);
        Assert.Null((await ledger.VerifyAsync(fromBefore with { IsDemanded = true })).Fault);
    }

    [Fact]
    public async Task A_ledger_can_be_verified_while_others_write_to_it()
    {
        using var ledger = await SampleLedger.MakeAsync();
        var writing = WriteAsync();
        do
        {
            var found = await ledger.VerifyAsync();
            Assert.Null(found.Fault);
            Assert.Empty(found.Tails);
        }
        while (!writing.IsCompleted);
        await writing;

        async Task WriteAsync()
        {
            for (var i = 0; i < 200; i++)
            {
                await ledger.AddAsync(SampleLedger.Read("a", 1));
                if (i % 20 == 19)
                {
                    ledger.CloseSegment();
                }
            }
        }
    }

    [Fact]
    public async Task Closing_puts_aside_what_is_not_signed()
    {
        using var ledger = await SampleLedger.MakeAsync();
        var file = ledger.Folder.SegmentFile(4);
        await File.AppendAllTextAsync(file, "{\"index\":8", TestContext.Current.CancellationToken);
        ledger.CloseSegment();
        var found = await ledger.VerifyAsync();
        Assert.Null(found.Fault);
        Assert.Empty(found.Tails);
        Assert.Equal(LedgerKind.Recovered, LedgerLog.ReadLast(ledger.Folder, ledger.Newest)?.Kind);
    }
}
