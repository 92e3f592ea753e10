using Mallku.FireCircle.Providers;

namespace Mallku.FireCircle.Adapters;

/// <summary>
/// The key of one adapter, asked for anew by each request: the caller's own, or what the manager has under the first of
/// some names. Safe for concurrent use.
/// </summary>
internal sealed class AdapterKey
{
    private readonly SecretsManager _secrets;
    private readonly ProviderCatalogue _providers;
    private readonly Provider _provider;
    private readonly SecretValue? _given;
    private readonly IReadOnlyList<string> _names;
    private readonly bool _isRequired;
    private readonly RepeatedLookup _lookup;

    internal AdapterKey(SecretsManager secrets, ProviderCatalogue providers, Provider provider, AdapterOptions options)
    {
        (_secrets, _providers, _provider, _given) = (secrets, providers, provider, options.Key);
        _names = options.Secret is { } name ? [name] : provider.Key.Secrets;
        _isRequired = options.Secret is not null || !provider.Key.IsOptional;
        _lookup = secrets.Repeat(_names, keepsNone: !_isRequired);
    }

    /// <summary>Whether a request may be made with the version before the current one, where that is refused.</summary>
    internal bool MayBePrevious { get; init; } = true;

    /// <summary>The key as it is now, or null where there is none and none is needed.</summary>
    /// <exception cref="MissingKeyException">There is none, and one is needed.</exception>
    /// <exception cref="SecretsException">A source failed.</exception>
    internal ValueTask<SecretValue?> GetAsync(CancellationToken cancellationToken) =>
        _given is not null ? new(_given)
        : _lookup.TryFindKnown(cancellationToken, out var known) ? new(known?.Value)
        : AskAsync(cancellationToken);

    /// <summary>The same, or null where there is none although one is needed.</summary>
    /// <exception cref="SecretsException">A source failed.</exception>
    internal async ValueTask<SecretValue?> FindAsync(CancellationToken cancellationToken) =>
        _given ?? (await _secrets.FindFirstAsync(_names, cancellationToken).ConfigureAwait(false))?.Value;

    /// <summary>
    /// A live version other than one that the provider refused: the newer one where there is one by now, else the previous
    /// one; null for none.
    /// </summary>
    /// <exception cref="SecretsException">A source failed.</exception>
    internal async ValueTask<SecretValue?> FindOtherAsync(SecretValue refused, CancellationToken cancellationToken)
    {
        if (_given is not null || _lookup.Last?.Name is not { } name)
        {
            return null;
        }

        // another request may have been refused before this one, and looked
        if (await _secrets.GetAsync(name, cancellationToken).ConfigureAwait(false) is { } known && known != refused)
        {
            return known;
        }

        if (!MayBePrevious)
        {
            // what is not sent is not handed out
            await _secrets.RefreshAsync(cancellationToken).ConfigureAwait(false);
            return await _secrets.GetAsync(name, cancellationToken).ConfigureAwait(false) is { } current && current != refused ? current : null;
        }

        var live = await _secrets.FindLiveAsync(name, cancellationToken).ConfigureAwait(false);
        return live.FirstOrDefault(found => found.Value != refused)?.Value;
    }

    private async ValueTask<SecretValue?> AskAsync(CancellationToken cancellationToken)
    {
        var found = await _lookup.FindAfreshAsync(cancellationToken).ConfigureAwait(false);
        if (found is null && _isRequired)
        {
            // one that was set a moment ago is there, though no source has looked since
            await _secrets.RefreshAsync(cancellationToken).ConfigureAwait(false);
            found = await _lookup.FindAfreshAsync(cancellationToken).ConfigureAwait(false);
        }

        return found is null && _isRequired
            ? throw await MissingKeyException.CreateAsync(_secrets, _providers, _provider, _names, cancellationToken).ConfigureAwait(false)
            : found?.Value;
    }
}
