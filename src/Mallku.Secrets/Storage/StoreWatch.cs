using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;

namespace Mallku.Secrets.Storage;

/// <summary>
/// Follows what changes in a shared store while a process runs, and knows whether the store answers. Comes back by itself
/// after an outage, waiting longer after each failure, and never the same time as other instances. Safe for concurrent use.
/// </summary>
[SuppressMessage("Design", "CA1001", Justification = "The one that ends the following is wiped with it.")]
internal sealed class StoreWatch(IRecordStore records, TimeProvider clock, Action<RecordKey?> changed)
{
    private const long MillisecondsInVain = 1000;
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100), LongestPause = TimeSpan.FromSeconds(10);

    private readonly CancellationTokenSource _end = new();
    private readonly Lock _gate = new();
    private Task? _following;
    private long _lastAlive;
    private volatile bool _isFollowing;
    private volatile StoreUnreachableException? _outage;
    private long _outageNoted;

    /// <summary>Whether every change is told as it is made.</summary>
    internal bool IsFollowing => _isFollowing;

    /// <summary>
    /// Why the store does not answer, where asking it would be in vain: it is asked again and again by who follows it, or was
    /// asked a moment ago. Null where it answers, or where it is time to ask.
    /// </summary>
    internal StoreUnreachableException? Outage =>
        _following is { IsCompleted: false } || Environment.TickCount64 - Volatile.Read(ref _outageNoted) < MillisecondsInVain ? _outage : null;

    /// <summary>For how long nothing was heard of the store.</summary>
    internal TimeSpan Silence => _isFollowing ? TimeSpan.Zero : clock.GetElapsedTime(Volatile.Read(ref _lastAlive));

    /// <summary>Follows from now on; does nothing where it does so already.</summary>
    internal void Begin()
    {
        if (_following is null)
        {
            lock (_gate)
            {
                _following ??= _end.IsCancellationRequested ? Task.CompletedTask : Task.Run(FollowAsync);
            }
        }
    }

    /// <summary>Notes that the store has answered just now.</summary>
    internal void NoteAnswer()
    {
        Volatile.Write(ref _lastAlive, clock.GetTimestamp());
        _outage = null;
    }

    /// <summary>Notes that it does not answer.</summary>
    internal void NoteOutage(StoreUnreachableException outage)
    {
        Volatile.Write(ref _outageNoted, Environment.TickCount64);
        _outage = outage;
    }

    /// <summary>Ends the following.</summary>
    internal async ValueTask EndAsync()
    {
        Task? following;
        lock (_gate)
        {
            _end.Cancel();
            following = _following;
        }

        if (following is not null)
        {
            await following.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    // a silence is found out some seconds after it began, and an answer may have come since its last sign on the watch
    private void NoteSign(TimeSpan ago)
    {
        var sign = clock.GetTimestamp() - (long)(ago.TotalSeconds * clock.TimestampFrequency);
        Volatile.Write(ref _lastAlive, Math.Max(sign, Volatile.Read(ref _lastAlive)));
    }

    private async Task FollowAsync()
    {
        var pause = FirstPause;
        while (!_end.IsCancellationRequested)
        {
            long? lastHeard = null;
            StoreUnreachableException? broken = null;
            try
            {
                await foreach (var key in records.WatchAsync(_end.Token).ConfigureAwait(false))
                {
                    if (!_isFollowing)
                    {
                        NoteAnswer();
                        _isFollowing = true;
                        pause = FirstPause;
                    }

                    changed(key);
                }
            }
            catch (SecretsException e)
            {
                broken = e as StoreUnreachableException ?? new StoreUnreachableException(e.Problem, e.Remedy, e);
                lastHeard = broken.LastHeard;
            }
            catch (Exception e) when (e is ObjectDisposedException || (e is OperationCanceledException && _end.IsCancellationRequested))
            {
                // nobody uses it any more
                return;
            }
            finally
            {
                if (_isFollowing)
                {
                    NoteSign(lastHeard is { } heard ? Stopwatch.GetElapsedTime(heard) : TimeSpan.Zero);
                    if (broken is not null)
                    {
                        NoteOutage(broken);
                    }

                    _isFollowing = false;

                    // what was known is answered for otherwise from now on
                    changed(null);
                }
            }

            await FindOutAsync().ConfigureAwait(false);
            await Task.Delay(Jitter.Of(pause), clock, _end.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            pause = pause < LongestPause / 2 ? pause * 2 : LongestPause;
        }
    }

    // a store that can't be followed, since it has no connection left for that, may answer all the same
    private async Task FindOutAsync()
    {
        try
        {
            await records.ReadAsync(StoreRoot.Record, _end.Token).ConfigureAwait(false);
            NoteAnswer();
        }
        catch (StoreUnreachableException e)
        {
            NoteOutage(e);
        }
        catch (Exception e) when (e is SecretsException or ObjectDisposedException or OperationCanceledException)
        {
            // that is for who asks
        }
    }
}
