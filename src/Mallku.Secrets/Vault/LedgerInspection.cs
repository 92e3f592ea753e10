using System.Globalization;
using Mallku.Secrets.Files;
using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Vault;

/// <summary>Looks over a vault's ledger, changing nothing.</summary>
internal static class LedgerInspection
{
    internal const string Check = "ledger", PinCheck = "ledger-key";

    internal static ValueTask<IReadOnlyList<Finding>> InspectAsync(FileVault vault, OpenedVault opened, CancellationToken cancellationToken) => vault.LookAtLedgerAsync(
        opened, now => LookAsync(vault, now, cancellationToken), static findings => findings.Any(static finding => finding.Level == FindingLevel.Error), cancellationToken);

    private static async ValueTask<IReadOnlyList<Finding>> LookAsync(FileVault vault, OpenedVault opened, CancellationToken cancellationToken)
    {
        try
        {
            if (opened.Document.Ledger is not { } link)
            {
                vault.Ledger.Try(opened.Document);
                return [new Finding(FindingLevel.Ok, Check, $"there is no ledger yet: it begins with {vault.Settings.LedgerBeginsWith}", null)];
            }

            return await InspectAsync(vault, opened.Document, link, cancellationToken).ConfigureAwait(false);
        }
        catch (SecretsException e)
        {
            return [new Finding(FindingLevel.Error, Check, e.Problem, e.Remedy)];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [new Finding(FindingLevel.Error, Check, e.Message.TrimEnd('.'), $"look at the modes of '{vault.Ledger.Folder.Path}' and of what is in it")];
        }
    }

    private static async ValueTask<IReadOnlyList<Finding>> InspectAsync(FileVault vault, VaultDocument document, LedgerLink link, CancellationToken cancellationToken)
    {
        var folder = vault.Ledger.Folder;
        var findings = new List<Finding>();
        if (Posix.TryStat(folder.Path, out var facts))
        {
            PrivateFile.Require(facts, folder.Path);
        }

        var session = vault.Ledger.Find(document)!;
        var verifier = session.Key.Verifier;
        var kept = new List<KeptCheckpoint> { new(session.ReadKnown(link.Checkpoint), KeptByVault(document)) };
        if (WitnessInspection.ReadKept(vault.Settings, verifier) is { } witnessed)
        {
            kept.Add(witnessed);
        }

        var found = await new LedgerVerifier(folder, verifier).VerifyAsync(kept, progress: null, cancellationToken).ConfigureAwait(false);
        if (found.Fault is { } fault)
        {
            var since = found.Newest is null ? $"; the vault knew of it when it was last written, at {Show(document.Written)}" : "";
            findings.Add(new Finding(FindingLevel.Error, Check, fault.Problem + since, fault.Remedy));
        }
        else if (await vault.FindGenerationFaultAsync(document, found.Newest!, cancellationToken).ConfigureAwait(false) is { } other)
        {
            findings.Add(new Finding(FindingLevel.Error, Check, other.Problem, other.Remedy));
        }
        else
        {
            findings.Add(new Finding(FindingLevel.Ok, Check, Describe(folder, found), null));
            AddIfUnwritable(vault.Ledger, document, findings);
        }

        foreach (var tail in found.Tails)
        {
            findings.Add(new Finding(
                FindingLevel.Warning,
                Check,
                $"{tail.Bytes} bytes in '{tail.File}' are behind the checkpoint: a write was cut off, or somebody added them",
                "the next entry puts them aside and says so; or: mallku set NAME"));
        }

        if (vault.Settings.LedgerPin is { } pin)
        {
            findings.Add(new Finding(FindingLevel.Ok, PinCheck, $"the ledger has the key that {LedgerPin.Variable} pins: {pin.Verifier.Name}", null));
        }

        findings.AddRange(WitnessInspection.Inspect(vault.Settings, folder, verifier));
        if (link.IsSuspended)
        {
            findings.Add(new Finding(
                FindingLevel.Warning, Check, "the vault was last changed without the ledger, which was switched off", "the next write without --no-ledger goes on with it"));
        }

        return findings;
    }

    private static void AddIfUnwritable(VaultLedger ledger, VaultDocument document, List<Finding> findings)
    {
        try
        {
            ledger.Try(document);
        }
        catch (LedgerException e)
        {
            findings.Add(new Finding(FindingLevel.Error, Check, e.Problem, e.Remedy));
        }
    }

    /// <summary>The vault in words, as one who keeps a checkpoint.</summary>
    internal static string KeptByVault(VaultDocument document) => $"the vault of {Show(document.Written)}";

    private static string Describe(LedgerFolder folder, LedgerVerification found)
    {
        var entries = found.Newest!.Size;
        var what = $"the ledger is as it was signed, and as the vault knows it: {entries} {(entries == 1 ? "entry" : "entries")}";
        var archived = found.First > 0 ? $", of which {found.First} are archived" : "";
        var last = LedgerLog.ReadLast(folder, found.Newest) is { } entry ? $", the last of {Show(entry.Time)}" : "";
        return what + archived + last;
    }

    private static string Show(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);
}
