using System.Globalization;
using System.Text;

namespace Mallku.Secrets.Ledger;

/// <summary>What a proof proves. Immutable.</summary>
/// <param name="Entry">The entry.</param>
/// <param name="Ledger">The name of the ledger that it is in, which its public key has.</param>
/// <param name="Size">How many entries the ledger had when that was signed.</param>
public sealed record ProvenEntry(LedgerEntry Entry, string Ledger, long Size);

/// <summary>
/// That one entry is in a ledger, to be checked by anybody who has the public key and nothing else (C2SP tlog-proof). The
/// entry's line is its extra data, so that the proof shows what it proves.
/// </summary>
/// <param name="Line">The entry, as its line without the newline.</param>
/// <param name="Index">Its place.</param>
/// <param name="Hashes">The hashes from its sibling up to below the root.</param>
/// <param name="Note">The signed checkpoint.</param>
internal sealed record LedgerProof(ReadOnlyMemory<byte> Line, long Index, IReadOnlyList<TreeHash> Hashes, string Note)
{
    /// <summary>Far above any proof.</summary>
    internal const int MaxLength = 1 << 18;

    private const string Header = "c2sp.org/tlog-proof@v1", ExtraPrefix = "extra ", IndexPrefix = "index ";

    /// <summary>Proves that an entry is in the tree of a checkpoint.</summary>
    /// <exception cref="LedgerException">It is not there, or the ledger is not as it was signed.</exception>
    /// <exception cref="IOException">A file can't be read.</exception>
    internal static LedgerProof Make(LedgerFolder folder, NoteVerifier verifier, string note, long index)
    {
        var newest = LedgerFolder.OpenCheckpoint(Encoding.UTF8.GetBytes(note), verifier) ?? throw Altered(folder);
        if (index < 0 || index >= newest.Size)
        {
            throw new LedgerException($"the ledger has no entry {index}: it has {newest.Size}, from 0 up", "see which there are: mallku audit log");
        }

        var first = folder.FindSegments(newest)[0];
        if (index < first)
        {
            throw new LedgerException($"entry {index} lies in a segment that was archived", $"put the file that has it back into '{folder.Path}' for the time of the proof");
        }

        var before = first == 0 ? new TreeFrontier() : folder.ReadBoundary(first, verifier)?.Frontier ?? throw Altered(folder);
        var (leaves, line) = LedgerLog.ReadLeaves(folder, newest, index);
        var prover = new TreeProver(before, leaves);
        if (line is null || prover.Size != newest.Size)
        {
            throw Altered(folder);
        }

        var hashes = prover.ProveInclusion(index, newest.Size);
        return MerkleTree.VerifyInclusion(index, newest.Size, MerkleTree.HashLeaf(line), [.. hashes], newest.Root)
            ? new LedgerProof(line, index, hashes, note)
            : throw Altered(folder);
    }

    internal string ToText()
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"{Header}\n{ExtraPrefix}{Convert.ToBase64String(Line.Span)}\n{IndexPrefix}{Index}\n");
        foreach (var hash in Hashes)
        {
            text.Append(hash).Append('\n');
        }

        return text.Append('\n').Append(Note).ToString();
    }

    /// <summary>Reads what <see cref="ToText"/> writes; null for anything else, also for a proof that does not carry its entry.</summary>
    internal static LedgerProof? Parse(string text)
    {
        var split = text.IndexOf("\n\n", StringComparison.Ordinal);
        var lines = split < 0 ? [] : text[..split].Split('\n');
        if (lines is not [Header, var extra, var index, .. var hashes]
            || !extra.StartsWith(ExtraPrefix, StringComparison.Ordinal)
            || !index.StartsWith(IndexPrefix, StringComparison.Ordinal)
            || !long.TryParse(index.AsSpan(IndexPrefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            || TreeHash.ParseAll(hashes) is not { } parsed)
        {
            return null;
        }

        var line = new byte[extra.Length];
        var proof = Convert.TryFromBase64String(extra[ExtraPrefix.Length..], line, out var length)
            ? new LedgerProof(line.AsMemory(0, length), number, parsed, text[(split + 2)..])
            : null;
        // a second spelling of the same would be no proof of what was handed over
        return proof?.ToText() == text ? proof : null;
    }

    /// <summary>The entry and the checkpoint of a ledger that it is in; null where nothing is proven under that key.</summary>
    internal (LedgerEntry Entry, Checkpoint Checkpoint)? Verify(NoteVerifier verifier) =>
        LedgerFolder.OpenCheckpoint(Encoding.UTF8.GetBytes(Note), verifier) is { } checkpoint
        && MerkleTree.VerifyInclusion(Index, checkpoint.Size, MerkleTree.HashLeaf(Line.Span), [.. Hashes], checkpoint.Root)
        && EntryLine.Parse(Line.Span) is { } entry && entry.Index == Index
            ? (entry, checkpoint)
            : null;

    private static LedgerException Altered(LedgerFolder folder) => new(
        $"the ledger in '{folder.Path}' is not as it was signed, so that nothing can be proven by it", LedgerException.WayOn);
}
