using System.Collections.Concurrent;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Sources;

namespace Mallku.Secrets;

/// <summary>
/// Looks secrets up, keeps what was found while no source changes, and hands nothing out that is not counted and recorded.
/// Safe for concurrent use.
/// </summary>
internal sealed class SecretLookup(SourceChain sources, AccessCounts counts, AccessTrail? trail, bool isNamed)
{
    private Known _known = new(null);

    /// <summary>What an earlier lookup has found, where nothing has changed since. Takes no lock and allocates nothing.</summary>
    internal bool TryFindKnown(string name, CancellationToken cancellationToken, out FoundSecret? found)
    {
        ArgumentNullException.ThrowIfNull(name);
        cancellationToken.ThrowIfCancellationRequested();
        var known = Volatile.Read(ref _known);
        var now = Environment.TickCount64;
        if (known.IsCurrent(sources, now) && known.Secrets.TryGetValue(name, out var entry) && (trail is null || entry.Counter.IsRecorded))
        {
            entry.Counter.Add(now);
            found = entry.Found;
            return true;
        }

        found = null;
        return false;
    }

    /// <summary>Asks the sources.</summary>
    internal async ValueTask<FoundSecret?> FindAfreshAsync(string name, CancellationToken cancellationToken)
    {
        using var activity = Telemetry.Start(Telemetry.Lookup);
        try
        {
            var (known, now) = Observe();
            var found = await TellAsync(name, sources.FindAsync(name, cancellationToken)).ConfigureAwait(false);
            if (found is not null)
            {
                known.Secrets[name] = await HandOutEntryAsync(found, now, cancellationToken).ConfigureAwait(false);
            }

            Telemetry.LookedUp(activity, found, isNamed);
            return found;
        }
        catch (Exception e)
        {
            Telemetry.LookupFailed(activity, e);
            throw;
        }
    }

    /// <summary>What a lookup for the first of several names has found, where nothing has changed since. Takes no lock and allocates nothing.</summary>
    internal bool TryFindKnown(Answer? answer, CancellationToken cancellationToken, out FoundSecret? found)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var now = Environment.TickCount64;
        if (answer is null || !answer.Known.IsCurrent(sources, now))
        {
            found = null;
            return false;
        }

        found = answer.Entry?.Found;
        if (answer.Entry is { Counter: var counter })
        {
            if (trail is not null && !counter.IsRecorded)
            {
                found = null;
                return false;
            }

            counter.Add(now);
        }

        return true;
    }

    /// <summary>The secret of the first of several names that a source has, or none; at least one name.</summary>
    internal async ValueTask<Answer> FindFirstAsync(SecretName[] names, CancellationToken cancellationToken)
    {
        using var activity = Telemetry.Start(Telemetry.Lookup);
        try
        {
            var (known, now) = Observe();
            var found = await TellAsync(names[0].ToString(), sources.FindFirstAsync(names, cancellationToken)).ConfigureAwait(false);
            var entry = found is null ? null : await HandOutEntryAsync(found, now, cancellationToken).ConfigureAwait(false);
            if (entry is not null)
            {
                known.Secrets[entry.Found.Name] = entry;
            }

            Telemetry.LookedUp(activity, found, isNamed);
            return new Answer(known, entry);
        }
        catch (Exception e)
        {
            Telemetry.LookupFailed(activity, e);
            throw;
        }
    }

    /// <summary>Asks the sources for a secret that is not handed out yet.</summary>
    internal ValueTask<FoundSecret?> LookUpAsync(string name, CancellationToken cancellationToken) => TellAsync(name, sources.FindAsync(name, cancellationToken));

    /// <summary>Counts and records a secret as handed out, whoever has found it.</summary>
    internal async ValueTask HandOutAsync(FoundSecret found, CancellationToken cancellationToken) =>
        await HandOutEntryAsync(found, Environment.TickCount64, cancellationToken).ConfigureAwait(false);

    /// <summary>What every source says, and what a lookup would end with; hands nothing out, and records nothing.</summary>
    internal async ValueTask<SecretExplanation> ExplainAsync(string name, CancellationToken cancellationToken)
    {
        var existing = SecretName.Existing(name);
        var answers = await sources.AskAllAsync(existing, cancellationToken).ConfigureAwait(false);

        SecretsException? error = null;
        int? winner = null;
        try
        {
            var found = await sources.FindAsync(name, cancellationToken).ConfigureAwait(false);
            if (found is not null && trail is not null)
            {
                await trail.TryAsync(counts.Get(found), cancellationToken).ConfigureAwait(false);
            }

            winner = found is null ? null : answers.FindIndex(answer => answer.Source == found.Source);
        }
        catch (SecretsException e)
        {
            error = e;
        }

        return new SecretExplanation(name, answers, winner, error);
    }

    // The stamps are taken before the sources are asked: a change in between makes the answer stale, never fresh.
    private (Known Known, long Now) Observe()
    {
        var now = Environment.TickCount64;
        var known = Volatile.Read(ref _known);
        if (!known.IsCurrent(sources, now))
        {
            known = new Known(sources.GetChangeStamps(now));
            Volatile.Write(ref _known, known);
        }

        return (known, now);
    }

    private async ValueTask<Entry> HandOutEntryAsync(FoundSecret found, long now, CancellationToken cancellationToken)
    {
        var counter = counts.Get(found);
        if (trail is null)
        {
            counter.Add(now);
        }
        else
        {
            try
            {
                await trail.HandOutAsync(counter, now, cancellationToken).ConfigureAwait(false);
            }
            catch (LedgerException e)
            {
                Telemetry.Refused(Telemetry.Lookup, e);
                throw;
            }
        }

        return new Entry(found, counter);
    }

    // who got no value is for the ledger too
    private async ValueTask<FoundSecret?> TellAsync(string name, ValueTask<FoundSecret?> lookup)
    {
        try
        {
            var found = await lookup.ConfigureAwait(false);
            if (found is null)
            {
                trail?.Refuse(LedgerKind.Missing, SecretsException.Show(name), note: null);
            }

            return found;
        }
        catch (AmbiguousSecretNameException)
        {
            trail?.Refuse(LedgerKind.Denied, SecretsException.Show(name), "several names match loosely");
            throw;
        }
    }

    /// <summary>What was found while no source changed.</summary>
    internal sealed class Known(long[]? stamps)
    {
        internal ConcurrentDictionary<string, Entry> Secrets { get; } = new(StringComparer.Ordinal);

        internal bool IsCurrent(SourceChain sources, long now) => sources.HaveStamps(stamps, now);
    }

    /// <summary>What was found, and where its uses are counted.</summary>
    internal sealed record Entry(FoundSecret Found, AccessCounter Counter);

    /// <summary>What a lookup ended with, and until when it stands; no entry where no source had one.</summary>
    internal sealed record Answer(Known Known, Entry? Entry);
}
