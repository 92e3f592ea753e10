using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Storage;

/// <summary>How a process uses a shared store.</summary>
/// <param name="Clock">The clock of versions' times.</param>
/// <param name="Purpose">For what, as the ledger says it.</param>
/// <param name="Record">Makes events durable in the process's ledger, or throws; returns a checkpoint that has them, null where there is no ledger.</param>
/// <param name="HidesNames">Whether that has pseudonyms in the place of names.</param>
/// <param name="Seen">What this machine has seen of the store.</param>
/// <param name="MaxStaleness">How old an answer may be while the store does not answer.</param>
/// <param name="Follows">Whether changes are followed: not by a command that ends at once.</param>
internal sealed record StoreUse(
    TimeProvider Clock,
    string? Purpose,
    Func<IReadOnlyList<LedgerEvent>, CancellationToken, ValueTask<Checkpoint?>> Record,
    Func<CancellationToken, ValueTask<bool>> HidesNames,
    SeenGenerations Seen,
    TimeSpan MaxStaleness,
    bool Follows)
{
    /// <summary>The process's ledger as it is now; null where there is none, or it is switched off.</summary>
    internal Func<CancellationToken, ValueTask<LedgerView?>> OpenLedger { get; init; } = static _ => new((LedgerView?)null);

    /// <summary>How many versions of a secret the store is to keep from the next change on; null for what it says.</summary>
    internal int? KeepVersions { get; init; }

    /// <summary>What this machine has seen of what the store holds of itself, under the store's id; null for nothing kept.</summary>
    internal SeenGenerations? SeenRoot { get; init; }

    /// <summary>How many entries of each instance's ledger this machine has seen in the store.</summary>
    internal required SeenGenerations SeenInstances { get; init; }
}
