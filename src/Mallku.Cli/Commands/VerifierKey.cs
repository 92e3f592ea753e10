using System.CommandLine;
using System.Text;
using Mallku.Cli.Transfer;
using Mallku.Secrets.Ledger;

namespace Mallku.Cli.Commands;

/// <summary>The public key by which a ledger is checked, where it does not come from the vault.</summary>
internal static class VerifierKey
{
    internal static Option<string?> Option() => new("--key") { HelpName = "KEY", Description = "the public key or a file that has it, instead of the vault's" };

    /// <exception cref="UsageException">It is neither a key nor a file with one.</exception>
    internal static NoteVerifier Read(string keyOrFile) =>
        NoteVerifier.Parse(keyOrFile)
        ?? (File.Exists(keyOrFile) ? NoteVerifier.Parse(Encoding.UTF8.GetString(GivenFile.Read(keyOrFile, SignedNote.MaxLength))) : null)
        ?? throw new UsageException("--key is neither a public key of a ledger nor a file that has one", "print it where the vault is: mallku audit key");
}
