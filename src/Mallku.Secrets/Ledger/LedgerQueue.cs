namespace Mallku.Secrets.Ledger;

/// <summary>
/// Brings batches to a ledger so that those that come at the same time share one flush, and nobody waits longer than said
/// for a disk that does not answer. Safe for concurrent use; costs a thread only while there is something to write.
/// </summary>
/// <param name="folder">The ledger, for errors.</param>
/// <param name="appender">Who writes.</param>
/// <param name="patience">How long a caller waits.</param>
/// <param name="blocks">Whether the caller's thread is kept: it has nothing else to do, and waking another one takes longer.</param>
internal sealed class LedgerQueue(LedgerFolder folder, LedgerAppender appender, TimeSpan patience, bool blocks)
{
    private readonly Lock _gate = new();
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
                new Thread(WriteAll, maxStackSize: 1 << 18) { IsBackground = true, Name = "mallku ledger" }.Start();
            }
        }

        try
        {
            var commit = blocks
                ? Task.WaitAny([batch.Done], patience) == 0 ? await batch.Done.ConfigureAwait(false) : throw new TimeoutException()
                : await batch.Done.WaitAsync(patience).ConfigureAwait(false);
            watch.Succeed();
            return commit;
        }
        catch (TimeoutException e)
        {
            var error = new LedgerException(
                $"the ledger in '{folder.Path}' could not be written within {patience.TotalSeconds:0.#} s, so nothing was handed out or changed",
                "look at its disk and at who holds its lock, or go on without a trace: --no-ledger",
                e) { Late = batch.TryGiveUp() ? null : batch.Done };
            watch.Fail(error);
            throw error;
        }
        catch (LedgerException e)
        {
            watch.Fail(e);
            throw;
        }
    }

    private void WriteAll()
    {
        while (true)
        {
            List<LedgerBatch> batches;
            lock (_gate)
            {
                if (_waiting.Count == 0)
                {
                    _isWriting = false;
                    return;
                }

                (batches, _waiting) = (_waiting, []);
            }

            appender.Write(batches);
        }
    }
}
