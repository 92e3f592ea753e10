using System.Globalization;

namespace Mallku.Secrets.Ledger;

/// <summary>A use that does not fit the pattern of before. Immutable.</summary>
/// <param name="Entry">The use.</param>
/// <param name="Rule">Which rule found it: <c>new-actor</c>, <c>burst</c>, <c>new-hour</c>, <c>old-version</c>, <c>silence</c>.</param>
/// <param name="Reason">Why, in words.</param>
public sealed record UnusualUse(LedgerEntry Entry, string Rule, string Reason);

/// <summary>
/// Goes through a ledger, the oldest entry first, and names the uses that do not fit what came before. Each rule is as
/// simple as its sentence in docs/guide/command.md. A secret's first days teach, and nothing in them is unusual.
/// </summary>
internal sealed class UnusualUses
{
    private const int FewestUses = 20, BurstFactor = 5, FewestInBurst = 50;
    private static readonly TimeSpan Teaching = TimeSpan.FromDays(14);
    private static readonly TimeSpan Silence = TimeSpan.FromDays(90);
    private static readonly TimeSpan Grace = TimeSpan.FromHours(1);
    private readonly Dictionary<string, Pattern> _patterns = new(StringComparer.Ordinal);

    /// <summary>Takes the next entry in, and says what is unusual about it.</summary>
    internal IEnumerable<UnusualUse> Add(LedgerEntry entry)
    {
        if (entry.Secret is null)
        {
            return [];
        }

        if (!_patterns.TryGetValue(entry.Secret, out var pattern))
        {
            _patterns.Add(entry.Secret, pattern = new Pattern());
        }

        return entry.Kind switch
        {
            LedgerKind.Read or LedgerKind.Exported => pattern.Use(entry),
            LedgerKind.Created or LedgerKind.Updated or LedgerKind.Rotated or LedgerKind.RolledBack => pattern.Change(entry),
            _ => [],
        };
    }

    /// <summary>What is known of one secret.</summary>
    private sealed class Pattern
    {
        private readonly HashSet<string> _actors = new(StringComparer.Ordinal);
        private readonly HashSet<int> _hours = [];
        private DateTimeOffset? _first, _last, _changed;
        private int? _current;
        private long _uses, _hourNumber, _inHour, _mostInHour;
        private bool _burstIsTold;

        internal IEnumerable<UnusualUse> Change(LedgerEntry entry)
        {
            (_current, _changed) = (entry.Version, entry.Time);
            return [];
        }

        internal List<UnusualUse> Use(LedgerEntry entry)
        {
            var found = new List<UnusualUse>();
            var actor = Describe(entry.Actor);
            var knows = _uses >= FewestUses && entry.Time - _first >= Teaching;
            if (!_actors.Contains(actor) && knows)
            {
                found.Add(new UnusualUse(entry, "new-actor", $"{actor} never used it before; {Say(_actors.Count, "other")} did"));
            }

            if (_last is { } last && entry.Time - last >= Silence)
            {
                found.Add(new UnusualUse(entry, "silence", $"nobody had used it for {(entry.Time - last).Days} days"));
            }

            if (!_hours.Contains(entry.Time.UtcDateTime.Hour) && knows)
            {
                found.Add(new UnusualUse(entry, "new-hour", string.Create(CultureInfo.InvariantCulture, $"it was never used between {entry.Time.UtcDateTime.Hour:00}:00 and {entry.Time.UtcDateTime.Hour:00}:59 UTC before")));
            }

            if (entry.Version < _current && entry.Time - _changed > Grace)
            {
                found.Add(new UnusualUse(
                    entry, "old-version", $"version {entry.Version} was used, and version {_current} is the current one since {EntryLine.FormatTime(_changed!.Value)}"));
            }

            if (CountBurst(entry, knows) is { } burst)
            {
                found.Add(burst);
            }

            _first ??= entry.Time;
            _last = entry.Time;
            _uses += entry.Count;
            _actors.Add(actor);
            _hours.Add(entry.Time.UtcDateTime.Hour);
            return found;
        }

        private UnusualUse? CountBurst(LedgerEntry entry, bool knows)
        {
            var hour = entry.Time.ToUnixTimeSeconds() / 3600;
            if (hour != _hourNumber)
            {
                _mostInHour = Math.Max(_mostInHour, _burstIsTold ? 0 : _inHour);
                (_hourNumber, _inHour, _burstIsTold) = (hour, 0, false);
            }

            _inHour += entry.Count;
            if (!knows || _burstIsTold || _inHour < FewestInBurst || _inHour < BurstFactor * _mostInHour)
            {
                return null;
            }

            _burstIsTold = true;
            return new UnusualUse(entry, "burst", $"{_inHour} uses within an hour, and never more than {_mostInHour} before");
        }

        private static string Describe(LedgerActor actor) => $"{actor.User}@{actor.Host} {actor.Process}{(actor.Voice is null ? "" : " for " + actor.Voice)}";

        private static string Say(int count, string what) => $"{count} {what}{(count == 1 ? "" : "s")}";
    }
}
