using Mallku.FireCircle.Providers;

namespace Mallku.FireCircle.Adapters;

/// <summary>Where a provider's key would come from, without the key. Immutable.</summary>
/// <param name="Provider">The provider.</param>
/// <param name="Source">The source that has it, such as <c>vault</c>; null where none has.</param>
/// <param name="Secret">The name under which it is there.</param>
/// <param name="Version">Its version, where the source has versions.</param>
public sealed record KeyLocation(Provider Provider, string? Source, string? Secret, int? Version)
{
    /// <summary>Looks for the key of a provider without handing it out, so that the ledger has nothing to tell.</summary>
    /// <exception cref="SecretsException">A source failed.</exception>
    public static async ValueTask<KeyLocation> FindAsync(SecretsManager secrets, Provider provider, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(secrets);
        ArgumentNullException.ThrowIfNull(provider);
        KeyLocation? loose = null;
        foreach (var name in provider.Key.Secrets)
        {
            var explanation = await secrets.ExplainAsync(name, cancellationToken).ConfigureAwait(false);
            if (explanation.Error is { } error)
            {
                throw error;
            }

            if (explanation.Winner is { } winner)
            {
                var answer = explanation.Answers[winner];
                var location = new KeyLocation(provider, answer.Source, answer.Names[0], answer.Version);
                if (answer.Outcome == SourceOutcome.Found)
                {
                    return location;
                }

                loose ??= location;
            }
        }

        return loose ?? new KeyLocation(provider, Source: null, Secret: null, Version: null);
    }
}
