namespace Mallku.Secrets.Ledger;

/// <summary>
/// Brings batches to a ledger so that those that come at the same time share one flush, and nobody waits longer than said
/// for a disk that does not answer. Safe for concurrent use; costs a thread while there is something to write, and for a moment after it.
/// </summary>
/// <param name="folder">The ledger, for errors.</param>
/// <param name="appender">Who writes.</param>
/// <param name="patience">How long a caller waits.</param>
/// <param name="blocks">Whether the caller's thread is kept: it has nothing else to do, and waking another one takes longer.</param>
/// <param name="witness">Who has the checkpoint before a batch is done; null for nobody.</param>
internal sealed class LedgerQueue(LedgerFolder folder, LedgerAppender appender, TimeSpan patience, bool blocks, LedgerWitness? witness)
{
    // in which a witness command whose time is over is ended, and says so
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(1);

    // for which the thread waits for more: to make one, and the native key with it, takes as long as a flush
    private static readonly TimeSpan Idle = TimeSpan.FromMilliseconds(500);
    private readonly object _gate = new();
    private List<LedgerBatch> _waiting = [];
    private bool _isWriting;

    /// <summary>Writes a batch; it is durable when the task completes.</summary>
    /// <exception cref="LedgerException">It could not be written, or not in time; then it may be written later.</exception>
    internal async Task<LedgerCommit> AppendAsync(LedgerBatch batch)
    {
        using var watch = Telemetry.StartAppending();
        lock (_gate)
        {
            _waiting.Add(batch);
            if (!_isWriting)
            {
                _isWriting = true;

                // it writes for many, and in the context of none until it does
                new Thread(WriteAll, maxStackSize: 1 << 18) { IsBackground = true, Name = "mallku ledger" }.UnsafeStart();
            }
            else
            {
                Monitor.Pulse(_gate);
            }
        }

        try
        {
            var commit = await WaitAsync(batch).ConfigureAwait(false);
            watch.Succeed();
            return commit;
        }
        catch (LedgerException e)
        {
            watch.Fail(e);
            throw;
        }
    }

    private async Task<LedgerCommit> WaitAsync(LedgerBatch batch)
    {
        try
        {
            return await WaitAsync(batch, patience).ConfigureAwait(false);
        }
        catch (TimeoutException e)
        {
            var isBegun = !batch.TryGiveUp();
            if (isBegun && witness?.Busy is { } who)
            {
                return await WaitForWitnessAsync(batch, who).ConfigureAwait(false);
            }

            throw new LedgerException(
                $"the ledger in '{folder.Path}' could not be written within {patience.TotalSeconds:0.#} s, so nothing was handed out or changed",
                "look at its disk and at who holds its lock, or go on without a trace: --no-ledger",
                e) { Late = isBegun ? batch.Done : null };
        }
    }

    private async Task<LedgerCommit> WaitAsync(LedgerBatch batch, TimeSpan time) => blocks
        ? Task.WaitAny([batch.Done], time) == 0 ? await batch.Done.ConfigureAwait(false) : throw new TimeoutException()
        : await batch.Done.WaitAsync(time).ConfigureAwait(false);

    private async Task<LedgerCommit> WaitForWitnessAsync(LedgerBatch batch, string who)
    {
        try
        {
            return await WaitAsync(batch, Grace).ConfigureAwait(false);
        }
        catch (TimeoutException e)
        {
            throw LedgerWitness.TooSlow(who, patience, e, batch.Done);
        }
    }

    private void WriteAll()
    {
        while (Take() is { } batches)
        {
            appender.Write(batches);
        }
    }

    // null where nobody has come for a while: the next one begins anew
    private List<LedgerBatch>? Take()
    {
        lock (_gate)
        {
            if (_waiting.Count == 0)
            {
                Monitor.Wait(_gate, Idle);
            }

            if (_waiting.Count == 0)
            {
                appender.Rest();
                _isWriting = false;
                return null;
            }

            var batches = _waiting;
            _waiting = [];
            return batches;
        }
    }
}
