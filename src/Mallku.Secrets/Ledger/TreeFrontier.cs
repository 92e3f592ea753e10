using System.Numerics;

namespace Mallku.Secrets.Ledger;

/// <summary>
/// The right edge of a Merkle tree: the roots of its whole subtrees, the largest first. It is all that appending needs,
/// and it proves itself, since the tree's root is made of it.
/// </summary>
internal sealed class TreeFrontier
{
    private readonly List<TreeHash> _subtrees;

    internal TreeFrontier() => _subtrees = [];

    private TreeFrontier(long size, List<TreeHash> subtrees) => (Size, _subtrees) = (size, subtrees);

    /// <summary>How many leaves the tree has.</summary>
    internal long Size { get; private set; }

    internal IReadOnlyList<TreeHash> Subtrees => _subtrees;

    /// <summary>The frontier of a tree, or null where a tree of that size has another number of subtrees.</summary>
    internal static TreeFrontier? From(long size, IEnumerable<TreeHash> subtrees)
    {
        var list = subtrees.ToList();
        return size >= 0 && BitOperations.PopCount((ulong)size) == list.Count ? new TreeFrontier(size, list) : null;
    }

    internal TreeFrontier Copy() => new(Size, [.. _subtrees]);

    internal void Append(TreeHash leaf) => Append(leaf, height: 0);

    /// <summary>Appends a whole subtree of so many levels, where the tree's size is a multiple of its leaves.</summary>
    internal void Append(TreeHash subtree, int height)
    {
        var hash = subtree;
        for (var merges = BitOperations.TrailingZeroCount(~((ulong)Size >> height)); merges > 0; merges--)
        {
            hash = MerkleTree.HashNode(_subtrees[^1], hash);
            _subtrees.RemoveAt(_subtrees.Count - 1);
        }

        _subtrees.Add(hash);
        Size += 1L << height;
    }

    /// <summary>The first leaves among which two trees of one size differ, from the first to the one behind the last; null where they are the same.</summary>
    internal (long From, long To)? FindDifference(TreeFrontier other)
    {
        var (from, rest) = (0L, Size);
        for (var i = 0; i < _subtrees.Count; i++)
        {
            var leaves = 1L << BitOperations.Log2((ulong)rest);
            if (_subtrees[i] != other._subtrees[i])
            {
                return (from, from + leaves);
            }

            (from, rest) = (from + leaves, rest - leaves);
        }

        return null;
    }

    internal TreeHash GetRoot()
    {
        if (_subtrees.Count == 0)
        {
            return MerkleTree.Empty;
        }

        var root = _subtrees[^1];
        for (var i = _subtrees.Count - 2; i >= 0; i--)
        {
            root = MerkleTree.HashNode(_subtrees[i], root);
        }

        return root;
    }
}
