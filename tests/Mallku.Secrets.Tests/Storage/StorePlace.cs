using Mallku.Secrets.Ledger;
using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Tests.Storage;

/// <summary>Where the secrets of one test lie, to be opened as often as machines or processes use them.</summary>
internal abstract class StorePlace : IAsyncDisposable
{
    public TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>Opens it once more.</summary>
    public ISecretStore OpenStore() => OpenAt(Clock);

    /// <summary>The same, by a clock of its own.</summary>
    public abstract ISecretStore OpenAt(TimeProvider clock);

    /// <summary>What the ledgers of all who have it open were told of changes, in their order.</summary>
    public abstract Task<IReadOnlyList<LedgerEvent>> ToldAsync();

    /// <summary>Makes what there is of the secrets unreadable; what is returned puts it back.</summary>
    public abstract Task<Func<Task>> DamageAsync();

    public abstract ValueTask DisposeAsync();
}
