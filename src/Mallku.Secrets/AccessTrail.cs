using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.ExceptionServices;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Sources;
using Mallku.Secrets.Vault;

namespace Mallku.Secrets;

/// <summary>
/// Brings what a manager hands out into its vault's ledger: the first use of each version before the value is returned,
/// further uses as counts within a quarter of a second and at the end of the process. Safe for concurrent use.
/// </summary>
[SuppressMessage("Design", "CA1001", Justification = "It lives as long as its manager, and a timer that is not set holds nothing.")]
internal sealed class AccessTrail
{
    // after the one the counts are told; after the other, when they are not on the disk yet, further uses wait for it
    private const int MostRefusals = 1000;
    private static readonly TimeSpan Delay = TimeSpan.FromMilliseconds(250), Overdue = TimeSpan.FromMilliseconds(250);

    // who has something to report is kept alive until it is reported
    private static readonly HashSet<AccessTrail> Pending = [];
    private static bool _isEndWatched;

    private readonly FileVault _vault;
    private readonly LedgerKind _kind;
    private readonly string? _purpose;
    private readonly Lock _gate = new();
    private readonly SemaphoreSlim _reporting = new(1, 1);
    private Timer? _timer;
    private bool _isScheduled;
    private bool _isOverdue;
    private (Report Report, LedgerException Error)? _late;
    private HashSet<AccessCounter> _awake = [];
    private Dictionary<RefusalKey, long> _refused = [];

    internal AccessTrail(FileVault vault, AccessCounts counts, LedgerKind kind, string? purpose)
    {
        _vault = vault;
        _kind = kind;
        _purpose = purpose;
        counts.Wake = Wake;
    }

    /// <summary>Records that a value is about to be handed out; when it returns, the ledger has it.</summary>
    /// <exception cref="SecretsException">It can't be recorded; the value must not be handed out.</exception>
    internal async ValueTask HandOutAsync(AccessCounter counter, long now, CancellationToken cancellationToken)
    {
        if (counter.IsRecorded)
        {
            counter.Add(now);
        }
        else
        {
            await RequireAsync(counter.Source, async () => (await _vault.RecordAsync([ToEvent(counter, count: 1)], cancellationToken).ConfigureAwait(false)).Fault).ConfigureAwait(false);
            counter.AddRecorded(now);
        }
    }

    /// <summary>What <see cref="HandOutAsync"/> would end with now, found without recording anything.</summary>
    /// <exception cref="SecretsException">It can't be recorded.</exception>
    internal ValueTask TryAsync(AccessCounter counter, CancellationToken cancellationToken) =>
        counter.IsRecorded ? ValueTask.CompletedTask : RequireAsync(counter.Source, () => _vault.TryRecordAsync(cancellationToken));

    // a value from elsewhere needs no vault, but for the ledger, whose key it has
    private async ValueTask RequireAsync(string source, Func<ValueTask<LedgerException?>> record)
    {
        var isElsewhere = source != VaultSource.SourceName;
        if (isElsewhere && !_vault.IsMade && !_vault.Settings.IsMadeWhenNeeded)
        {
            return;
        }

        try
        {
            if (await record().ConfigureAwait(false) is { } fault)
            {
                throw fault;
            }
        }
        catch (SecretsException) when (isElsewhere && !_vault.Settings.UsesLedger)
        {
            // that it is switched off is noted where that can be
        }
        catch (SecretsException e) when (isElsewhere && !e.Remedy.Contains(LedgerException.NoLedger, StringComparison.Ordinal))
        {
            var remedy = $"{e.Remedy}; or use the value of the {source} without a trace: {LedgerException.NoLedger}";
            throw e switch
            {
                VaultOpenException => new VaultOpenException(e.Problem, remedy, e),
                LedgerException => new LedgerException(e.Problem, remedy, e),
                _ => new SecretsException(e.Problem, remedy, e),
            };
        }
    }

    /// <summary>Records, soon, that somebody got no value.</summary>
    internal void Refuse(LedgerKind kind, string name, string? note)
    {
        lock (_gate)
        {
            CountRefused(new RefusalKey(kind, name, note), 1);
            Schedule();
        }
    }

    // Called with the gate held. Who asks for ever other names must not fill the memory while the ledger can't be written.
    private void CountRefused(RefusalKey key, long count)
    {
        if (_refused.Count >= MostRefusals && !_refused.ContainsKey(key))
        {
            key = new RefusalKey(key.Kind, Secret: null, $"other names, after {MostRefusals} at once");
        }

        _refused[key] = _refused.GetValueOrDefault(key) + count;
    }

    /// <summary>Writes now what is still to be reported.</summary>
    /// <exception cref="SecretsException">It can't be written. It is not forgotten, and the next use of those secrets waits for it.</exception>
    internal async ValueTask ReportAsync(CancellationToken cancellationToken)
    {
        await _reporting.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await SettleAsync(cancellationToken).ConfigureAwait(false);
            var report = Take();
            var events = ToEvents(report);
            LedgerException? fault = null;
            try
            {
                if (events.Count > 0 && _vault.IsMade)
                {
                    fault = await RecordAsync(events, report, cancellationToken).ConfigureAwait(false);
                }
            }
            catch (LedgerException e) when (e.Late is not null)
            {
                Await(report, e);
                throw;
            }
            catch (SecretsException) when (!_vault.Settings.UsesLedger)
            {
                // there is nothing to tell but that, where it can be
            }
            catch
            {
                PutBack(report);
                throw;
            }

            Rest();
            if (fault is not null)
            {
                // it is not told again, and the next use ends with the same, or waits for the witness
                Doubt(report);
                throw fault;
            }
        }
        finally
        {
            _reporting.Release();
        }
    }

    private async ValueTask<LedgerException?> RecordAsync(List<LedgerEvent> events, Report report, CancellationToken cancellationToken)
    {
        var recording = _vault.RecordAsync(events, cancellationToken);
        if (recording.IsCompleted)
        {
            return (await recording.ConfigureAwait(false)).Fault;
        }

        var task = recording.AsTask();
        if (await Task.WhenAny(task, Task.Delay(Overdue, CancellationToken.None)).ConfigureAwait(false) != task)
        {
            // or a kill would lose what is used until the disk answers
            lock (_gate)
            {
                _isOverdue = true;
                foreach (var counter in _awake)
                {
                    counter.Doubt();
                }
            }

            Doubt(report);
        }

        try
        {
            return (await task.ConfigureAwait(false)).Fault;
        }
        finally
        {
            lock (_gate)
            {
                _isOverdue = false;
            }
        }
    }

    // who was past the gate already has counted something that nobody was woken for: it is looked at again
    private void Doubt(Report report)
    {
        report.Uses.ForEach(static use => use.Counter.Doubt());
        lock (_gate)
        {
            _awake.UnionWith(report.Uses.Select(static use => use.Counter));
            Schedule();
        }
    }

    // A report that was begun and took too long may be written yet. Told again before that is known, it would count twice.
    private async ValueTask SettleAsync(CancellationToken cancellationToken)
    {
        if (_late is not { } late)
        {
            return;
        }

        var (report, error) = late;
        try
        {
            await error.Late!.WaitAsync(_vault.Settings.LedgerPatience, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            Await(report, error);
            ExceptionDispatchInfo.Throw(error);
        }
        catch (LedgerException e) when (e.IsRecorded)
        {
            // told, though the witness does not know of it
        }
        catch (LedgerException)
        {
            PutBack(report);
            _late = null;
            return;
        }

        _late = null;
        lock (_gate)
        {
            _awake.UnionWith(report.Uses.Select(use => use.Counter));
        }
    }

    private void Await(Report report, LedgerException error)
    {
        _late = (report, error);
        report.Uses.ForEach(static use => use.Counter.Doubt());
        lock (_gate)
        {
            Schedule();
        }
    }

    private LedgerEvent ToEvent(AccessCounter counter, long count) =>
        new(_kind, counter.Name, counter.Version, counter.Source, _purpose, count);

    private void Wake(AccessCounter counter)
    {
        lock (_gate)
        {
            _awake.Add(counter);
            if (_isOverdue)
            {
                counter.Doubt();
            }

            Schedule();
        }
    }

    private List<LedgerEvent> ToEvents(Report report) =>
    [
        .. report.Uses.Where(use => use.Count > 0).Select(use => ToEvent(use.Counter, use.Count)),
        .. report.Refused.Select(pair => new LedgerEvent(pair.Key.Kind, pair.Key.Secret, Purpose: _purpose, Count: pair.Value, Note: pair.Key.Note)),
    ];

    private Report Take()
    {
        HashSet<AccessCounter> awake;
        Dictionary<RefusalKey, long> refused;
        lock (_gate)
        {
            (awake, refused) = (_awake, _refused);
            (_awake, _refused) = ([], []);
            _isScheduled = false;
        }

        return new Report([.. awake.Select(static counter => (counter, counter.TakeUnreported()))], refused);
    }

    private void PutBack(Report report)
    {
        report.Uses.ForEach(static use => use.Counter.PutBack(use.Count));
        lock (_gate)
        {
            _awake.UnionWith(report.Uses.Select(use => use.Counter));
            foreach (var (key, count) in report.Refused)
            {
                CountRefused(key, count);
            }

            Schedule();
        }
    }

    private void Rest()
    {
        lock (_gate)
        {
            if (!_isScheduled)
            {
                lock (Pending)
                {
                    Pending.Remove(this);
                }
            }
        }
    }

    // called with the gate held
    private void Schedule()
    {
        if (_isScheduled)
        {
            return;
        }

        _isScheduled = true;
        lock (Pending)
        {
            Pending.Add(this);
            if (!_isEndWatched)
            {
                _isEndWatched = true;
                AppDomain.CurrentDomain.ProcessExit += static (_, _) => ReportAll();
            }
        }

        _timer ??= new Timer(static trail => _ = ((AccessTrail)trail!).ReportInBackgroundAsync(), this, Timeout.Infinite, Timeout.Infinite);
        _timer.Change(Delay, Timeout.InfiniteTimeSpan);
    }

    private async Task ReportInBackgroundAsync()
    {
        // the timer remembers the trace of who was the first to need it
        Activity.Current = null;
        try
        {
            await ReportAsync(CancellationToken.None).ConfigureAwait(false);
        }
        catch (SecretsException)
        {
            // it is put back and tried again; whoever asks for one of these secrets meanwhile gets the error
        }
    }

    // The end of a process waits for no task, only for what its handlers do before they return: so this one blocks, and
    // no longer than the ledger's patience, since all report at once.
    private static void ReportAll()
    {
        AccessTrail[] trails;
        lock (Pending)
        {
            trails = [.. Pending];
        }

        if (trails.Length > 0)
        {
            // one that hangs already has others behind it
            Task.WhenAll(trails.Select(static trail => trail.ReportInBackgroundAsync())).Wait(trails.Max(static trail => trail._vault.Settings.LedgerPatience));
        }
    }

    private readonly record struct RefusalKey(LedgerKind Kind, string? Secret, string? Note);

    /// <summary>What the ledger is told at once.</summary>
    private sealed record Report(List<(AccessCounter Counter, long Count)> Uses, Dictionary<RefusalKey, long> Refused);
}
