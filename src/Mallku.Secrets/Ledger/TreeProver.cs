using System.Numerics;

namespace Mallku.Secrets.Ledger;

/// <summary>
/// Makes the proofs of RFC 6962, sections 2.1.1 and 2.1.2, from the leaves' hashes. Where the first leaves are not at hand
/// any more, because their segment was archived, the frontier before the first stands for them.
/// </summary>
/// <param name="start">What stands before the first leaf.</param>
/// <param name="leaves">The hashes of the leaves from there on.</param>
internal sealed class TreeProver(TreeFrontier start, IReadOnlyList<TreeHash> leaves)
{
    internal long Size => start.Size + leaves.Count;

    /// <summary>The proof that the leaf of that index is in the tree, from the leaf's sibling up.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The leaf is not at hand, or the tree is larger than what is there.</exception>
    internal IReadOnlyList<TreeHash> ProveInclusion(long index, long size)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(index, start.Size);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, size);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(size, Size);
        var proof = new List<TreeHash>();
        AddPath(proof, index, 0, size);
        return proof;
    }

    /// <summary>The proof that the tree of one size begins with the tree of a smaller one.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A size is not at hand, or the smaller is the larger.</exception>
    internal IReadOnlyList<TreeHash> ProveConsistency(long size, long largerSize)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(size);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(size, largerSize);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(largerSize, Size);
        if (size == 0 || size == largerSize)
        {
            return [];
        }

        ArgumentOutOfRangeException.ThrowIfLessThan(size, start.Size);
        var proof = new List<TreeHash>();
        AddSubproof(proof, size, 0, largerSize, isWhole: true);
        return proof;
    }

    /// <summary>The root of the tree at a size from the start's on.</summary>
    internal TreeHash GetRoot(long size) => size == 0 ? MerkleTree.Empty : Hash(0, size);

    private void AddPath(List<TreeHash> proof, long index, long from, long to)
    {
        if (to - from == 1)
        {
            return;
        }

        var middle = from + Split(to - from);
        if (index < middle)
        {
            AddPath(proof, index, from, middle);
            proof.Add(Hash(middle, to));
        }
        else
        {
            AddPath(proof, index, middle, to);
            proof.Add(Hash(from, middle));
        }
    }

    private void AddSubproof(List<TreeHash> proof, long size, long from, long to, bool isWhole)
    {
        if (size == to)
        {
            if (!isWhole)
            {
                proof.Add(Hash(from, to));
            }

            return;
        }

        var middle = from + Split(to - from);
        if (size <= middle)
        {
            AddSubproof(proof, size, from, middle, isWhole);
            proof.Add(Hash(middle, to));
        }
        else
        {
            AddSubproof(proof, size, middle, to, isWhole: false);
            proof.Add(Hash(from, middle));
        }
    }

    // a range is a subtree of the tree, so that it lies before the start, after it, or is made of whole subtrees of it
    private TreeHash Hash(long from, long to)
    {
        if (from >= start.Size && to - from == 1)
        {
            return leaves[checked((int)(from - start.Size))];
        }

        if (to <= start.Size)
        {
            return FindBeforeStart(from, to);
        }

        var middle = from + Split(to - from);
        return MerkleTree.HashNode(Hash(from, middle), Hash(middle, to));
    }

    private TreeHash FindBeforeStart(long from, long to)
    {
        var at = 0L;
        var rest = start.Size;
        foreach (var subtree in start.Subtrees)
        {
            var length = (long)(1UL << BitOperations.Log2((ulong)rest));
            if (at == from && at + length == to)
            {
                return subtree;
            }

            (at, rest) = (at + length, rest - length);
        }

        // several of the start's subtrees make the range: it is split where the tree is
        var middle = from + Split(to - from);
        return to - from > 1
            ? MerkleTree.HashNode(FindBeforeStart(from, middle), FindBeforeStart(middle, to))
            : throw new ArgumentOutOfRangeException(nameof(from), "The leaf lies in an archived segment.");
    }

    // the largest power of two below the length
    private static long Split(long length) => 1L << BitOperations.Log2((ulong)(length - 1));
}
