namespace Mallku.Secrets.Ledger;

/// <summary>
/// Brings batches to a ledger so that those that come at the same time share one flush, and nobody waits longer than said
/// for a disk that does not answer. Safe for concurrent use; costs a thread only while there is something to write.
/// </summary>
internal sealed class LedgerQueue(LedgerFolder folder, LedgerAppender appender, TimeSpan patience)
{
    private readonly Lock _gate = new();
    private List<LedgerBatch> _waiting = [];
    private bool _isWriting;

    /// <summary>Writes a batch; it is durable when the task completes.</summary>
    /// <exception cref="LedgerException">It could not be written, or not in time; then it may be written later.</exception>
    internal async Task<LedgerCommit> AppendAsync(LedgerBatch batch)
    {
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
            return await batch.Done.WaitAsync(patience).ConfigureAwait(false);
        }
        catch (TimeoutException e)
        {
            batch.GiveUp();
            throw new LedgerException(
                $"the ledger in '{folder.Path}' could not be written within {patience.TotalSeconds:0.#} s, so nothing was handed out or changed",
                "look at its disk and at who holds its lock, or go on without a trace: --no-ledger",
                e);
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
