namespace Mallku.Secrets.Ledger;

/// <summary>A ledger as far as a checkpoint goes.</summary>
/// <param name="Folder">Where it lies.</param>
/// <param name="Key">Its key.</param>
/// <param name="Newest">The checkpoint.</param>
/// <param name="Note">The same, signed.</param>
internal sealed record LedgerView(LedgerFolder Folder, LedgerKey Key, Checkpoint Newest, string Note)
{
    internal NoteVerifier Verifier => Key.Verifier;

    /// <summary>What stands for the secrets' names; null where these are in clear.</summary>
    internal NamePseudonyms? Pseudonyms { get; init; }
}

/// <summary>An entry as it lies in a ledger.</summary>
/// <param name="Segment">The index of the first entry of the file that has it.</param>
/// <param name="Index">Its own.</param>
/// <param name="Bytes">The line, without its newline.</param>
internal readonly record struct LedgerLine(long Segment, long Index, byte[] Bytes);
