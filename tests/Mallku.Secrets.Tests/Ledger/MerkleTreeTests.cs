using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Tests.Ledger;

/// <summary>
/// The tree and its proofs: the roots and proofs that the certificate-transparency implementations publish for their
/// eight standard inputs, and every proof of every size up to 300.
/// </summary>
public sealed class MerkleTreeTests
{
    private const int Largest = 300;

    // github.com/transparency-dev/merkle, proof/verify_test.go: leaves, roots of the first 1 to 8, proofs (the leaf there counts from 1)
    private static readonly byte[][] Leaves =
    [
        [], [0x00], [0x10], [0x20, 0x21], [0x30, 0x31], [0x40, 0x41, 0x42, 0x43], Convert.FromHexString("5051525354555657"),
        Convert.FromHexString("606162636465666768696a6b6c6d6e6f"),
    ];

    private static readonly string[] Roots =
    [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    public static TheoryData<int, int, string[]> PublishedInclusions => new()
    {
        { 0, 1, [] },
        {
            0, 8,
            [
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ]
        },
        {
            5, 8,
            [
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ]
        },
        { 2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"] },
        {
            1, 5,
            [
                "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ]
        },
    };

    public static TheoryData<int, int, string[]> PublishedConsistencies => new()
    {
        { 1, 1, [] },
        {
            1, 8,
            [
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ]
        },
        {
            6, 8,
            [
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ]
        },
        {
            2, 5,
            [
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ]
        },
        {
            6, 7,
            [
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ]
        },
    };

    [Fact]
    public void Roots_are_the_published_ones()
    {
        var frontier = new TreeFrontier();
        Assert.Equal(Hash("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"), frontier.GetRoot());
        for (var i = 0; i < Leaves.Length; i++)
        {
            frontier.Append(MerkleTree.HashLeaf(Leaves[i]));
            Assert.Equal(Hash(Roots[i]), frontier.GetRoot());
        }
    }

    [Theory]
    [MemberData(nameof(PublishedInclusions))]
    public void Inclusion_proofs_are_the_published_ones(int index, int size, string[] published)
    {
        var proof = Prover(Leaves.Length).ProveInclusion(index, size);
        Assert.Equal([.. published.Select(Hash)], proof);
        Assert.True(MerkleTree.VerifyInclusion(index, size, MerkleTree.HashLeaf(Leaves[index]), [.. proof], Hash(Roots[size - 1])));
    }

    [Theory]
    [MemberData(nameof(PublishedConsistencies))]
    public void Consistency_proofs_are_the_published_ones(int size, int largerSize, string[] published)
    {
        var proof = Prover(Leaves.Length).ProveConsistency(size, largerSize);
        Assert.Equal([.. published.Select(Hash)], proof);
        Assert.True(MerkleTree.VerifyConsistency(size, Hash(Roots[size - 1]), largerSize, Hash(Roots[largerSize - 1]), [.. proof]));
    }

    [Fact]
    public void Every_inclusion_proof_up_to_300_verifies_and_nothing_near_it()
    {
        var prover = Numbered(Largest);
        for (var size = 1; size <= Largest; size++)
        {
            var root = prover.GetRoot(size);
            for (var index = 0; index < size; index++)
            {
                TreeHash[] proof = [.. prover.ProveInclusion(index, size)];
                var leaf = NumberedLeaf(index);
                Assert.True(MerkleTree.VerifyInclusion(index, size, leaf, proof, root));
                var bit = (index * 31) + size;
                Assert.False(MerkleTree.VerifyInclusion(index, size, Flip(leaf, bit), proof, root));
                Assert.False(MerkleTree.VerifyInclusion(index, size, leaf, proof, Flip(root, bit)));
                Assert.False(MerkleTree.VerifyInclusion(index, size, leaf, [.. proof, leaf], root));
                Assert.False(MerkleTree.VerifyInclusion(size, size, leaf, proof, root));
                Assert.False(MerkleTree.VerifyInclusion(index ^ 1, size, leaf, proof, root) && size > 1);
                foreach (var i in Sample(proof.Length, size, bit))
                {
                    Assert.False(MerkleTree.VerifyInclusion(index, size, leaf, [.. proof[..i], Flip(proof[i], bit), .. proof[(i + 1)..]], root));
                    Assert.False(MerkleTree.VerifyInclusion(index, size, leaf, [.. proof[..i], .. proof[(i + 1)..]], root));
                }
            }
        }
    }

    [Fact]
    public void Every_consistency_proof_up_to_300_verifies_and_nothing_near_it()
    {
        var prover = Numbered(Largest);
        var roots = Enumerable.Range(0, Largest + 1).Select(size => prover.GetRoot(size)).ToArray();
        for (var larger = 0; larger <= Largest; larger++)
        {
            for (var size = 0; size <= larger; size++)
            {
                TreeHash[] proof = [.. prover.ProveConsistency(size, larger)];
                Assert.True(MerkleTree.VerifyConsistency(size, roots[size], larger, roots[larger], proof));
                var bit = (size * 31) + larger;
                Assert.False(MerkleTree.VerifyConsistency(size, Flip(roots[size], bit), larger, roots[larger], proof));
                Assert.False(MerkleTree.VerifyConsistency(size, roots[size], larger, Flip(roots[larger], bit), proof) && size > 0);
                Assert.False(MerkleTree.VerifyConsistency(size, roots[size], larger, roots[larger], [.. proof, roots[size]]));
                foreach (var i in Sample(proof.Length, larger, bit))
                {
                    Assert.False(MerkleTree.VerifyConsistency(size, roots[size], larger, roots[larger], [.. proof[..i], Flip(proof[i], bit), .. proof[(i + 1)..]]));
                    Assert.False(MerkleTree.VerifyConsistency(size, roots[size], larger, roots[larger], [.. proof[..i], .. proof[(i + 1)..]]));
                }
            }
        }
    }

    [Fact]
    public void A_frontier_stands_for_the_leaves_before_it()
    {
        var whole = Numbered(Largest);
        for (var start = 0; start < Largest; start += 7)
        {
            var frontier = new TreeFrontier();
            for (var i = 0; i < start; i++)
            {
                frontier.Append(NumberedLeaf(i));
            }

            var part = new TreeProver(frontier, [.. Enumerable.Range(start, Largest - start).Select(NumberedLeaf)]);
            for (var size = Math.Max(start, 1); size <= Largest; size += 11)
            {
                Assert.Equal(whole.GetRoot(size), part.GetRoot(size));
                Assert.Equal(whole.ProveConsistency(Math.Max(start, 1), size), part.ProveConsistency(Math.Max(start, 1), size));
                if (size > start)
                {
                    Assert.Equal(whole.ProveInclusion(size - 1, size), part.ProveInclusion(size - 1, size));
                }
            }
        }
    }

    // the places in a proof that are spoilt: all of them in a small tree, and another one for each leaf in a larger one
    private static IEnumerable<int> Sample(int length, int size, int number)
    {
        const int small = 64;
        return size <= small ? Enumerable.Range(0, length) : length == 0 ? [] : [number % length];
    }

    private static TreeProver Prover(int count) => new(new TreeFrontier(), [.. Leaves.Take(count).Select(leaf => MerkleTree.HashLeaf(leaf))]);

    private static TreeProver Numbered(int count) => new(new TreeFrontier(), [.. Enumerable.Range(0, count).Select(NumberedLeaf)]);

    private static TreeHash NumberedLeaf(int number) => MerkleTree.HashLeaf(BitConverter.GetBytes(number));

    private static TreeHash Hash(string hexadecimal) => new(Convert.FromHexString(hexadecimal));

    private static TreeHash Flip(TreeHash hash, int bit)
    {
        var bytes = new byte[TreeHash.Length];
        hash.CopyTo(bytes);
        bytes[bit / 8 % bytes.Length] ^= (byte)(1 << (bit % 8));
        return new TreeHash(bytes);
    }
}
