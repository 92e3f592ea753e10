using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace Mallku.Secrets.Tests;

/// <summary>
/// A listener as OpenTelemetry's, which hears what the test itself does and not what others do at the same time: a
/// measurement comes in the context of who caused it, and an activity has its trace.
/// </summary>
internal sealed class Heard : IDisposable
{
    private static readonly AsyncLocal<Heard?> Current = new();
    private readonly MeterListener _meters = new();
    private readonly ActivityListener _activities;
    private readonly Activity _root = new Activity("test").Start();
    private readonly ConcurrentQueue<Activity> _stopped = [];
    private readonly ConcurrentQueue<(Instrument Instrument, double Value, string Tags)> _measured = [];

    internal Heard()
    {
        Current.Value = this;
        _meters.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name == "Mallku.Secrets")
            {
                listener.EnableMeasurementEvents(instrument);
            }
        };
        _meters.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Note(instrument, value, tags));
        _meters.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Note(instrument, value, tags));
        _meters.Start();
        _activities = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "Mallku.Secrets",
            Sample = static (ref _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = activity =>
            {
                if (activity.TraceId == _root.TraceId)
                {
                    _stopped.Enqueue(activity);
                }
            },
        };
        ActivitySource.AddActivityListener(_activities);
    }

    /// <summary>What has ended, in that order.</summary>
    internal IReadOnlyList<Activity> Activities => [.. _stopped];

    internal ActivitySpanId Root => _root.SpanId;

    /// <summary>Everything that was heard, as text.</summary>
    internal string All => string.Join(
        '\n',
        _measured.Select(one => $"{one.Instrument.Name} {one.Tags}")
            .Concat(_stopped.Select(activity => $"{activity.DisplayName} {activity.StatusDescription} {Show(activity.TagObjects)} {string.Join(' ', activity.Events.Select(e => e.Name))}")));

    /// <summary>The sums of a counter as "tags: sum", in their order.</summary>
    internal IReadOnlyList<string> Sums(string instrument) =>
    [
        .. _measured.Where(one => one.Instrument.Name == instrument).GroupBy(one => one.Tags, StringComparer.Ordinal)
            .Select(group => $"{group.Key}: {group.Sum(one => one.Value)}").Order(StringComparer.Ordinal),
    ];

    internal IReadOnlyList<double> Values(string instrument, string tags) =>
        [.. _measured.Where(one => one.Instrument.Name == instrument && one.Tags == tags).Select(one => one.Value)];

    /// <summary>Those that were heard, by their names.</summary>
    internal IReadOnlyList<Instrument> Instruments => [.. _measured.Select(one => one.Instrument).Distinct().OrderBy(one => one.Name, StringComparer.Ordinal)];

    /// <summary>What an observable counter says now.</summary>
    internal IReadOnlyList<string> Collect(string instrument)
    {
        _measured.Clear();
        _meters.RecordObservableInstruments();
        return Sums(instrument);
    }

    internal static string Show(IEnumerable<KeyValuePair<string, object?>> tags) =>
        string.Join(' ', tags.OrderBy(tag => tag.Key, StringComparer.Ordinal).Select(tag => $"{tag.Key}={tag.Value}"));

    public void Dispose()
    {
        _meters.Dispose();
        _activities.Dispose();
        _root.Dispose();
        Current.Value = null;
    }

    private void Note(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        if (Current.Value == this)
        {
            _measured.Enqueue((instrument, value, Show(tags.ToArray())));
        }
    }
}
