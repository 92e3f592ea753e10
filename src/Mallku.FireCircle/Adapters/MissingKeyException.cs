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

    /// <summary>The names that were looked for, without a text that may be a value.</summary>
    public IReadOnlyList<string> Names { get; }

    internal static async ValueTask<MissingKeyException> CreateAsync(
        SecretsManager secrets, ProviderCatalogue providers, Provider provider, IReadOnlyList<string> names, CancellationToken cancellationToken)
    {
        var asked = new List<string>();
        foreach (var name in names)
        {
            var explanation = await secrets.ExplainAsync(name, cancellationToken).ConfigureAwait(false);
            asked.AddRange(explanation.Answers.Select(answer => SecretName.MayBeValue(name) ? answer.Source : $"{answer.Source} ({answer.LookedFor})"));
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
        var shown = names.Where(static name => !SecretName.MayBeValue(name)).ToList();
        var missing = shown.Count > 0 ? $"no secret {string.Join(" or ", shown)}" : "that text is the name of no secret";
        var remedy = shown.Count > 0 ? $"set it: mallku set {shown[0]}" : $"name a secret, such as {provider.Id}_api_key";
        return new MissingKeyException(
            $"no key for {provider.Id}: {missing} in {string.Join(", ", asked.Distinct(StringComparer.Ordinal))}",
            $"{remedy}{console}; {others}",
            provider.Id,
            shown);
    }
}
