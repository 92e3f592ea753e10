using Mallku.Secrets.Files;

namespace Mallku.Secrets.Ledger;

/// <summary>What to say where a ledger can't be used, wherever that is found.</summary>
internal static class LedgerErrors
{
    internal static LedgerException CannotWrite(LedgerFolder folder, Exception cause) => new(
        $"the ledger in '{folder.Path}' can't be written ({(cause as SecretsException)?.Problem ?? cause.Message.TrimEnd('.')}){LedgerException.NothingDone}",
        $"{(cause as SecretsException)?.Remedy ?? "mend that"}; or copy its folder to another place and name that by MALLKU_LEDGER_DIR, or go on without a trace: {LedgerException.NoLedger}",
        cause);

    /// <summary>A ledger that is to begin, and has no folder yet.</summary>
    /// <param name="folder">Its place.</param>
    /// <param name="vault">The vault's folder, which is written with it.</param>
    /// <param name="cause">Why the folder can't be made.</param>
    internal static LedgerException CannotBegin(LedgerFolder folder, string vault, PosixException cause)
    {
        var parent = Path.GetDirectoryName(folder.Path)!;
        var remedy = parent != vault ? $"make a folder of '{parent}' that this user can write, or name another place by MALLKU_LEDGER_DIR"
            : cause.Error == Posix.AccessDenied ? $"let this user write into the vault's folder, where it begins: chmod 700 {PrivateFile.ShellQuote(vault)}"
            : "mend that: the vault is written when its ledger begins, also where MALLKU_LEDGER_DIR names another place for that";
        return new(
            $"the vault '{vault}' has no ledger yet, and none can be begun ({cause.Message.TrimEnd('.')}){LedgerException.NothingDone}",
            $"{remedy}; or go on without a trace: {LedgerException.NoLedger}",
            cause);
    }

    internal static LedgerException CannotRead(LedgerFolder folder, Exception cause) => new(
        $"the ledger in '{folder.Path}' can't be read ({(cause as SecretsException)?.Problem ?? cause.Message.TrimEnd('.')})",
        (cause as SecretsException)?.Remedy ?? "look at the modes of that folder and of what is in it, and at its disk",
        cause);

    internal static LedgerException Gone(LedgerFolder folder, string origin) =>
        new($"the ledger in '{folder.Path}' is gone, and the vault knows of one", WayOn(folder, origin)) { MayBeReplaced = true };

    /// <summary>A checkpoint in the ledger's place that is none of its key.</summary>
    internal static LedgerException NotSigned(LedgerFolder folder, string origin) => new(
        $"the checkpoint '{folder.CheckpointFile}' was not signed by the key of this vault's ledger, or is damaged", WayOn(folder, origin)) { MayBeReplaced = true };

    /// <summary>A vault that the ledger has not seen yet.</summary>
    internal static LedgerException OlderLedger(long generation, long to) => new(
        $"the vault is at generation {generation}, and its ledger knows it up to {to}: an older ledger was put back", LedgerException.WayOn);

    /// <summary>The same, which was then changed without the ledger.</summary>
    internal static LedgerException OlderVaultChanged(long? generation, long to) => new(
        $"the vault was at generation {generation} when it was changed without the ledger, which has seen it at {to}: an older vault was put back",
        "put the newer one back, or, where this one is wanted, say so: mallku key recover --as-is");

    /// <summary>A vault from before the newest changes that the ledger has.</summary>
    internal static LedgerException OlderVault(long generation, long to) => new(
        $"the vault is at generation {generation}, and its ledger has seen it at {to}: an older vault was put back",
        "put the newer one back, or, where the older one is wanted, say so: mallku key recover --as-is");

    /// <summary>How to get a ledger back that is not in its place: whoever was cut off while he gave it up has left it beside.</summary>
    internal static string? PutBack(LedgerFolder folder, string origin)
    {
        if (folder.FindAside(origin) is not { } aside)
        {
            return null;
        }

        var place = PrivateFile.ShellQuote(folder.Path);
        var move = $"mv {PrivateFile.ShellQuote(aside)} {place}";
        return $"it is kept beside its place; put it back: {(folder.Exists ? $"mv {place} {PrivateFile.ShellQuote(folder.Path + ".begun")} && {move}" : move)}";
    }

    private static string WayOn(LedgerFolder folder, string origin) => PutBack(folder, origin) ?? LedgerException.WayOn;
}
