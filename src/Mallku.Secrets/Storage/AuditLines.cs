using System.Text;
using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Storage;

/// <summary>The lines of a batch.</summary>
internal static class AuditLines
{
    internal static IEnumerable<ReadOnlyMemory<byte>> Split(byte[] lines)
    {
        for (var start = 0; start < lines.Length;)
        {
            var length = lines.AsSpan(start).IndexOf((byte)'\n');
            var end = length < 0 ? lines.Length : start + length;
            yield return lines.AsMemory(start..end);
            start = end + 1;
        }
    }

    /// <summary>An entry; null where only its hash was told.</summary>
    internal static LedgerEntry? Read(ReadOnlySpan<byte> line) => line is [AuditRecords.HashMark, ..] ? null : EntryLine.Parse(line);

    /// <summary>The leaf hashes of a batch's lines; null where one has none, or there is no line.</summary>
    internal static List<TreeHash>? HashAll(List<ReadOnlyMemory<byte>> lines)
    {
        var leaves = new List<TreeHash>(lines.Count);
        foreach (var line in lines)
        {
            if (HashOf(line.Span) is not { } leaf)
            {
                return null;
            }

            leaves.Add(leaf);
        }

        return leaves.Count == 0 ? null : leaves;
    }

    /// <summary>The leaf hash of an entry, or the one that stands for it; null for neither.</summary>
    internal static TreeHash? HashOf(ReadOnlySpan<byte> line)
    {
        if (line is not [AuditRecords.HashMark, .. var hash])
        {
            return MerkleTree.HashLeaf(line);
        }

        Span<char> text = stackalloc char[TreeHash.Base64Length];
        return hash.Length == text.Length && Encoding.ASCII.TryGetChars(hash, text, out _) && TreeHash.TryParseBase64(text, out var leaf) ? leaf : null;
    }
}
