using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Diagnostics.Metrics;

namespace Mallku.Secrets;

/// <summary>
/// What whoever listens to the standard meter and activity source of this name is told; docs/guide/library.md lists it. No
/// tag ever holds a value, nor what was asked for and is not there: that may be a value in the wrong place. Costs no
/// allocation where nobody listens. Safe for concurrent use.
/// </summary>
internal static class Telemetry
{
    internal const string Name = "Mallku.Secrets", Lookup = "lookup", Set = "set", Remove = "remove";
    private const string Prefix = "mallku.secrets.", ErrorTag = "error.type", SourceTag = Prefix + "source", NameTag = Prefix + "name",
        VersionTag = Prefix + "version", ChangeTag = Prefix + "change", OperationTag = Prefix + "operation", Switch = Name + ".Telemetry";

    /// <summary>Whether there is any; a program that is compiled without it pays nothing for it.</summary>
    [FeatureSwitchDefinition(Switch)]
    internal static bool IsSupported { get; } = !AppContext.TryGetSwitch(Switch, out var isOn) || isOn;

    /// <summary>Begins to count what a manager hands out.</summary>
    internal static ReadShare? Observe(AccessCounts counts, bool isNamed)
    {
        if (!IsSupported)
        {
            return null;
        }

        // or a listener would not learn of the instruments before something goes wrong
        _ = Instruments.Reads;
        return ReadShare.Add(counts, isNamed);
    }

    /// <summary>Begins what a trace shows as one of these operations; null where nobody listens.</summary>
    internal static Activity? Start(string operation) =>
        IsSupported && Instruments.Source.HasListeners() ? Instruments.Source.StartActivity(Prefix + operation) : null;

    /// <summary>Begins the opening of a vault.</summary>
    internal static Activity? StartOpening() => IsSupported ? Instruments.Source.StartActivity(Prefix + "vault.open") : null;

    /// <summary>Begins the writing of a batch of entries, which a trace shows where an operation waits for it.</summary>
    internal static AppendWatch StartAppending() => IsSupported
        ? new AppendWatch(Activity.Current is null ? null : Instruments.Source.StartActivity(Prefix + "ledger.append"), TimeProvider.System.GetTimestamp())
        : default;

    /// <summary>A lookup has its answer.</summary>
    internal static void LookedUp(Activity? activity, FoundSecret? found, bool isNamed)
    {
        if (!IsSupported)
        {
            return;
        }

        if (found is null)
        {
            activity?.SetTag(ErrorTag, "missing");
            Instruments.LookupFailures.Add(1, new KeyValuePair<string, object?>(ErrorTag, "missing"));
        }
        else if (activity is not null)
        {
            activity.SetTag(SourceTag, found.Source);
            Tell(activity, found.Name, found.Version, isNamed);
        }
    }

    /// <summary>A lookup has failed.</summary>
    internal static void LookupFailed(Activity? activity, Exception error)
    {
        if (IsSupported)
        {
            Instruments.LookupFailures.Add(1, new KeyValuePair<string, object?>(ErrorTag, Fail(activity, error)));
        }
    }

    /// <summary>A change is durable.</summary>
    internal static void Changed(Activity? activity, SecretChange change, string what, bool isNamed)
    {
        if (IsSupported)
        {
            Instruments.Changes.Add(1, new KeyValuePair<string, object?>(ChangeTag, what));
            if (activity is not null)
            {
                activity.SetTag(ChangeTag, what);
                Tell(activity, change.Name, change.Version, isNamed);
            }
        }
    }

    /// <summary>A change was not made.</summary>
    internal static void ChangeFailed(Activity? activity, string operation, Exception error)
    {
        if (IsSupported)
        {
            Fail(activity, error);
            Refused(operation, error);
        }
    }

    /// <summary>Something was not done, since the ledger could not record it.</summary>
    internal static void Refused(string operation, Exception error)
    {
        if (IsSupported && error is LedgerException)
        {
            Instruments.Refusals.Add(1, new KeyValuePair<string, object?>(OperationTag, operation));
        }
    }

    /// <summary>A vault was opened.</summary>
    internal static void Opened()
    {
        if (IsSupported)
        {
            Instruments.Opens.Add(1);
        }
    }

    /// <summary>A vault could not be opened.</summary>
    internal static void OpeningFailed(Activity? activity, Exception error)
    {
        if (IsSupported)
        {
            Instruments.Opens.Add(1, new KeyValuePair<string, object?>(ErrorTag, Fail(activity, error)));
        }
    }

    /// <summary>Entries are durable.</summary>
    internal static void Appended(long entries)
    {
        if (IsSupported)
        {
            Instruments.Entries.Add(entries);
        }
    }

    private static void Tell(Activity activity, string name, int? version, bool isNamed)
    {
        if (version is { } number)
        {
            activity.SetTag(VersionTag, number);
        }

        if (isNamed)
        {
            activity.SetTag(NameTag, name);
        }
    }

    // the message is not told: it may have a name
    private static string Fail(Activity? activity, Exception error)
    {
        var type = error switch
        {
            AmbiguousSecretNameException => "ambiguous_name",
            SecretNameException => "invalid_name",
            SecretNotFoundException => "missing",
            VaultOpenException => "vault",
            LedgerException => "ledger",
            SecretsException => "secrets",
            OperationCanceledException => "cancelled",
            _ => error.GetType().FullName!,
        };
        activity?.SetTag(ErrorTag, type);
        activity?.SetStatus(ActivityStatusCode.Error);
        return type;
    }

    /// <summary>How long a batch of entries takes to become durable, seen by who waits for it.</summary>
    internal readonly struct AppendWatch(Activity? activity, long start) : IDisposable
    {
        internal void Succeed()
        {
            if (IsSupported)
            {
                Instruments.AppendDuration.Record(TimeProvider.System.GetElapsedTime(start).TotalSeconds);
            }
        }

        internal void Fail(Exception error)
        {
            if (IsSupported)
            {
                Instruments.AppendDuration.Record(
                    TimeProvider.System.GetElapsedTime(start).TotalSeconds, new KeyValuePair<string, object?>(ErrorTag, Telemetry.Fail(activity, error)));
            }
        }

        public void Dispose() => activity?.Dispose();
    }

    /// <summary>A reading of what was handed out, with the tags of its manager's choice.</summary>
    internal static Measurement<long> Read(ReadKey key, long count)
    {
        var tags = new TagList { { SourceTag, key.Source } };
        if (key.Name is not null)
        {
            tags.Add(NameTag, key.Name);
        }

        if (key.Version is { } version)
        {
            tags.Add(VersionTag, version);
        }

        return new Measurement<long>(count, tags);
    }

    /// <summary>Made when the first manager is, and never where there is no telemetry.</summary>
    private static class Instruments
    {
        private static readonly string Version = typeof(Telemetry).Assembly.GetName().Version!.ToString(3);
        private static readonly Meter Meter = new(Name, Version);

        internal static ActivitySource Source { get; } = new(Name, Version);

        internal static ObservableCounter<long> Reads { get; } =
            Meter.CreateObservableCounter(Prefix + "reads", ReadShare.Measure, "{read}", "Values handed out.");

        internal static Counter<long> LookupFailures { get; } =
            Meter.CreateCounter<long>(Prefix + "lookup.failures", "{lookup}", "Lookups that gave no value.");

        internal static Counter<long> Changes { get; } = Meter.CreateCounter<long>(Prefix + "changes", "{change}", "Changes of secrets that became durable.");

        internal static Counter<long> Opens { get; } = Meter.CreateCounter<long>(Prefix + "vault.opens", "{open}", "Times that a vault was read and decrypted.");

        internal static Counter<long> Entries { get; } = Meter.CreateCounter<long>(Prefix + "ledger.entries", "{entry}", "Entries that became durable.");

        internal static Counter<long> Refusals { get; } = Meter.CreateCounter<long>(
            Prefix + "ledger.refusals", "{refusal}", "Values withheld and changes not made, since the ledger could not record them.");

        internal static Histogram<double> AppendDuration { get; } = Meter.CreateHistogram(
            Prefix + "ledger.append.duration",
            "s",
            "How long a batch of entries took to become durable, the wait for other writers included.",
            tags: null,
            new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] });
    }
}
