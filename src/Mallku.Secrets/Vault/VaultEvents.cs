using Mallku.Secrets.Ledger;
using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Vault;

/// <summary>What the ledger is to say of a vault's changes.</summary>
internal static class VaultEvents
{
    internal const string Store = "vault";

    /// <summary>What other programs changed since the last write, which the next one records.</summary>
    internal static List<LedgerEvent> OfOutside(VaultDocument document)
    {
        var events = new List<LedgerEvent>();
        foreach (var record in document.Secrets.Values)
        {
            if (record is { IsChangedOutside: true, Current: { } current })
            {
                events.Add(new LedgerEvent(
                    record.Versions.Count == 1 ? LedgerKind.Created : LedgerKind.Updated, record.Name, current.Number, VersionSources.External));
            }
            else if (record.IsRemovedOutside)
            {
                events.Add(new LedgerEvent(LedgerKind.Removed, record.Name, record.Versions.LastOrDefault()?.Number, VersionSources.External));
            }
        }

        return events;
    }
}
