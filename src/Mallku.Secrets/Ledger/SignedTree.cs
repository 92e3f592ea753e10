using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using NSec.Cryptography;

namespace Mallku.Secrets.Ledger;

/// <summary>
/// So many entries of a ledger with this root, as its key has signed them: in a checkpoint, or in one without the line that
/// only a writer of the ledger needs (C2SP tlog-checkpoint has no such line).
/// </summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct SignedTree(long Size, TreeHash Root)
{
    /// <summary>Signs the tree of the first entries of a ledger, which its newest checkpoint has signed with the rest.</summary>
    internal static string Sign(TreeFrontier tree, LedgerKey key)
    {
        using Key native = key.ToNative();
        return SignedNote.Sign(ToText(key.Origin, tree.Size, tree.GetRoot()), key.Verifier, native);
    }

    /// <summary>What a key has signed; null for every other note.</summary>
    internal static SignedTree? Open(string note, NoteVerifier verifier)
    {
        var bytes = Encoding.UTF8.GetBytes(note);
        if (LedgerFolder.OpenCheckpoint(bytes, verifier) is { } checkpoint)
        {
            return new SignedTree(checkpoint.Size, checkpoint.Root);
        }

        return SignedNote.Open(bytes, verifier) is { } text
            && text.Split('\n') is [_, var number, var hash, ""]
            && long.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var size)
            && TreeHash.TryParseBase64(hash, out var root)
            && text == ToText(verifier.Name, size, root)
                ? new SignedTree(size, root)
                : null;
    }

    private static string ToText(string origin, long size, TreeHash root) => string.Create(CultureInfo.InvariantCulture, $"{origin}\n{size}\n{root}\n");
}
