using System.Buffers.Binary;
using System.Buffers.Text;
using System.Numerics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Mallku.Secrets.Ledger;

/// <summary>The SHA-256 hash of a Merkle tree's node. It is public: comparing takes the time it takes.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct TreeHash
{
    internal const int Length = SHA256.HashSizeInBytes, Base64Length = 44;

    private readonly UInt128 _high;
    private readonly UInt128 _low;

    internal TreeHash(ReadOnlySpan<byte> bytes)
    {
        _high = BinaryPrimitives.ReadUInt128BigEndian(bytes);
        _low = BinaryPrimitives.ReadUInt128BigEndian(bytes[16..]);
    }

    internal void CopyTo(Span<byte> bytes)
    {
        BinaryPrimitives.WriteUInt128BigEndian(bytes, _high);
        BinaryPrimitives.WriteUInt128BigEndian(bytes[16..], _low);
    }

    internal static bool TryParseBase64(ReadOnlySpan<char> text, out TreeHash hash)
    {
        Span<byte> bytes = stackalloc byte[Length];
        var valid = Convert.TryFromBase64Chars(text, bytes, out var length) && length == Length;
        hash = valid ? new TreeHash(bytes) : default;
        // the platform's decoder also takes white space and unused bits
        return valid && text.SequenceEqual(hash.ToString());
    }

    /// <summary>Hashes as <see cref="ToString"/> writes each; null where one is none.</summary>
    internal static List<TreeHash>? ParseAll(string[] texts)
    {
        var hashes = new List<TreeHash>(texts.Length);
        foreach (var text in texts)
        {
            if (!TryParseBase64(text, out var hash))
            {
                return null;
            }

            hashes.Add(hash);
        }

        return hashes;
    }

    /// <summary>Writes what <see cref="ToString"/> gives, in UTF-8.</summary>
    internal void WriteBase64(Span<byte> text)
    {
        Span<byte> bytes = stackalloc byte[Length];
        CopyTo(bytes);
        Base64.EncodeToUtf8(bytes, text, out _, out _);
    }

    public override string ToString()
    {
        Span<byte> bytes = stackalloc byte[Length];
        CopyTo(bytes);
        return Convert.ToBase64String(bytes);
    }
}

/// <summary>
/// The Merkle tree of RFC 6962, section 2.1: how leaves and nodes are hashed, and how the proofs of its sections 2.1.1
/// and 2.1.2 are checked (as RFC 9162, sections 2.1.3.2 and 2.1.4.2, spells it out). Bytes in, answers out.
/// </summary>
internal static class MerkleTree
{
    internal const byte LeafPrefix = 0, NodePrefix = 1;
    private const int OnStack = 1024;

    /// <summary>The root of a tree without leaves.</summary>
    internal static TreeHash Empty { get; } = new(SHA256.HashData([]));

    internal static TreeHash HashLeaf(ReadOnlySpan<byte> leaf)
    {
        var length = leaf.Length + 1;
        var input = length <= OnStack ? stackalloc byte[OnStack] : new byte[length];
        input[0] = LeafPrefix;
        leaf.CopyTo(input[1..]);
        Span<byte> hash = stackalloc byte[TreeHash.Length];
        SHA256.HashData(input[..length], hash);
        return new TreeHash(hash);
    }

    internal static TreeHash HashNode(TreeHash left, TreeHash right)
    {
        Span<byte> input = stackalloc byte[1 + (2 * TreeHash.Length)];
        input[0] = NodePrefix;
        left.CopyTo(input[1..]);
        right.CopyTo(input[(1 + TreeHash.Length)..]);
        Span<byte> hash = stackalloc byte[TreeHash.Length];
        SHA256.HashData(input, hash);
        return new TreeHash(hash);
    }

    /// <summary>Whether the proof shows that the leaf stands at that index in the tree of that size and root.</summary>
    internal static bool VerifyInclusion(long index, long size, TreeHash leaf, ReadOnlySpan<TreeHash> proof, TreeHash root)
    {
        if (index < 0 || index >= size)
        {
            return false;
        }

        var (node, last, hash) = (index, size - 1, leaf);
        foreach (var sibling in proof)
        {
            if (last == 0)
            {
                return false;
            }

            if ((node & 1) == 1 || node == last)
            {
                hash = HashNode(sibling, hash);
                while ((node & 1) == 0 && node != 0)
                {
                    (node, last) = (node >> 1, last >> 1);
                }
            }
            else
            {
                hash = HashNode(hash, sibling);
            }

            (node, last) = (node >> 1, last >> 1);
        }

        return last == 0 && hash == root;
    }

    /// <summary>Whether the proof shows that the larger tree begins with all leaves of the smaller one.</summary>
    internal static bool VerifyConsistency(long size, TreeHash root, long largerSize, TreeHash largerRoot, ReadOnlySpan<TreeHash> proof)
    {
        if (size < 0 || size > largerSize)
        {
            return false;
        }

        if (size == largerSize)
        {
            return proof.IsEmpty && root == largerRoot;
        }

        if (size == 0)
        {
            return proof.IsEmpty && root == Empty;
        }

        // a smaller tree that is a whole subtree of the larger one is where the path begins
        var isSubtree = BitOperations.IsPow2(size);
        if (!isSubtree && proof.IsEmpty)
        {
            return false;
        }

        var first = isSubtree ? root : proof[0];
        var rest = isSubtree ? proof : proof[1..];
        var (node, last) = (size - 1, largerSize - 1);
        while ((node & 1) == 1)
        {
            (node, last) = (node >> 1, last >> 1);
        }

        var (smaller, larger) = (first, first);
        foreach (var sibling in rest)
        {
            if (last == 0)
            {
                return false;
            }

            if ((node & 1) == 1 || node == last)
            {
                (smaller, larger) = (HashNode(sibling, smaller), HashNode(sibling, larger));
                while ((node & 1) == 0 && node != 0)
                {
                    (node, last) = (node >> 1, last >> 1);
                }
            }
            else
            {
                larger = HashNode(larger, sibling);
            }

            (node, last) = (node >> 1, last >> 1);
        }

        return last == 0 && smaller == root && larger == largerRoot;
    }
}
