using Mallku.Secrets.Ledger;
using Mallku.Secrets.Models;

namespace Mallku.Secrets.Storage;

/// <summary>Which ledger has a secret's newest change, and how far it went then: so much of it the store is told sooner or later.</summary>
/// <param name="Instance">Whose ledger.</param>
/// <param name="By">The user and the host, for people.</param>
/// <param name="Time">When, by that machine's clock.</param>
/// <param name="Entries">How many entries it had.</param>
/// <param name="Root">The root of its tree with so many.</param>
internal sealed record RecordedChange(string Instance, string By, DateTimeOffset Time, long Entries, string Root);

/// <summary>An instance that has changed secrets of a shared store, and has not told it of that.</summary>
/// <param name="Id">Its id in the store.</param>
/// <param name="By">The user and the host.</param>
/// <param name="Since">When it changed the first of those secrets that it has not told of.</param>
/// <param name="Entries">How many entries its ledger has at least.</param>
internal sealed record SilentInstance(string Id, string By, DateTimeOffset Since, long Entries)
{
    // longer than the longest pause before it is tried again where the store does not answer
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    /// <summary>Whether it had the time to tell.</summary>
    internal bool IsOverdue(DateTimeOffset now) => now - Since > Patience;
}

/// <summary>What the heads of a store's secrets say of ledgers. To be read before what instances have told, which only grows.</summary>
internal sealed class RecordedChanges
{
    private readonly Dictionary<string, List<RecordedChange>> _byInstance = new(StringComparer.Ordinal);

    /// <summary>The secrets whose heads do not authenticate, or are older than what this machine has seen, or are gone; by their ids.</summary>
    internal Dictionary<string, LedgerFault> Faults { get; } = new(StringComparer.Ordinal);

    internal static async ValueTask<RecordedChanges> ReadAsync(SealedStore store, CancellationToken cancellationToken)
    {
        var changes = new RecordedChanges();
        var suspects = store.Seen.Ids.ToHashSet(StringComparer.Ordinal);
        await foreach (var found in store.Records.ListAsync(RecordKind.Secret, "", before: null, cancellationToken).ConfigureAwait(false))
        {
            try
            {
                if (await store.Root.OpenAsync(found, static (sealing, found) => sealing.OpenModel(found), cancellationToken).ConfigureAwait(false) is { } head)
                {
                    changes.Add(head.Recorded);
                    if (head.Generation >= store.Seen.Get(found.Key.Id))
                    {
                        suspects.Remove(found.Key.Id);
                        store.Seen.Note(found.Key.Id, head.Generation);
                    }
                }
            }
            catch (RecordOpenException e)
            {
                changes.Faults.Add(found.Key.Id, StoreLedgerFault.NoSecret(e));
            }
        }

        // a look of its own: others may have made newer ones while the list was read
        foreach (var id in suspects.Where(id => !changes.Faults.ContainsKey(id)))
        {
            if (await store.FindFaultAsync(id, cancellationToken).ConfigureAwait(false) is { } fault)
            {
                changes.Faults.Add(id, new LedgerFault(null, null, fault.Problem, fault.Remedy));
            }
        }

        return changes;
    }

    internal void Add(RecordedChange? change)
    {
        if (change is not null)
        {
            if (!_byInstance.TryGetValue(change.Instance, out var changes))
            {
                _byInstance.Add(change.Instance, changes = []);
            }

            changes.Add(change);
        }
    }

    /// <summary>Those of an instance, in the order of its ledger.</summary>
    internal IReadOnlyList<RecordedChange> Of(string instance) =>
        _byInstance.TryGetValue(instance, out var changes) ? [.. changes.OrderBy(static change => change.Entries)] : [];

    /// <summary>Who has not told of changes.</summary>
    /// <param name="told">How many entries each instance has told.</param>
    internal IEnumerable<SilentInstance> FindSilent(IReadOnlyDictionary<string, long> told)
    {
        foreach (var (id, changes) in _byInstance)
        {
            var untold = changes.FindAll(change => change.Entries > told.GetValueOrDefault(id));
            if (untold.Count > 0)
            {
                yield return new SilentInstance(id, untold[^1].By, untold.Min(static change => change.Time), untold.Max(static change => change.Entries));
            }
        }
    }
}
