using System.Text;
using Mallku.Secrets.Files;
using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Vault;

/// <summary>Looks whether who is to have each checkpoint of a vault's ledger has the newest one.</summary>
internal static class WitnessInspection
{
    internal const string Check = "witness";

    /// <summary>What the witness file has, to hold the ledger against; null where there is none, or nothing that this ledger's key signed.</summary>
    internal static KeptCheckpoint? ReadKept(VaultSettings settings, NoteVerifier verifier) =>
        Find(settings) is { } file && TryRead(file) is { } note && LedgerFolder.OpenCheckpoint(note, verifier) is { } known
            ? new KeptCheckpoint(known, file.Name, IsDemanded: true)
            : null;

    /// <summary>The state of what is set; nothing where nothing is. The command gets the newest checkpoint once more.</summary>
    internal static IEnumerable<Finding> Inspect(VaultSettings settings, LedgerFolder folder, NoteVerifier verifier)
    {
        if (Find(settings) is { } file)
        {
            yield return Inspect(file, folder, verifier);
        }

        if (settings.WitnessCommand is { } command)
        {
            yield return Inspect(command, settings.LedgerPatience, folder, verifier);
        }
    }

    /// <summary>What the witness file has, whoever signed it; nothing where there is none.</summary>
    /// <exception cref="LedgerException">It can't be read.</exception>
    internal static IReadOnlyList<KeptNote> ReadNotes(VaultSettings settings) =>
        Find(settings) is { } file && file.Read() is { } note ? [new KeptNote(Encoding.UTF8.GetString(note), file.Name)] : [];

    internal static WitnessFile? Find(VaultSettings settings) =>
        settings.WitnessFile is { } path ? new WitnessFile(path, settings.Clock) : null;

    private static Finding Inspect(WitnessFile file, LedgerFolder folder, NoteVerifier verifier)
    {
        try
        {
            // in this order: a writer who is at work brings it to the ledger first
            var newest = LedgerFolder.ReadNote(folder.CheckpointFile) ?? [];
            var note = file.Read();
            var ledger = LedgerFolder.OpenCheckpoint(newest, verifier);
            if (file.FindObstacle() is { } obstacle)
            {
                return new Finding(
                    FindingLevel.Error, Check, $"{file.Name} can't be written: {obstacle}", $"mend that, or name another file by {WitnessFile.Variable}");
            }

            if (note is null)
            {
                return new Finding(FindingLevel.Warning, Check, $"{file.Name} is not there yet, or was taken away", "the next entry writes it; look whether it was there before");
            }

            if (ledger is not null && LedgerFolder.OpenCheckpoint(note, verifier) is { } known && known.Size <= ledger.Size)
            {
                // where what came since was archived, no entry can be written
                if (known.Size < ledger.Size && LedgerGrowth.GoesOn(folder, known, ledger) is null)
                {
                    throw file.CannotCompare(folder, known);
                }

                // whether the ledger goes on from it, its own finding says, which has read all of it
                return known.Size < ledger.Size
                    ? new Finding(
                        FindingLevel.Warning,
                        Check,
                        $"{file.Name} is behind: it knows {known.Size} of {ledger.Size} entries",
                        $"the next entry brings it up to date; a program that runs without {WitnessFile.Variable} leaves it behind")
                    : new Finding(FindingLevel.Ok, Check, $"{file.Name} has the newest checkpoint", null);
            }

            return file.FindFault(note, new LedgerState(folder, ledger, newest), verifier) is { } fault
                ? new Finding(FindingLevel.Error, Check, fault.Problem, fault.Remedy)
                : new Finding(FindingLevel.Ok, Check, $"{file.Name} has the newest checkpoint", null);
        }
        catch (LedgerException e)
        {
            return new Finding(FindingLevel.Error, Check, e.Problem, e.Remedy);
        }
    }

    // under the lock, so that it gets no checkpoint after a newer one
    private static Finding Inspect(string command, TimeSpan patience, LedgerFolder folder, NoteVerifier verifier)
    {
        var descriptor = folder.LockWithin(patience);
        try
        {
            var note = LedgerFolder.ReadNote(folder.CheckpointFile);
            if (note is null || LedgerFolder.OpenCheckpoint(note, verifier) is null)
            {
                return new Finding(FindingLevel.Warning, Check, $"{LedgerWitness.CommandName} was not tried: there is no checkpoint to give it", null);
            }

            return WitnessCommand.Run(command, Encoding.UTF8.GetString(note), patience) is { } problem
                ? new Finding(
                    FindingLevel.Error,
                    Check,
                    $"{LedgerWitness.CommandName} {problem}: it does not take the newest checkpoint",
                    $"look at what it says on standard error and mend it, or unset {LedgerWitness.CommandVariable}")
                : new Finding(FindingLevel.Ok, Check, $"{LedgerWitness.CommandName} takes the newest checkpoint", null);
        }
        finally
        {
            Posix.Release(descriptor);
        }
    }

    private static byte[]? TryRead(WitnessFile file)
    {
        try
        {
            return file.Read();
        }
        catch (LedgerException)
        {
            // its own finding says so
            return null;
        }
    }
}
