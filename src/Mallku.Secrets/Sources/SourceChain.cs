namespace Mallku.Secrets.Sources;

/// <summary>
/// Sources in their order, of which the first that has a secret wins; an exact match in any of them comes before a loose
/// one. A source that fails is an error. Safe for concurrent use.
/// </summary>
internal sealed class SourceChain
{
    private readonly ISecretSource[] _sources;

    /// <exception cref="ArgumentException">The list or one of its sources is null.</exception>
    internal SourceChain(IEnumerable<ISecretSource> sources)
    {
        ArgumentNullException.ThrowIfNull(sources);
        _sources = [.. sources];
        if (!Array.TrueForAll(_sources, static source => source is not null))
        {
            throw new ArgumentException("A source is null.", nameof(sources));
        }
    }

    /// <summary>The source of that name; null for none.</summary>
    internal ISecretSource? Find(string name) => Array.Find(_sources, source => source.Name == name);

    /// <summary>What each source says of its changes, to be held against later.</summary>
    internal long[] GetChangeStamps(long now) => Array.ConvertAll(_sources, source => source.GetChangeStamp(now));

    /// <summary>Whether nothing has changed since; false where nobody has looked yet.</summary>
    internal bool HaveStamps(long[]? stamps, long now)
    {
        if (stamps is null)
        {
            return false;
        }

        for (var i = 0; i < _sources.Length; i++)
        {
            if (GetChangeStamp(_sources[i], now) != stamps[i])
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>All of them in one number.</summary>
    internal long GetChangeStamp(long now)
    {
        var stamp = 0L;
        foreach (var source in _sources)
        {
            stamp = unchecked((stamp * 31) + source.GetChangeStamp(now));
        }

        return stamp;
    }

    // On the path of every lookup. What a call through an interface costs depends on which sources the process has used before.
    private static long GetChangeStamp(ISecretSource source, long now) => source switch
    {
        EnvironmentSource environment => environment.GetChangeStamp(now),
        VaultSource vault => vault.GetChangeStamp(now),
        StoreSource store => store.GetChangeStamp(now),
        _ => source.GetChangeStamp(now),
    };

    /// <summary>Looks at every source now.</summary>
    internal async ValueTask RefreshAsync(CancellationToken cancellationToken)
    {
        foreach (var source in _sources)
        {
            await source.RefreshAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>The secret that a lookup takes, or null.</summary>
    /// <exception cref="SecretNameException">No secret can have this name, and none does.</exception>
    /// <exception cref="AmbiguousSecretNameException">Several names match loosely.</exception>
    /// <exception cref="SecretsException">A source failed.</exception>
    internal async ValueTask<FoundSecret?> FindAsync(string name, CancellationToken cancellationToken)
    {
        var asked = SecretName.Existing(name);
        if (await FindExactlyAsync(asked, cancellationToken).ConfigureAwait(false) is { } found)
        {
            return found;
        }

        if (!asked.IsValid)
        {
            throw new SecretNameException(name);
        }

        return await FindLooselyAsync(asked, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>The secret of the first of several names that is there; an exact match of any comes before a loose one.</summary>
    /// <inheritdoc cref="FindAsync"/>
    internal async ValueTask<FoundSecret?> FindFirstAsync(SecretName[] names, CancellationToken cancellationToken)
    {
        foreach (var name in names)
        {
            if (await FindExactlyAsync(name, cancellationToken).ConfigureAwait(false) is { } found)
            {
                return found;
            }
        }

        foreach (var name in names)
        {
            if (await FindLooselyAsync(name, cancellationToken).ConfigureAwait(false) is { } found)
            {
                return found;
            }
        }

        return null;
    }

    /// <summary>What every source says about a name; one that fails is in the answer.</summary>
    internal async ValueTask<List<SourceAnswer>> AskAllAsync(SecretName name, CancellationToken cancellationToken)
    {
        var answers = new List<SourceAnswer>(_sources.Length);
        foreach (var source in _sources)
        {
            answers.Add(await AskAsync(source, name, cancellationToken).ConfigureAwait(false));
        }

        return answers;
    }

    /// <summary>The secrets that the sources know, in the order of their names.</summary>
    /// <exception cref="SecretsException">A source failed.</exception>
    internal async ValueTask<IReadOnlyList<SecretFacts>> ListAsync(CancellationToken cancellationToken)
    {
        var lists = new Dictionary<string, SecretFacts>[_sources.Length];
        var names = new SortedSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < _sources.Length; i++)
        {
            lists[i] = new(StringComparer.Ordinal);
            foreach (var facts in await _sources[i].ListAsync(cancellationToken).ConfigureAwait(false))
            {
                lists[i][facts.Name] = facts;
                names.Add(facts.Name);
            }
        }

        var result = new List<SecretFacts>(names.Count);
        foreach (var name in names)
        {
            SecretFacts? winner = null;
            List<string> shadowed = [];
            for (var i = 0; i < _sources.Length; i++)
            {
                var facts = lists[i].GetValueOrDefault(name)
                    ?? (await _sources[i].FindAsync(SecretName.Existing(name), cancellationToken).ConfigureAwait(false) is { } found
                        ? new SecretFacts(found.Name, found.Source, found.Version, found.Created, [])
                        : null);
                if (facts is not null && winner is not null)
                {
                    shadowed.Add(facts.Source);
                }

                winner ??= facts;
            }

            if (winner is not null)
            {
                result.Add(winner with { Shadowed = shadowed });
            }
        }

        return result;
    }

    /// <summary>The sources in words.</summary>
    internal string DescribeNames() => string.Join(" or ", _sources.Select(static source => source.Name));

    /// <summary>The sources in words, with what each looks for.</summary>
    internal string DescribeLookup(SecretName name) => string.Join(" or ", _sources.Select(source => $"{source.Name} ({source.DescribeLookup(name)})"));

    private async ValueTask<FoundSecret?> FindExactlyAsync(SecretName name, CancellationToken cancellationToken)
    {
        foreach (var source in _sources)
        {
            if (await source.FindAsync(name, cancellationToken).ConfigureAwait(false) is { } found)
            {
                return found;
            }
        }

        return null;
    }

    private async ValueTask<FoundSecret?> FindLooselyAsync(SecretName asked, CancellationToken cancellationToken)
    {
        var matches = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var source in _sources)
        {
            matches.UnionWith(await source.FindLooseMatchesAsync(asked, cancellationToken).ConfigureAwait(false));
        }

        return matches.Count switch
        {
            0 => null,
            1 => await FindAsync(matches.Min!, cancellationToken).ConfigureAwait(false),
            _ => throw new AmbiguousSecretNameException(asked.ToString(), [.. matches]),
        };
    }

    private static async ValueTask<SourceAnswer> AskAsync(ISecretSource source, SecretName name, CancellationToken cancellationToken)
    {
        var lookedFor = source.DescribeLookup(name);
        try
        {
            if (await source.FindAsync(name, cancellationToken).ConfigureAwait(false) is { } found)
            {
                return new(source.Name, SourceOutcome.Found, lookedFor, [found.Name], found.Version, found.Created, Error: null);
            }

            var loose = await source.FindLooseMatchesAsync(name, cancellationToken).ConfigureAwait(false);
            var only = loose.Count == 1
                ? await source.FindAsync(SecretName.Existing(loose[0]), cancellationToken).ConfigureAwait(false)
                : null;
            var outcome = loose.Count == 0 ? SourceOutcome.NotFound : SourceOutcome.FoundLoosely;
            return new(source.Name, outcome, lookedFor, loose, only?.Version, only?.Created, Error: null);
        }
        catch (SecretsException e)
        {
            return new(source.Name, SourceOutcome.Failed, lookedFor, [], Version: null, Created: null, e);
        }
    }
}
