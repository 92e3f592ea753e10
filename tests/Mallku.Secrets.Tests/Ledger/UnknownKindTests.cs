using System.Buffers;
using System.Text;
using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Tests.Ledger;

/// <summary>Entries of a kind that a later version of the program may write.</summary>
public sealed class UnknownKindTests
{
    private const string Line =
        """{"index":3,"previous":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=","time":"2026-11-24T19:52:25.403Z","kind":"braided","secret":"a","version":1,"source":"vault","strands":[1,{"of":2}],"actor":{"user":"ana","host":"mercury","process":"mallku","pid":23861},"count":2,"graceEnds":"2026-11-25T00:00:00.000Z"}""";

    [Fact]
    public void It_is_kept_as_it_is()
    {
        var entry = EntryLine.Parse(Encoding.UTF8.GetBytes(Line))!;
        Assert.Equal((LedgerKind.Unknown, "braided", "a", 2L), (entry.Kind, entry.KindText, entry.Secret, entry.Count));
        Assert.Equal(new DateTimeOffset(2026, 11, 25, 0, 0, 0, TimeSpan.Zero), entry.GraceEnds);
        Assert.Equal("key-rotated", (entry with { Kind = LedgerKind.KeyRotated }).KindText);

        var written = new ArrayBufferWriter<byte>();
        EntryLine.Write(written, entry, MerkleTree.Empty);
        Assert.Equal(Line.Replace("""
            "strands":[1,{"of":2}],
            """, "", StringComparison.Ordinal), Encoding.UTF8.GetString(written.WrittenSpan));
    }

    [Theory]
    [InlineData("\"kind\":\"braided\",", "")]
    [InlineData("\"braided\"", "7")]
    [InlineData("\"count\":2", "\"count\":0")]
    [InlineData("\"count\":2", "\"count\":-2")]
    [InlineData("\"2026-11-25T00:00:00.000Z\"", "null")]
    public void What_is_no_entry_stays_none(string part, string other) =>
        Assert.Null(EntryLine.Parse(Encoding.UTF8.GetBytes(Line.Replace(part, other, StringComparison.Ordinal))));

    [Fact]
    public async Task It_is_read_verified_and_proven_and_counts_as_no_use()
    {
        using var ledger = new SampleLedger();
        await ledger.AddAsync(new LedgerEvent(LedgerKind.Opened));
        await ledger.AddAsync(new LedgerEvent(LedgerKind.Unknown, "a", 1, "vault"), SampleLedger.Read("a", 4));
        var entries = LedgerLog.ReadEntries(ledger.Folder, ledger.Newest).ToList();

        Assert.Equal([LedgerKind.Opened, LedgerKind.Unknown, LedgerKind.Read], entries.Select(entry => entry.Kind));
        Assert.Null((await ledger.VerifyAsync()).Fault);
        Assert.Equal(entries[1], LedgerProof.Make(ledger.Folder, ledger.Verifier, ledger.Note, 1).Verify(ledger.Verifier)?.Entry);
        Assert.Equal(4, Assert.Single(AccessReport.Make(entries, [])).Count);
        Assert.Empty(entries.SelectMany(new UnusualUses(UnusualUses.FindUnmade(entries, generation: null)).Add));
    }
}
