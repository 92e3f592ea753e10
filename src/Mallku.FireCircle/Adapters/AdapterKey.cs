using Mallku.FireCircle.Providers;

namespace Mallku.FireCircle.Adapters;

/// <summary>
/// The key of one adapter, asked for anew by each request: the caller's own, or what the manager has under the first of
/// some names. Safe for concurrent use.
/// </summary>
internal sealed class AdapterKey(SecretsManager secrets, ProviderCatalogue providers, Provider provider, AdapterOptions options)
{
    private readonly IReadOnlyList<string> _names = options.Secret is { } name ? [name] : provider.Key.Secrets;
    private readonly bool _isRequired = options.Secret is not null || !provider.Key.IsOptional;
    private Choice? _choice;

    /// <summary>Whether a request may be made with the version before the current one, where that is refused.</summary>
    internal bool MayBePrevious { get; init; } = true;

    /// <summary>The key as it is now, or null where there is none and none is needed.</summary>
    /// <exception cref="MissingKeyException">There is none, and one is needed.</exception>
    /// <exception cref="SecretsException">A source failed.</exception>
    internal ValueTask<SecretValue?> GetAsync(CancellationToken cancellationToken)
    {
        if (options.Key is not null)
        {
            return new(options.Key);
        }

        // which name is there can change only when a source does; until then it is asked for by that name alone
        var stamp = secrets.GetChangeStamp();
        if (Volatile.Read(ref _choice) is { } choice && choice.Stamp == stamp)
        {
            if (choice.Name is null)
            {
                return new((SecretValue?)null);
            }

            var lookup = secrets.GetAsync(choice.Name, cancellationToken);
            if (!lookup.IsCompletedSuccessfully)
            {
                return AwaitAsync(lookup, stamp, cancellationToken);
            }

            if (lookup.Result is { } known)
            {
                return new(known);
            }
        }

        return ChooseAsync(stamp, cancellationToken);
    }

    /// <summary>The same, or null where there is none although one is needed.</summary>
    /// <exception cref="SecretsException">A source failed.</exception>
    internal async ValueTask<SecretValue?> FindAsync(CancellationToken cancellationToken) =>
        options.Key ?? (await secrets.FindFirstAsync(_names, cancellationToken).ConfigureAwait(false))?.Value;

    /// <summary>
    /// A live version other than one that the provider refused: the newer one where there is one by now, else the previous
    /// one; null for none.
    /// </summary>
    /// <exception cref="SecretsException">A source failed.</exception>
    internal async ValueTask<SecretValue?> FindOtherAsync(SecretValue refused, CancellationToken cancellationToken)
    {
        if (options.Key is not null || Volatile.Read(ref _choice)?.Name is not { } name)
        {
            return null;
        }

        // another request may have been refused before this one, and looked
        if (await secrets.GetAsync(name, cancellationToken).ConfigureAwait(false) is { } known && known != refused)
        {
            return known;
        }

        if (!MayBePrevious)
        {
            // what is not sent is not handed out
            await secrets.RefreshAsync(cancellationToken).ConfigureAwait(false);
            return await secrets.GetAsync(name, cancellationToken).ConfigureAwait(false) is { } current && current != refused ? current : null;
        }

        var live = await secrets.FindLiveAsync(name, cancellationToken).ConfigureAwait(false);
        return live.FirstOrDefault(found => found.Value != refused)?.Value;
    }

    // it counts as a use, so that it is not left for another
    private async ValueTask<SecretValue?> AwaitAsync(ValueTask<SecretValue?> lookup, long stamp, CancellationToken cancellationToken) =>
        await lookup.ConfigureAwait(false) ?? await ChooseAsync(stamp, cancellationToken).ConfigureAwait(false);

    private async ValueTask<SecretValue?> ChooseAsync(long stamp, CancellationToken cancellationToken)
    {
        var found = await secrets.FindFirstAsync(_names, cancellationToken).ConfigureAwait(false);
        if (found is null && _isRequired)
        {
            throw await MissingKeyException.CreateAsync(secrets, providers, provider, _names, cancellationToken).ConfigureAwait(false);
        }

        Volatile.Write(ref _choice, new Choice(found?.Name, stamp));
        return found?.Value;
    }

    private sealed record Choice(string? Name, long Stamp);
}
