using System.Buffers.Text;

namespace Mallku.Secrets.Ledger;

/// <summary>Looks closer at the place where the entries of a segment stop to follow from each other.</summary>
/// <param name="file">The segment.</param>
/// <param name="start">The index of its first entry.</param>
/// <param name="end">The checkpoint that signs its last one.</param>
internal sealed class LedgerFaultFinder(string file, long start, Checkpoint end)
{
    /// <summary>Says which entry was altered, or is missing.</summary>
    /// <param name="broken">The place of the first line that does not begin as it has to.</param>
    /// <param name="previous">The hash of the line before it.</param>
    internal LedgerFault Explain(long broken, TreeHash previous)
    {
        var (line, next) = ReadTwo(broken - start);
        if (ReadHead(line) is not var (index, said))
        {
            return broken == start ? LedgerFault.Altered(file, broken) : LedgerFault.NoEntry(file, broken);
        }

        if (index != broken)
        {
            return LedgerFault.Missing(file, broken, index);
        }

        // what stands before the segment is signed; what the entry behind confirms is as it was when that was written
        var isConfirmed = MerkleTree.HashLeaf(line) is var leaf
            && (broken == end.Size - 1 ? leaf == end.LastLeaf : ReadHead(next) is var (_, saidNext) && saidNext == leaf);
        return broken == start || said == previous ? LedgerFault.Altered(file, broken)
            : isConfirmed ? LedgerFault.Altered(file, broken - 1)
            : LedgerFault.OneAltered(file, broken - 1);
    }

    private (byte[] Line, byte[] Next) ReadTwo(long place)
    {
        using var lines = SegmentReader.TryOpen(file);
        byte[]? line = null;
        for (var at = 0L; lines is not null && lines.ReadBlock(); at += lines.Count)
        {
            for (var i = (int)Math.Clamp(place - at, 0, lines.Count); i < lines.Count; i++)
            {
                if (line is not null)
                {
                    return (line, lines[i].ToArray());
                }

                line = lines[i].ToArray();
            }
        }

        return (line ?? [], []);
    }

    // the index that a line says, and the hash that it says the one before has
    internal static (long Index, TreeHash Previous)? ReadHead(ReadOnlySpan<byte> line)
    {
        if (!line.StartsWith(EntryLine.IndexPrefix) || !Utf8Parser.TryParse(line[EntryLine.IndexPrefix.Length..], out long index, out var digits))
        {
            return null;
        }

        var rest = line[(EntryLine.IndexPrefix.Length + digits)..];
        Span<char> text = stackalloc char[TreeHash.Base64Length];
        return rest.StartsWith(EntryLine.PreviousPrefix)
            && rest.Length > EntryLine.PreviousPrefix.Length + TreeHash.Base64Length
            && System.Text.Encoding.ASCII.TryGetChars(rest.Slice(EntryLine.PreviousPrefix.Length, TreeHash.Base64Length), text, out _)
            && TreeHash.TryParseBase64(text, out var previous)
                ? (index, previous)
                : null;
    }
}
