namespace Mallku.Secrets.Ledger;

/// <summary>A change of the vault that an entry leads to.</summary>
/// <param name="From">The vault's generation before it.</param>
/// <param name="Writes">How many generations the change takes.</param>
/// <param name="WasSuspended">Whether the vault says that it was changed while the ledger was switched off.</param>
/// <param name="AcceptsOlder">Whether a person has said that an older vault is to be used.</param>
internal sealed record VaultStep(long From, int Writes, bool WasSuspended, bool AcceptsOlder)
{
    /// <summary>Where it was changed while the ledger was switched off: the generation before that; null where nobody knows.</summary>
    internal long? SuspendedAt { get; init; }

    /// <summary>The generation of the file that a person put there, where the change goes on from a greater one.</summary>
    internal long? PutBack { get; init; }

    /// <summary>Whether it was an older vault that was changed without the ledger, which has not told that yet.</summary>
    /// <param name="from">The generation from which the ledger's newest change leads.</param>
    internal bool WasPutBackBefore(long from) => WasSuspended && WasPutBack(From, SuspendedAt, from);

    /// <summary>The same of a vault that was changed without the ledger.</summary>
    /// <param name="generation">The vault's.</param>
    /// <param name="suspendedAt">That before the first such change.</param>
    /// <param name="from">The generation from which the ledger's newest change leads.</param>
    internal static bool WasPutBack(long generation, long? suspendedAt, long from) => generation > from && suspendedAt < from;

    /// <summary>The generation at which the vault is until the change is written.</summary>
    internal long Found => PutBack ?? From;

    /// <summary>The generation that it leads to: none that was ever planned is planned again.</summary>
    internal long GetTarget(long planned) => Math.Max(planned, From) + Writes;
}

/// <summary>A batch that is durable.</summary>
/// <param name="Checkpoint">What the ledger commits itself to since.</param>
/// <param name="Note">The same, signed.</param>
/// <param name="Generation">The generation that the vault's change leads to; 0 where there is none.</param>
internal sealed record LedgerCommit(Checkpoint Checkpoint, string Note, long Generation);

/// <summary>Events that become durable together, or not at all.</summary>
/// <param name="events">What happened.</param>
/// <param name="actor">Who did it.</param>
/// <param name="known">The checkpoint that the vault has: the ledger can't be behind it. Null where the ledger begins.</param>
/// <param name="step">The change of the vault, where the batch is one.</param>
internal sealed class LedgerBatch(IReadOnlyList<LedgerEvent> events, LedgerActor actor, Checkpoint? known, VaultStep? step)
{
    private const int Waiting = 0, Begun = 1, GivenUp = 2;
    private readonly TaskCompletionSource<LedgerCommit> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _state;

    internal IReadOnlyList<LedgerEvent> Events => events;

    internal LedgerActor Actor => actor;

    internal Checkpoint? Known => known;

    internal VaultStep? Step => step;

    /// <summary>In which it was asked for.</summary>
    internal ExecutionContext? Context { get; } = ExecutionContext.Capture();

    /// <summary>When it was asked for, by the system's coarse clock.</summary>
    internal long Asked { get; } = Environment.TickCount64;

    /// <summary>Whether a person began the ledger anew in the place of another one.</summary>
    internal bool IsRestart { get; init; }

    /// <summary>The checkpoint of a beginning that was cut off before any vault knew of it; null where there was none.</summary>
    internal byte[]? Orphan { get; init; }

    internal Task<LedgerCommit> Done => _done.Task;

    /// <summary>Takes the batch for writing; false where nobody waits for it any more.</summary>
    internal bool TryBegin() => Interlocked.CompareExchange(ref _state, Begun, Waiting) == Waiting;

    /// <summary>Takes it back: it will not be written. False where it was begun.</summary>
    internal bool TryGiveUp() => Interlocked.CompareExchange(ref _state, GivenUp, Waiting) == Waiting;

    internal void Succeed(LedgerCommit commit) => _done.TrySetResult(commit);

    internal void Fail(Exception error) => _done.TrySetException(error);
}
