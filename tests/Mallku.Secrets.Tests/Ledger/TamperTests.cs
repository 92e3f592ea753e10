using System.Text;
using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Tests.Ledger;

/// <summary>
/// Whatever somebody does to a small ledger without its key is seen by the public key alone, and the first entry that it
/// was done to is named. Bytes that are added behind the signed ones are no part of it, and told as such.
/// </summary>
public sealed class TamperTests
{
    private const byte Newline = (byte)'\n';

    [Fact]
    public async Task What_nobody_touched_is_as_it_was_signed()
    {
        using var ledger = await SampleLedger.MakeAsync();
        var found = await ledger.VerifyAsync(ledger.Keep());
        Assert.Null(found.Fault);
        Assert.Empty(found.Tails);
        Assert.Equal(8, found.Newest!.Size);
    }

    [Fact]
    public async Task A_flipped_bit_in_any_byte_of_an_entry_is_seen_at_that_entry()
    {
        using var ledger = await SampleLedger.MakeAsync();
        foreach (var start in ledger.Folder.FindSegments())
        {
            var file = ledger.Folder.SegmentFile(start);
            var bytes = File.ReadAllBytes(file);
            for (var i = 0; i < bytes.Length; i++)
            {
                var entry = start + bytes.AsSpan(0, i).Count(Newline);
                var flipped = (byte[])bytes.Clone();
                flipped[i] ^= (byte)(1 << (i % 8));
                var fault = await VerifyWithAsync(ledger, file, flipped);
                Assert.NotNull(fault);

                // a newline less makes one entry of two, a newline more two of one
                var (first, last) = bytes[i] == Newline ? (entry, entry + 1) : (entry, entry);
                Assert.True(fault.Entry <= last && fault.Through >= first, $"byte {i} of entry {entry}: {fault.Problem}");
                var isInHead = i - (Array.LastIndexOf(bytes, Newline, Math.Max(0, i - 1)) + 1) < 80;
                Assert.True(isInHead || bytes[i] == Newline || flipped[i] == Newline || (fault.Entry == entry && fault.Through == entry), fault.Problem);
            }
        }
    }

    [Fact]
    public async Task A_flipped_bit_in_any_byte_of_a_checkpoint_is_seen()
    {
        using var ledger = await SampleLedger.MakeAsync();
        foreach (var (file, bytes) in ledger.Photograph().Where(pair => !pair.Key.EndsWith(LedgerFolder.SegmentSuffix, StringComparison.Ordinal)))
        {
            for (var i = 0; i < bytes.Length; i++)
            {
                var flipped = (byte[])bytes.Clone();
                flipped[i] ^= (byte)(1 << (i % 8));
                Assert.NotNull(await VerifyWithAsync(ledger, file, flipped));
            }
        }
    }

    [Fact]
    public async Task A_line_that_is_dropped_swapped_or_repeated_is_seen_at_its_place()
    {
        using var ledger = await SampleLedger.MakeAsync();
        foreach (var start in ledger.Folder.FindSegments())
        {
            var file = ledger.Folder.SegmentFile(start);
            var lines = File.ReadAllLines(file);
            for (var i = 0; i < lines.Length; i++)
            {
                var dropped = await VerifyWithAsync(ledger, file, Join([.. lines[..i], .. lines[(i + 1)..]]));
                Assert.Equal(start + i, dropped?.Entry);
                for (var j = i + 1; j < lines.Length; j++)
                {
                    var swapped = (string[])lines.Clone();
                    (swapped[i], swapped[j]) = (lines[j], lines[i]);
                    Assert.Equal(start + i, (await VerifyWithAsync(ledger, file, Join(swapped)))?.Entry);
                }

                if (i + 1 < lines.Length)
                {
                    var repeated = await VerifyWithAsync(ledger, file, Join([.. lines[..(i + 1)], .. lines[i..]]));
                    Assert.Equal(start + i + 1, repeated?.Entry);
                }
            }
        }
    }

    [Fact]
    public async Task A_file_that_is_cut_anywhere_is_seen_at_the_first_entry_that_is_not_whole()
    {
        using var ledger = await SampleLedger.MakeAsync();
        foreach (var (file, bytes) in ledger.Photograph())
        {
            var segment = ledger.Folder.FindSegments().Where(start => ledger.Folder.SegmentFile(start) == file).Cast<long?>().FirstOrDefault();
            for (var length = 0; length < bytes.Length; length++)
            {
                var fault = await VerifyWithAsync(ledger, file, bytes[..length]);
                Assert.NotNull(fault);
                if (segment is { } start)
                {
                    Assert.Equal(start + bytes.AsSpan(0, length).Count(Newline), fault.Entry);
                }
            }
        }
    }

    [Fact]
    public async Task A_file_that_is_gone_is_seen()
    {
        using var ledger = await SampleLedger.MakeAsync();
        var whole = ledger.Photograph();
        foreach (var file in whole.Keys)
        {
            File.Delete(file);
            var found = await ledger.VerifyAsync();
            // the first file may have been archived; what is there still is the signed one
            Assert.Equal(file != ledger.Folder.SegmentFile(0), found.Fault is not null);
            Assert.Equal(file == ledger.Folder.SegmentFile(0) ? 4 : 0, found.First);
            ledger.PutBack(whole);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_file_that_is_gone_from_between_is_named_and_its_entries_are_not_passed_over(bool hasBoundary)
    {
        using var ledger = await SampleLedger.MakeAsync();
        ledger.CloseSegment();
        await ledger.AddAsync(SampleLedger.Read("openai_api_key", 1));
        File.Delete(ledger.Folder.SegmentFile(4));
        if (!hasBoundary)
        {
            File.Delete(ledger.Folder.BoundaryFile(4));
        }

        var fault = (await ledger.VerifyAsync()).Fault!;
        Assert.Equal((4, 7), (fault.Entry, fault.Through));
        Assert.Contains(hasBoundary ? $"'{ledger.Folder.SegmentFile(4)}' is gone" : "or the file that has them is gone", fault.Problem, StringComparison.Ordinal);
        var error = Assert.Throws<LedgerException>(() => LedgerLog.ReadEntries(ledger.Folder, ledger.Newest).Count());
        Assert.Contains("before entry 4", error.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_added_behind_the_signed_entries_is_told_and_is_no_part_of_them()
    {
        using var ledger = await SampleLedger.MakeAsync();
        foreach (var start in ledger.Folder.FindSegments())
        {
            var file = ledger.Folder.SegmentFile(start);
            var bytes = File.ReadAllBytes(file);
            var last = bytes.AsSpan(0, bytes.Length - 1).LastIndexOf(Newline) + 1;
            foreach (var added in (byte[][])[bytes[last..], "x"u8.ToArray()])
            {
                File.WriteAllBytes(file, [.. bytes, .. added]);
                var found = await ledger.VerifyAsync();
                Assert.Null(found.Fault);
                Assert.Equal([new LedgerTail(file, added.Length)], found.Tails);
            }

            File.WriteAllBytes(file, bytes);
        }
    }

    [Fact]
    public async Task Entries_that_were_made_to_fit_are_seen_by_the_checkpoint()
    {
        using var ledger = await SampleLedger.MakeAsync();
        foreach (var start in ledger.Folder.FindSegments())
        {
            var file = ledger.Folder.SegmentFile(start);
            var lines = File.ReadAllLines(file);
            for (var i = 0; i < lines.Length; i++)
            {
                var forged = (string[])lines.Clone();
                forged[i] = lines[i].Replace("\"user\":\"", "\"user\":\"not ", StringComparison.Ordinal);
                for (var j = i + 1; j < lines.Length; j++)
                {
                    var before = MerkleTree.HashLeaf(Encoding.UTF8.GetBytes(lines[j - 1])).ToString();
                    forged[j] = lines[j].Replace(before, MerkleTree.HashLeaf(Encoding.UTF8.GetBytes(forged[j - 1])).ToString(), StringComparison.Ordinal);
                }

                var fault = await VerifyWithAsync(ledger, file, Join(forged));
                Assert.True(fault is not null && fault.Entry <= start + i && fault.Through >= start + i, fault?.Problem);
            }
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(255)]
    [InlineData(256)]
    [InlineData(9_000)]
    [InlineData(24_998)]
    [InlineData(24_999)]
    public async Task The_altered_one_of_many_entries_is_named(int altered)
    {
        using var ledger = new SampleLedger();
        await ledger.AddAsync([.. Enumerable.Range(0, 25_000).Select(i => SampleLedger.Read($"secret_{i}", i + 1))]);
        var (whole, newest) = (await ledger.VerifyAsync(ledger.Keep()), ledger.Newest);
        Assert.Null(whole.Fault);
        Assert.Equal(25_000, newest.Size);
        var file = ledger.Folder.SegmentFile(0);
        var lines = File.ReadAllLines(file);
        lines[altered] = lines[altered].Replace("\"secret_", "\"secreT_", StringComparison.Ordinal);
        var fault = await VerifyWithAsync(ledger, file, Join(lines));
        Assert.Equal((altered, altered), (fault?.Entry, fault?.Through));
    }

    [Fact]
    public async Task A_ledger_of_another_key_is_refused()
    {
        using var ledger = await SampleLedger.MakeAsync();
        using var other = await SampleLedger.MakeAsync();
        var found = await new LedgerVerifier(ledger.Folder, other.Verifier).VerifyAsync([], progress: null, TestContext.Current.CancellationToken);
        Assert.Contains("was not signed by the key", found.Fault?.Problem, StringComparison.Ordinal);
    }

    private static async Task<LedgerFault?> VerifyWithAsync(SampleLedger ledger, string file, byte[] bytes)
    {
        var before = File.ReadAllBytes(file);
        File.WriteAllBytes(file, bytes);
        var found = await ledger.VerifyAsync();
        File.WriteAllBytes(file, before);
        return found.Fault;
    }

    private static byte[] Join(string[] lines) => Encoding.UTF8.GetBytes(string.Concat(lines.Select(line => line + "\n")));
}
