using Mallku.FireCircle.Providers;

namespace Mallku.FireCircle.Adapters;

/// <summary>No source has a key for a provider. Says where it was looked for, and which providers have one.</summary>
public sealed class MissingKeyException : SecretsException
{
    private MissingKeyException(string problem, string remedy, string provider, IReadOnlyList<string> names)
        : base(problem, remedy)
    {
        Provider = provider;
        Names = names;
    }

    /// <summary>The provider's id.</summary>
    public string Provider { get; }

    /// <summary>The names that were looked for.</summary>
    public IReadOnlyList<string> Names { get; }

    internal static async ValueTask<MissingKeyException> CreateAsync(
        SecretsManager secrets, ProviderCatalogue providers, Provider provider, IReadOnlyList<string> names, CancellationToken cancellationToken)
    {
        var asked = new List<string>();
        foreach (var name in names)
        {
            var explanation = await secrets.ExplainAsync(name, cancellationToken).ConfigureAwait(false);
            asked.AddRange(explanation.Answers.Select(static answer => $"{answer.Source} ({answer.LookedFor})"));
        }

        var haveOne = new List<string>();
        foreach (var other in providers.All)
        {
            try
            {
                if (await KeyLocation.FindAsync(secrets, other, cancellationToken).ConfigureAwait(false) is { Source: not null })
                {
                    haveOne.Add(other.Id);
                }
            }
            catch (AmbiguousSecretNameException)
            {
                // it has several, which is for who asks for it to be told
                haveOne.Add(other.Id);
            }
        }

        var console = provider.Key.Console is { } page ? $"; keys are made at {page}" : "";
        var others = haveOne.Count == 0 ? "no other provider has a key either" : $"providers with a key: {string.Join(", ", haveOne)}";
        return new MissingKeyException(
            $"no key for {provider.Id}: no secret {string.Join(" or ", names)} in {string.Join(", ", asked.Distinct(StringComparer.Ordinal))}",
            $"set it: mallku set {names[0]}{console}; {others}",
            provider.Id,
            names);
    }
}
