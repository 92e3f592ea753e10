using Mallku.Secrets.Ledger;
using Mallku.Secrets.Vault;

namespace Mallku.Cli.Commands;

/// <summary>A vault's ledger with its key, to look into.</summary>
/// <param name="Vault">The vault.</param>
/// <param name="Opened">What the vault holds.</param>
/// <param name="Link">What it knows of its ledger.</param>
/// <param name="Session">The ledger.</param>
internal sealed record OpenedLedger(FileVault Vault, OpenedVault Opened, LedgerLink Link, LedgerSession Session)
{
    internal LedgerFolder Folder => Vault.Ledger.Folder;

    internal NoteVerifier Verifier => Session.Key.Verifier;

    /// <summary>The checkpoint that the vault keeps.</summary>
    internal KeptCheckpoint Kept => new(Session.ReadKnown(Link.Checkpoint), LedgerInspection.KeptByVault(Opened.Document));

    /// <summary>What stands in it for the secrets' names.</summary>
    internal NamePseudonyms Pseudonyms => Session.Key.Pseudonyms;

    /// <summary>The entries up to a checkpoint, with the names that the vault knows, the oldest first, read as they are asked for.</summary>
    /// <param name="newest">How far they go.</param>
    /// <param name="after">A checkpoint of before: only what came since is read.</param>
    internal IEnumerable<LedgerEntry> ReadEntries(Checkpoint newest, Checkpoint? after = null) =>
        LedgerLog.ReadEntries(Folder, newest, after).Select(new KnownNames(Pseudonyms, Opened.Document.Secrets.Keys).Reveal);

    /// <exception cref="SecretsException">There is no vault, it can't be opened, or it has no ledger yet.</exception>
    internal static async ValueTask<OpenedLedger> OpenAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var vault = invocation.OpenVault();
        var opened = await Invocation.RequireAsync(vault, cancellationToken);
        return opened.Document.Ledger is { } link && vault.Ledger.Find(opened.Document) is { } session
            ? new OpenedLedger(vault, opened, link, session)
            : throw new SecretsException($"{vault.Describe()} has no ledger yet", "it begins with the next write: mallku set NAME");
    }

    /// <summary>The newest checkpoint as it lies on the disk, signed.</summary>
    /// <exception cref="LedgerException">There is none that this ledger's key signed.</exception>
    internal string ReadNote()
    {
        // what is read twice may have become newer in between, and both are signed
        Session.ReadCurrent();
        return System.Text.Encoding.UTF8.GetString(LedgerFolder.ReadNote(Folder.CheckpointFile) ?? []);
    }
}
