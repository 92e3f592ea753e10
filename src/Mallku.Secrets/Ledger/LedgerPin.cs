using System.Text;

namespace Mallku.Secrets.Ledger;

/// <summary>The public key that a vault's ledger must have, as somebody keeps it outside the vault's folder. Safe for concurrent use.</summary>
/// <param name="key">The key, where that is one; otherwise a path was given.</param>
/// <param name="path">The same text as an absolute path.</param>
internal sealed class LedgerPin(string key, string path)
{
    internal const string Variable = "MALLKU_LEDGER_KEY";
    private NoteVerifier? _verifier;

    /// <summary>The key; read when it is first asked for.</summary>
    /// <exception cref="LedgerException">What was given is no key, nor a file with one.</exception>
    internal NoteVerifier Verifier => _verifier ??= NoteVerifier.Parse(key) ?? Read(path) ?? throw new LedgerException(
        $"{Variable} is neither a public key of a ledger nor a file that has one", "print it where the vault is known to be the right one: mallku audit key");

    private static NoteVerifier? Read(string file) =>
        File.Exists(file) && LedgerFolder.ReadNote(file) is { } text ? NoteVerifier.Parse(Encoding.UTF8.GetString(text)) : null;

    /// <summary>Refuses a ledger of another key, or none.</summary>
    /// <param name="vault">The vault in words.</param>
    /// <param name="found">Its ledger's key; null where it has no ledger.</param>
    /// <exception cref="LedgerException">It is another.</exception>
    internal void Require(string vault, NoteVerifier? found)
    {
        if (found is null)
        {
            throw new LedgerException(
                $"{vault} has no ledger, and {Variable} pins the key {Verifier.Name}: it was put in the place of the one that is meant, or is from before its ledger",
                $"put that one back; where this one is meant, unset {Variable} until it has a ledger");
        }

        if (found.ToString() != Verifier.ToString())
        {
            throw new LedgerException(
                $"the ledger of {vault} is signed by the key {found.Name}, and {Variable} pins {Verifier.Name}: another vault was put in its place, or a new ledger was begun",
                $"put the right one back; where this one is meant, pin its key: env -u {Variable} mallku audit key");
        }
    }

    /// <summary>What to say where a ledger would begin, whose key can't be the pinned one.</summary>
    internal static LedgerException Excludes() => new(
        $"{Variable} pins the key of a ledger that is there already, and a new ledger gets a key of its own; nothing was changed",
        $"unset {Variable} for this, then pin the new key: mallku audit key");
}
