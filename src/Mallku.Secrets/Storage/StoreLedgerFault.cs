using Mallku.Secrets.Ledger;
using Mallku.Secrets.Models;

namespace Mallku.Secrets.Storage;

/// <summary>What to say of what a shared store has of an instance's ledger.</summary>
internal static class StoreLedgerFault
{
    private const string WayOn = "put the store's records of it back from a backup; that machine's own ledger still has them: mallku audit log, there";

    private const string Foreign = "put what was removed back from a backup, or let the database's owner remove the record where no machine has told it; it is left out wherever entries are shown; somebody who may write there has done it: look who can";

    private const string Tell =
        "let that machine tell it: mallku audit verify --all, there; where it has told it, the entries were removed from the store; where it is gone for good, or has begun a new ledger, set again what it changed";

    internal static LedgerFault Unopened(string id) => new(null, null, $"what the store has of the instance {id} does not authenticate: it was altered", WayOn);

    internal static LedgerFault OtherKey(string id) => new(
        null,
        null,
        $"what the store knows of the instance {id} has another key than the one that has signed its first entries: whoever has the store's key has replaced it, and nothing in the instance's name is shown",
        "let that machine tell the store, which writes its key anew: mallku audit verify --all, there; look who has the store's key");

    /// <param name="id">The instance's.</param>
    /// <param name="seen">How many entries of it this machine has seen there.</param>
    /// <param name="forget">What to do where they are gone for good.</param>
    internal static LedgerFault Lost(string id, long seen, string forget) => new(
        0, seen - 1, $"the store has nothing any more of the instance {id}, of which this machine has seen {seen} entries there", $"{WayOn}; {forget}");

    internal static LedgerFault Shrunk(InstanceHead head, long seen, string forget) => new(
        head.Size,
        seen - 1,
        $"the store has {head.Size} entries of {Name(head)}, and this machine has seen {seen} there: an older state was put back",
        $"{WayOn}; {forget}");

    internal static LedgerFault Gone(InstanceHead head, long from, long told) =>
        new(from, null, $"the entries of {Name(head)} from {from} on are gone from the store, which was told {told}", WayOn);

    internal static LedgerFault Behind(InstanceHead head, long signed) => new(
        head.Size,
        signed - 1,
        $"the store has {signed} entries that {Name(head)} has signed, and knows of {head.Size}: somebody has put back what the store knew of it",
        "that machine writes it anew when it tells the store again: mallku audit verify --all, there");

    // none of these is shown or counted as the instance's
    internal static LedgerFault Stray(InstanceHead head, long signed, IReadOnlyList<StrayRecord> strays)
    {
        var (first, more) = (strays[0], strays.Count == 1 ? "" : $" (and {strays.Count - 1} more such records)");
        var record = SecretsException.Show(first.Record);
        return first.First > signed
            ? new(signed, null, $"the store was told {signed} entries of {Name(head)}, and has the audit record {record} behind them{more}: somebody has put it there, or has put back what the store knew of it", Foreign)
            : new(
                first.First,
                null,
                $"the audit record {record} in the name of {Name(head)} is none of its: {(first.Entries == 0 ? "it does not authenticate" : $"the machine has not signed the {Count(first.Entries)} in it")}{more}",
                Foreign);
    }

    internal static LedgerFault Unsigned(InstanceHead head, long from, long to, string record) => new(
        from,
        to - 1,
        $"{Name(head)} has not signed the last {Count(to - from)} that the store has in its name, from the audit record {SecretsException.Show(record)} on: whoever has the store's key has written {(to - from == 1 ? "it" : "them")}, or an older program was cut off while it told {(to - from == 1 ? "it" : "them")}",
        "let that machine tell the store: mallku audit verify --all, there, which takes up what is its; " + Foreign);

    internal static LedgerFault ForkTold(InstanceHead head, long from, string record) => new(
        from,
        null,
        $"{Name(head)} has signed other entries from {from} on, in the audit record {SecretsException.Show(record)}, than it had told the store before: its ledger was put back to an older state, and went on from there",
        "look who can do that there, and begin a new ledger there: mallku audit restart; once its owner has removed the record and those of that machine behind it from the store, nothing of this is left");

    internal static LedgerFault Headless(string record) => new(
        null, null, $"the store has the audit record {SecretsException.Show(record)}, and knows no such instance: what the store knew of it was removed, or somebody has put the record there", Foreign);

    internal static LedgerFault NoSecret(RecordOpenException e) => new(null, null, $"nobody can tell who changed a secret last: {e.Problem}", e.Remedy);

    internal static LedgerFault Unknown(SilentInstance silent) => new(
        0, silent.Entries - 1, $"{SecretsException.Show(silent.By)} has changed secrets of the store since {Show(silent.Since)}, and the store has nothing of its ledger (the instance {silent.Id})", Tell);

    internal static LedgerFault Silent(StoreInstance instance, SilentInstance silent) => new(
        instance.Entries,
        silent.Entries - 1,
        $"{SecretsException.Show($"{instance.User}@{instance.Host}")} has changed secrets of the store since {Show(silent.Since)} and does not tell of it: the store has {instance.Entries} entries of its ledger, which has {silent.Entries} at least",
        Tell);

    internal static LedgerFault Forked(InstanceHead head, RecordedChange change) => new(
        0,
        change.Entries - 1,
        $"the first {change.Entries} entries that the store has of {Name(head)} are not those that it had when it changed a secret at {Show(change.Time)}",
        "its ledger was put back, or written anew: look who can do that there, begin a new one there (mallku audit restart), and set again what it changed");

    internal static LedgerFault Altered(InstanceHead head, long entry) => new(entry, null, $"what the store has of {Name(head)} from entry {entry} on was altered", WayOn);

    internal static LedgerFault Other(InstanceHead head, long from, long to) => new(
        from,
        to - 1,
        $"the entries {from} to {to - 1} that the store has of {Name(head)} are not those that it signed",
        "whoever has the store's key has written them: look who that can be; that machine's own ledger has the right ones: mallku audit log, there");

    private static string Count(long entries) => entries == 1 ? "entry" : $"{entries} entries";

    private static string Show(DateTimeOffset time) => SecretFormat.Format(time);

    private static string Name(InstanceHead head) => SecretsException.Show($"{head.User}@{head.Host}");
}
