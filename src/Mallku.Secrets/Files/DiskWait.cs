namespace Mallku.Secrets.Files;

/// <summary>
/// Calls to a disk that may not answer: a thread of their own makes them, and who needs them waits no longer than said. The
/// system gives no way to take such a call back, so that it may come to its end later.
/// </summary>
internal static class DiskWait
{
    /// <summary>What the calls come to.</summary>
    /// <param name="calls">Makes them, and runs to its end in any case.</param>
    /// <param name="patience">How long to wait.</param>
    /// <param name="path">What they are about, for the error.</param>
    /// <param name="outcome">What is to be said of what was asked for, after "so".</param>
    /// <param name="late">Takes what comes too late.</param>
    /// <exception cref="SecretsException">The disk did not answer in time.</exception>
    internal static async Task<T> ForAsync<T>(Func<Task<T>> calls, TimeSpan patience, string path, string outcome, Action<T>? late = null)
    {
        var running = Task.Factory.StartNew(calls, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).Unwrap();
        try
        {
            return await running.WaitAsync(patience).ConfigureAwait(false);
        }
        catch (TimeoutException e) when (!running.IsFaulted)
        {
            if (late is not null)
            {
                _ = running.ContinueWith(ended => late(ended.Result), CancellationToken.None, TaskContinuationOptions.OnlyOnRanToCompletion, TaskScheduler.Default);
            }

            throw new SecretsException($"the disk of '{path}' did not answer within {patience.TotalSeconds:0.#} s; {outcome}", "look at the disk and its file system, and try again when it answers", e);
        }
    }
}
