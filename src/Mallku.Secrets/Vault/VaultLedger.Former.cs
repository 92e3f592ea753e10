using Mallku.Secrets.Files;
using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Vault;

// ledgers that are given up, and those that the vault knows nothing of
internal sealed partial class VaultLedger
{
    /// <summary>
    /// Gives the ledger up that is there, or that should be, and begins a new one, whose entries say so. What is there is
    /// kept under another name.
    /// </summary>
    /// <returns>Where it is kept; null where there was nothing.</returns>
    /// <exception cref="SecretsException">
    /// The vault has no ledger, or is older than it, or the ledger or the new one can't be written.
    /// </exception>
    internal static async ValueTask<string?> RestartAsync(FileVault vault, CancellationToken cancellationToken)
    {
        if (vault.Settings.LedgerPin is not null)
        {
            throw LedgerPin.Excludes();
        }

        if (!vault.Settings.UsesLedger)
        {
            // the vault would know of no ledger any more, and none would say since when
            throw new SecretsException("no ledger can be begun while it is switched off; nothing was changed", "do the same without --no-ledger and MALLKU_NO_LEDGER");
        }

        var ledger = vault.Ledger;
        string? kept = null;
        try
        {
            return await vault.ChangeAllAsync(GiveUp, cancellationToken).ConfigureAwait(false);
        }
        catch (SecretsException e) when (e is not LedgerException { Late: not null } && kept is not null)
        {
            ledger.PutBack(kept, isNotWritten: e is LedgerException);
            throw;
        }

        string? GiveUp(OpenedVault opened, List<LedgerEvent> events)
        {
            var link = ledger.RequireGivenUp(opened.Document.Ledger, opened.Generation);
            var aside = ledger.Folder.Exists ? ledger.SetAside() : null;
            // what is there may be what somebody began who was cut off here
            kept = ledger.Folder.FindAside(link.Origin) ?? ledger.Folder.FindAside(static folder => LedgerLog.Glance(folder) is null && folder.FindSegments().Count > 0) ?? aside;
            var note = $"the vault, at generation {opened.Generation}, knew {link.Checkpoint.Split('\n').ElementAtOrDefault(1)} entries of {link.Origin}, which is {(kept is null ? "gone" : "kept as " + Path.GetFileName(kept))}";
            opened.Document.Ledger = null;
            events.Insert(0, new LedgerEvent(LedgerKind.Restarted, Purpose: vault.Settings.Purpose, Note: note));
            return kept;
        }
    }

    // The vault still knows it. The new one may have entries: where the vault was surely not written with it, nobody knows of
    // them, and else it stays where it has a checkpoint.
    private void PutBack(string kept, bool isNotWritten)
    {
        try
        {
            if (!File.Exists(Folder.CheckpointFile))
            {
                if (Folder.Exists)
                {
                    Directory.Delete(Folder.Path, recursive: true);
                }
            }
            else if (isNotWritten)
            {
                FileReplacement.Rename(Folder.Path, $"{Folder.Path}.begun-{FileReplacement.Stamp(settings.Clock)}");
            }
            else
            {
                return;
            }

            FileReplacement.Rename(kept, Folder.Path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or SecretsException)
        {
            // the first error is the one to tell
        }
    }

    // a vault that is older than its ledger is no reason to give that up
    private LedgerLink RequireGivenUp(LedgerLink? link, long generation)
    {
        var isOwn = RequireOwn(link?.Origin);
        if (link is null)
        {
            throw FindUnknown(isOwn) is { } unknown ? Unknown(unknown) : new SecretsException("there is no ledger yet", $"it begins with {settings.LedgerBeginsWith}: mallku set NAME");
        }

        return TryReadNewest(link)?.Checkpoint is { } newest && generation < newest.FromGeneration
            ? throw LedgerErrors.OlderVault(generation, newest.ToGeneration)
            : link;
    }

    // no ledger, or one that nobody can go on with, is nobody's
    private enum Owner { Nobody, ThisVault, Another }

    private Owner Whose(string? origin = null)
    {
        if (!Folder.Exists || LedgerLog.Glance(Folder) is not { } newest)
        {
            return Owner.Nobody;
        }

        return newest.Origin == origin || IsOwn(newest.Origin) ? Owner.ThisVault : Owner.Another;
    }

    // beside the vault there can be no other vault's ledger
    private bool IsOwn(string origin) =>
        Path.GetDirectoryName(Folder.Path) == settings.Directory || LedgerKey.IsOf(origin, new TokenOpener(settings.Keys).All(), settings.Directory);

    private bool RequireOwn(string? origin = null) => Whose(origin) switch
    {
        Owner.Another => throw new LedgerException(
            $"'{Folder.Path}' holds another vault's ledger", $"name another folder by MALLKU_LEDGER_DIR, or, if nobody needs it, move it: mv {PrivateFile.ShellQuote(Folder.Path)} {PrivateFile.ShellQuote(Folder.Path + ".other")}"),
        var owner => owner == Owner.ThisVault,
    };

    // A ledger in use that a vault which knows of none should know: in its place, or beside it, where whoever gave it up was cut off.
    private string? FindUnknown(bool isOwn) => isOwn && LedgerLog.IsInUse(Folder)
        ? Folder.Path
        : Folder.FindAside(aside => LedgerLog.Glance(aside) is { } newest && IsOwn(newest.Origin) && LedgerLog.IsInUse(aside));

    private static LedgerException Unknown(string folder) => new(
        $"the vault knows of no ledger, and one is in use in '{folder}': a vault from before it was put back, or another program has started it afresh",
        "put the newer one back, or, where the one that is there is wanted, say so: mallku key recover --as-is");

    private LedgerEvent[] GivenUp() => [new(LedgerKind.Restarted, Purpose: settings.Purpose, Note: "the vault is from before the ledger that was in use, which is kept beside this one")];

    /// <summary>Gives a ledger another name beside its place, so that a new one can begin.</summary>
    /// <exception cref="LedgerException">It could not be renamed.</exception>
    private string SetAside()
    {
        int descriptor;
        try
        {
            descriptor = Folder.LockWithin(settings.LedgerPatience);
        }
        catch (IOException e)
        {
            throw LedgerErrors.CannotWrite(Folder, e);
        }

        var aside = $"{Folder.Path}.{FileReplacement.Stamp(settings.Clock)}";
        try
        {
            FileReplacement.Rename(Folder.Path, aside);
            return aside;
        }
        catch (SecretsException e)
        {
            throw LedgerErrors.CannotWrite(Folder, e);
        }
        finally
        {
            Posix.Release(descriptor);
        }
    }
}
