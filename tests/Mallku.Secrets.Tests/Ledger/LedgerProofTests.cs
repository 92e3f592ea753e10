using System.Text;
using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Tests.Ledger;

/// <summary>Proofs that one entry is in a ledger, checked with the public key alone.</summary>
public sealed class LedgerProofTests
{
    [Fact]
    public async Task Every_entry_can_be_proven()
    {
        using var ledger = await SampleLedger.MakeAsync();
        var entries = LedgerLog.ReadEntries(ledger.Folder, ledger.Newest).ToList();
        Assert.Equal(8, entries.Count);
        foreach (var entry in entries)
        {
            var proof = LedgerProof.Parse(Prove(ledger, entry.Index))?.Verify(ledger.Verifier);
            Assert.Equal((entry, 8), (proof?.Entry, proof?.Checkpoint.Size));
        }
    }

    [Fact]
    public async Task The_text_is_that_of_the_specification()
    {
        using var ledger = await SampleLedger.MakeAsync();
        var lines = Prove(ledger, 5).Split('\n');
        Assert.Equal(("c2sp.org/tlog-proof@v1", "index 5"), (lines[0], lines[2]));
        Assert.Equal(File.ReadAllLines(ledger.Folder.SegmentFile(4))[1], Encoding.UTF8.GetString(Convert.FromBase64String(lines[1]["extra ".Length..])));
        Assert.Equal(("", ledger.Note), (lines[6], string.Join('\n', lines[7..])));
    }

    [Fact]
    public async Task Nothing_is_proven_when_a_bit_is_another()
    {
        using var ledger = await SampleLedger.MakeAsync();
        var bytes = Encoding.UTF8.GetBytes(Prove(ledger, 5));
        for (var bit = 0; bit < 8 * bytes.Length; bit++)
        {
            bytes[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.Null(LedgerProof.Parse(Encoding.UTF8.GetString(bytes))?.Verify(ledger.Verifier));
            bytes[bit / 8] ^= (byte)(1 << (bit % 8));
        }
    }

    [Fact]
    public async Task A_proof_under_another_key_proves_nothing()
    {
        using var ledger = await SampleLedger.MakeAsync();
        using var other = await SampleLedger.MakeAsync();
        Assert.Null(LedgerProof.Parse(Prove(ledger, 5))!.Verify(other.Verifier));
    }

    [Fact]
    public async Task What_is_archived_or_not_there_is_not_proven_and_the_rest_is()
    {
        using var ledger = await SampleLedger.MakeAsync();
        Assert.Throws<LedgerException>(() => Prove(ledger, 8));
        File.Delete(ledger.Folder.SegmentFile(0));
        Assert.Throws<LedgerException>(() => Prove(ledger, 3));
        for (var index = 4; index < 8; index++)
        {
            Assert.NotNull(LedgerProof.Parse(Prove(ledger, index))?.Verify(ledger.Verifier));
        }
    }

    [Fact]
    public async Task An_altered_ledger_proves_nothing()
    {
        using var ledger = await SampleLedger.MakeAsync();
        var file = ledger.Folder.SegmentFile(4);
        File.WriteAllText(file, File.ReadAllText(file).Replace("mistral", "MISTRAL", StringComparison.Ordinal));
        Assert.Throws<LedgerException>(() => Prove(ledger, 5));
    }

    private static string Prove(SampleLedger ledger, long index) => LedgerProof.Make(ledger.Folder, ledger.Verifier, ledger.Note, index).ToText();
}
