namespace Mallku.Secrets.Storage;

/// <summary>
/// The tries of a write that is made only where nothing was changed since it was read: each behind a pause by chance, which
/// grows, and so many at most. What is refused though nothing was changed, or has no answer and was not made, is tried again
/// a few times.
/// </summary>
/// <param name="what">What is written, in words.</param>
/// <param name="where">The medium, in words.</param>
internal sealed class WriteTries(string what, string where)
{
    private const int Most = 50, MostUnchanged = 5, MostLost = 3;
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(5), LongestPause = TimeSpan.FromMilliseconds(200);

    private TimeSpan _pause = FirstPause;
    private int _unchanged;
    private int _lost;

    /// <summary>How it ends where it is given up.</summary>
    internal (string Outcome, string Remedy) Ending { get; init; } = ("nothing was changed", "try again");

    /// <summary>How many were not made.</summary>
    internal int Count { get; private set; }

    /// <summary>Counts one that was refused.</summary>
    /// <param name="isUnchanged">Whether all is there as it was read, so that nobody was faster.</param>
    /// <exception cref="SecretsException">There were enough of them.</exception>
    internal void NoteRefused(bool isUnchanged)
    {
        // a medium may refuse one of two that come at the same moment, and then take neither
        _unchanged = isUnchanged ? _unchanged + 1 : 0;
        if (_unchanged == MostUnchanged)
        {
            throw new SecretsException(
                $"{where} refuses each write of {what}, though nobody has changed it since it was read; {Ending.Outcome}",
                "see what keeps it from being written there: in PostgreSQL a row-level security policy, a trigger or a rule of a table, or another function 'write' than the store was made with");
        }

        if (++Count == Most)
        {
            throw new SecretsException($"others write {what} in {where} all the time; {Ending.Outcome}", Ending.Remedy);
        }
    }

    /// <summary>Counts one that had no answer, and was found not to be made.</summary>
    /// <exception cref="SecretsException">There were enough of them, or the medium had refused it.</exception>
    internal void NoteNotMade(StoreUnreachableException lost)
    {
        if (lost.Refusal is { } refusal)
        {
            throw new SecretsException($"{refusal.Problem}; {Ending.Outcome}", refusal.Remedy, lost);
        }

        Count++;
        if (++_lost == MostLost)
        {
            throw new StoreUnreachableException($"{lost.Problem}; a look has shown that it is not, {MostLost} times: {Ending.Outcome}", Ending.Remedy, lost);
        }
    }

    /// <summary>Waits for the next one.</summary>
    /// <exception cref="OperationCanceledException">It is not wanted any more.</exception>
    internal async ValueTask WaitAsync(CancellationToken cancellationToken)
    {
        await Task.Delay(Jitter.Of(_pause), cancellationToken).ConfigureAwait(false);
        _pause = _pause < LongestPause / 2 ? _pause * 2 : LongestPause;
    }
}
