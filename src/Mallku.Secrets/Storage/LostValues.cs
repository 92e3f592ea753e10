using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Storage;

/// <summary>
/// Values that a shared store had, and that are gone from it or do not open. Nobody can use such a version, whatever its state,
/// so that it holds nothing else of its secret up.
/// </summary>
internal static class LostValues
{
    /// <summary>What to say to whoever needs one.</summary>
    /// <param name="store">The store in words.</param>
    /// <param name="record">The secret.</param>
    /// <param name="lost">Its versions whose values are lost.</param>
    internal static SecretsException Fault(string store, SecretRecord record, IReadOnlyList<VersionRecord> lost)
    {
        var name = SecretsException.Show(record.Name);
        var wayOn = lost.Any(static version => version.State == SecretVersionState.Pending) ? $"give its rotation up: mallku rotate {name} --abandon" : "set it again";
        return new SecretsException(
            $"{store} has lost the value of version {Join(lost)} of '{name}', which is gone or does not open: it was tampered with, or put back in part",
            $"{wayOn}, or put a backup of the store back");
    }

    /// <summary>Refuses a version whose value is lost.</summary>
    internal static void RequireKept(SecretRecord record, VersionRecord? version)
    {
        if (version is { IsLost: true })
        {
            throw Fault("the store", record, [version]);
        }
    }

    /// <summary>
    /// Gives up, with a change of their secret, the lost values of all versions but the current one, which a lookup must go on to
    /// name, and the one that a rotation is making, which ends with that. The ledger says it once.
    /// </summary>
    /// <param name="lost">The versions whose values were lost before the change.</param>
    /// <param name="events">What the ledger is to say of the change.</param>
    internal static void GiveUp(List<VersionRecord> lost, List<LedgerEvent> events)
    {
        var over = lost.FindAll(static version => version.State is not (SecretVersionState.Current or SecretVersionState.Pending));
        if (over.Count == 0 || events is not [.., var last])
        {
            return;
        }

        foreach (var version in over)
        {
            // whoever has the value yet may use it as long as he was told, and its key stays until then
            version.RevokeAfter ??= version.HasKeyToRevoke ? version.GraceEnds : null;
            (version.State, version.GraceEnds, version.HasValue) = (SecretVersionState.Retired, null, false);
        }

        var note = $"the store had lost the value of version {Join(over)}";
        events[^1] = last with { Note = last.Note is null ? note : $"{last.Note}; {note}" };
    }

    private static string Join(IReadOnlyList<VersionRecord> versions) => string.Join(", ", versions.Select(static version => version.Number));
}
