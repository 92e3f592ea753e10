using System.Globalization;
using System.Text;

namespace Mallku.Secrets.Ledger;

/// <summary>
/// What a ledger commits itself to: so many entries with this root (C2SP tlog-checkpoint). Its one extension line has
/// what a writer needs to go on without reading the ledger, and is signed with the rest.
/// </summary>
internal sealed record Checkpoint
{
    private const string ExtensionPrefix = "mallku-ledger/v1";
    private readonly TreeFrontier _frontier = new();

    /// <summary>The ledger's name, and the name of its key.</summary>
    internal required string Origin { get; init; }

    /// <summary>The tree's right edge, which gives size and root; never changed.</summary>
    internal required TreeFrontier Frontier
    {
        get => _frontier;
        init => (_frontier, Root) = (value, value.GetRoot());
    }

    /// <summary>The leaf hash of the last entry, which the next one repeats.</summary>
    internal required TreeHash LastLeaf { get; init; }

    /// <summary>The index of the first entry of the open segment.</summary>
    internal required long SegmentStart { get; init; }

    /// <summary>How many bytes of the open segment belong to the tree.</summary>
    internal required long SegmentLength { get; init; }

    /// <summary>The vault's generation before the newest change, which it still has if that change was cut off.</summary>
    internal required long FromGeneration { get; init; }

    /// <summary>The vault's generation that the newest change leads to.</summary>
    internal required long ToGeneration { get; init; }

    internal long Size => Frontier.Size;

    internal TreeHash Root { get; private init; }

    /// <summary>Before the first entry.</summary>
    internal static Checkpoint Begin(string origin, long generation) => new()
    {
        Origin = origin,
        Frontier = new TreeFrontier(),
        LastLeaf = MerkleTree.Empty,
        SegmentStart = 0,
        SegmentLength = 0,
        FromGeneration = generation,
        ToGeneration = generation,
    };

    /// <summary>The text that is signed.</summary>
    internal string ToText()
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"{Origin}\n{Size}\n{Root}\n");
        text.Append(CultureInfo.InvariantCulture, $"{ExtensionPrefix} {SegmentStart} {SegmentLength} {FromGeneration} {ToGeneration} {LastLeaf}");
        foreach (var subtree in Frontier.Subtrees)
        {
            text.Append(' ').Append(subtree);
        }

        return text.Append('\n').ToString();
    }

    /// <summary>Reads what <see cref="ToText"/> writes; null for anything else.</summary>
    internal static Checkpoint? Parse(string text)
    {
        var lines = text.Split('\n');
        if (lines is not [{ Length: > 0 } origin, var size, _, var extension, ""]
            || extension.Split(' ') is not [ExtensionPrefix, var start, var length, var from, var to, var last, .. var subtrees]
            || ParseNumber(size) is not { } leaves
            || ParseNumber(start) is not { } segmentStart
            || ParseNumber(length) is not { } segmentLength
            || ParseNumber(from) is not { } fromGeneration
            || ParseNumber(to) is not { } toGeneration
            || !TreeHash.TryParseBase64(last, out var lastLeaf)
            || TreeHash.ParseAll(subtrees) is not { } hashes
            || TreeFrontier.From(leaves, hashes) is not { } frontier
            || segmentStart > leaves)
        {
            return null;
        }

        var checkpoint = new Checkpoint
        {
            Origin = origin,
            Frontier = frontier,
            LastLeaf = lastLeaf,
            SegmentStart = segmentStart,
            SegmentLength = segmentLength,
            FromGeneration = fromGeneration,
            ToGeneration = toGeneration,
        };
        // whatever does not come out again as it went in was not written here; so the root is that of the right edge
        return checkpoint.ToText() == text ? checkpoint : null;
    }

    /// <summary>The checkpoint in a note whose signature is not checked; null where there is none.</summary>
    internal static Checkpoint? ParseUnverified(string note) =>
        note.LastIndexOf("\n\n", StringComparison.Ordinal) is var end and > 0 ? Parse(note[..(end + 1)]) : null;

    private static long? ParseNumber(string text) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;
}
