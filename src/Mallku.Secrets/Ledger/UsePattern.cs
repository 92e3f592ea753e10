using System.Globalization;

namespace Mallku.Secrets.Ledger;

/// <summary>How one secret was used so far.</summary>
internal sealed class UsePattern
{
    private const int FewestDays = 7, BurstFactor = 5, FewestInBurst = 50, ManyHosts = 5, HoursOfDay = 24;
    private static readonly TimeSpan Teaching = TimeSpan.FromDays(14);
    private static readonly TimeSpan Silence = TimeSpan.FromDays(90);
    private static readonly TimeSpan Arrival = TimeSpan.FromHours(1);

    // only as many as the rules ask for are kept: the hosts of each actor, and the days
    private readonly Dictionary<string, HashSet<string>> _actors = new(StringComparer.Ordinal);
    private readonly HashSet<DateOnly> _days = [];
    private readonly HashSet<int> _hours = [];
    private readonly List<LedgerEntry> _changes = [];
    private readonly Dictionary<int, DateOnly> _toldOld = [];
    private DateTimeOffset? _first, _last;
    private long _hourNumber, _inHour, _mostInHour;
    private bool _burstIsTold;

    /// <summary>A version became the current one.</summary>
    internal void Replace(LedgerEntry entry)
    {
        // a number that is given again was never in the vault before
        _changes.RemoveAll(change => change.Version >= entry.Version);
        _changes.Add(entry);
        if (entry.Kind == LedgerKind.Created)
        {
            _last = entry.Time;
        }
    }

    /// <summary>The changes after a generation of the vault did not reach it, or it was put back to that.</summary>
    internal void TakeBack(long found) => _changes.RemoveAll(change => change.Generation > found);

    /// <summary>A version was handed out: what is unusual about it.</summary>
    internal IReadOnlyList<UnusualUse> Use(LedgerEntry entry)
    {
        var knows = _days.Count >= FewestDays && entry.Time - _first >= Teaching;
        var found = new List<UnusualUse>();
        Add("new-actor", FindNewActor(entry.Actor) is { } who && knows ? who : null);
        Add("silence", entry.Time - _last is { } pause && pause >= Silence ? $"nobody had used it for {pause.Days} days" : null);
        Add("new-hour", FindNewHour(entry.Time.UtcDateTime.Hour) is { } when && knows ? when : null);
        Add("old-version", FindOldVersion(entry));
        Add("burst", FindBurst(entry, knows));
        _first = entry.Time < _first ? entry.Time : _first ?? entry.Time;
        _last = entry.Time;
        if (_days.Count < FewestDays)
        {
            _days.Add(DateOnly.FromDateTime(entry.Time.UtcDateTime));
        }

        return found;

        void Add(string rule, string? reason)
        {
            if (reason is not null)
            {
                found.Add(new UnusualUse(entry, rule, reason));
            }
        }
    }

    // where the hosts change all the time, as those of containers do, one more is nothing new
    private string? FindNewActor(LedgerActor actor)
    {
        var who = $"{actor.User}\n{actor.Process}\n{actor.Voice}";
        var isNew = !_actors.TryGetValue(who, out var hosts);
        if (isNew)
        {
            _actors.Add(who, hosts = new HashSet<string>(StringComparer.Ordinal));
        }

        var reason = isNew
            ? $"{actor.User}@{actor.Host} {actor.Process}{(actor.Voice is null ? "" : " for " + actor.Voice)} never used it before; {Say(_actors.Count - 1, "other")} did"
            : $"{actor.User} used it with {actor.Process} on {Say(hosts!.Count, "other host")}, and never on {actor.Host} before";
        return hosts!.Count < ManyHosts && hosts.Add(actor.Host) ? reason : null;
    }

    // an hour beside one that is known is one of summer time, or of a job that begins a little sooner or later
    private string? FindNewHour(int hour)
    {
        var (before, after) = ((hour + HoursOfDay - 1) % HoursOfDay, (hour + 1) % HoursOfDay);
        var isNew = !_hours.Contains(before) && !_hours.Contains(hour) && !_hours.Contains(after);
        _hours.Add(hour);
        return isNew ? string.Create(CultureInfo.InvariantCulture, $"it was never used between {before:00}:00 and {after:00}:59 UTC before") : null;
    }

    private string? FindOldVersion(LedgerEntry entry)
    {
        if (_changes.Find(change => change.Version > entry.Version) is not { } change
            || entry.Time - change.Time <= Arrival
            || entry.Time <= change.GraceEnds)
        {
            return null;
        }

        // one who goes on with it is told once a day
        var day = DateOnly.FromDateTime(entry.Time.UtcDateTime);
        var isTold = _toldOld.TryGetValue(entry.Version!.Value, out var told) && told == day;
        _toldOld[entry.Version.Value] = day;
        return isTold ? null : $"version {entry.Version} was used, which version {change.Version} had replaced at {EntryLine.FormatTime(change.Time)}";
    }

    private string? FindBurst(LedgerEntry entry, bool knows)
    {
        var hour = entry.Time.ToUnixTimeSeconds() / 3600;
        if (hour != _hourNumber)
        {
            _mostInHour = Math.Max(_mostInHour, _inHour);
            (_hourNumber, _inHour, _burstIsTold) = (hour, 0, false);
        }

        _inHour = LedgerEntry.Sum(_inHour, entry.Count);
        if (!knows || _burstIsTold || _inHour < FewestInBurst || _inHour / BurstFactor < _mostInHour)
        {
            return null;
        }

        _burstIsTold = true;
        return $"{_inHour} uses within an hour, and never more than {_mostInHour} before";
    }

    private static string Say(int count, string what) => $"{count} {what}{(count == 1 ? "" : "s")}";
}
