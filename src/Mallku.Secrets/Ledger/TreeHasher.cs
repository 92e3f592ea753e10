using System.Security.Cryptography;

namespace Mallku.Secrets.Ledger;

/// <summary>
/// Hashes many leaves and nodes, as <see cref="MerkleTree"/> hashes one: a hash that is used again costs a fraction of a
/// new one. Not for several threads.
/// </summary>
internal sealed class TreeHasher : IDisposable
{
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly byte[] _node = new byte[1 + (2 * TreeHash.Length)];

    internal TreeHasher() => _node[0] = MerkleTree.NodePrefix;

    /// <summary>The hash of a leaf that has a free byte before it.</summary>
    internal TreeHash HashLeaf(Span<byte> withLead)
    {
        withLead[0] = MerkleTree.LeafPrefix;
        return Hash(withLead);
    }

    /// <summary>The root of a subtree whose leaves are a power of two.</summary>
    internal TreeHash HashSubtree(ReadOnlySpan<TreeHash> leaves)
    {
        if (leaves.Length == 1)
        {
            return leaves[0];
        }

        var half = leaves.Length / 2;
        var (left, right) = (HashSubtree(leaves[..half]), HashSubtree(leaves[half..]));
        left.CopyTo(_node.AsSpan(1));
        right.CopyTo(_node.AsSpan(1 + TreeHash.Length));
        return Hash(_node);
    }

    public void Dispose() => _hash.Dispose();

    private TreeHash Hash(ReadOnlySpan<byte> input)
    {
        Span<byte> hash = stackalloc byte[TreeHash.Length];
        _hash.AppendData(input);
        _hash.GetHashAndReset(hash);
        return new TreeHash(hash);
    }
}
