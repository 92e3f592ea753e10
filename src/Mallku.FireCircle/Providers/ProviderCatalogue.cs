using System.Diagnostics.CodeAnalysis;

namespace Mallku.FireCircle.Providers;

/// <summary>
/// The providers that are known, with a user's own: the one place for what adapters, key checks and imports need to know
/// of each. Immutable.
/// </summary>
public sealed class ProviderCatalogue
{
    private static readonly Lazy<ProviderCatalogue> Embedded = new(static () => new ProviderCatalogue(ReadEmbedded().Providers));
    private readonly Dictionary<string, Provider> _byId = new(StringComparer.OrdinalIgnoreCase);

    private ProviderCatalogue(IReadOnlyList<Provider> providers)
    {
        All = providers;
        foreach (var provider in providers)
        {
            foreach (var id in provider.Aliases.Prepend(provider.Id))
            {
                if (!_byId.TryAdd(id, provider))
                {
                    throw new SecretsException(
                        $"the providers '{_byId[id].Id}' and '{provider.Id}' are both called '{id}'", "give one of them another id or alias");
                }
            }
        }
    }

    /// <summary>What comes with this library.</summary>
    public static ProviderCatalogue BuiltIn => Embedded.Value;

    /// <summary>Every provider: those that come with this library in their order, then a user's.</summary>
    public IReadOnlyList<Provider> All { get; }

    /// <summary>
    /// The entries of a user's file that break a rule, by their ids, case ignored: they are not among the providers, and neither is one that
    /// comes with this library and that such an entry was to replace.
    /// </summary>
    internal IReadOnlyDictionary<string, SecretsException> Faults { get; private init; } = new Dictionary<string, SecretsException>(StringComparer.OrdinalIgnoreCase);

    /// <summary>
    /// What comes with this library, and the entries of a user's file. An entry with the id of a provider that comes with it
    /// is used in its place.
    /// </summary>
    /// <param name="path">The file: JSON, of the shape that the documentation of adapters shows.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    /// <exception cref="SecretsException">The file can't be read, or others could have written it, or an entry breaks a rule.</exception>
    public static async ValueTask<ProviderCatalogue> LoadAsync(string path, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        var catalogue = await TryLoadAsync(path, cancellationToken).ConfigureAwait(false)
            ?? throw new SecretsException($"the providers in '{path}' can't be read: there is no such file", "mend the path, or write it as docs/guide/adapters.md shows");
        return catalogue.RequireNoFaults();
    }

    /// <summary>The same with its faults apart; null when there is no such file.</summary>
    /// <exception cref="SecretsException">The file can't be read, or others could have written it.</exception>
    internal static async ValueTask<ProviderCatalogue?> TryLoadAsync(string path, CancellationToken cancellationToken) =>
        await Task.Run(() => TrustedFile.Read(path), cancellationToken).ConfigureAwait(false) is { } content
            ? Join(ProviderFile.Parse(content, path).Providers, path)
            : null;

    /// <summary>This catalogue, for who needs all that the file has.</summary>
    /// <exception cref="SecretsException">An entry breaks a rule.</exception>
    internal ProviderCatalogue RequireNoFaults() => Faults.Count == 0 ? this : throw Faults.Values.First();

    /// <summary>A provider by its id or an alias, case ignored.</summary>
    public bool TryFind(string id, [NotNullWhen(true)] out Provider? provider)
    {
        ArgumentNullException.ThrowIfNull(id);
        return _byId.TryGetValue(id, out provider);
    }

    /// <summary>A provider by its id or an alias, case ignored.</summary>
    /// <exception cref="SecretsException">There is none.</exception>
    public Provider Find(string id) => TryFind(id, out var provider)
        ? provider
        : throw new SecretsException(
            MayBeKey(id) ? "that text is the name of no provider" : $"there is no provider '{SecretsException.Show(id)}'",
            $"use one of {string.Join(", ", All.Select(static known => known.Id))}, or describe it in a file of your own providers");

    /// <summary>Whether a text that should be something else may be a key in the wrong place.</summary>
    internal bool MayBeKey(string text) => SecretName.MayBeValue(text) || All.Any(known => known.Key.Recognizes(text));

    private static ProviderCatalogue Join(IReadOnlyList<Provider> own, string path)
    {
        var faults = new Dictionary<string, SecretsException>(StringComparer.OrdinalIgnoreCase);
        foreach (var provider in own)
        {
            if (ProviderRules.FindFault(provider) is { } fault)
            {
                faults.Add(provider.Id, new SecretsException($"the provider '{provider.Id}' in '{path}' {fault}", "mend that entry"));
            }
        }

        var replaced = own.Select(static provider => provider.Id).ToHashSet(StringComparer.Ordinal);
        try
        {
            return new ProviderCatalogue([.. BuiltIn.All.Where(provider => !replaced.Contains(provider.Id)), .. own.Where(provider => !faults.ContainsKey(provider.Id))])
            {
                Faults = faults,
            };
        }
        catch (SecretsException e)
        {
            throw new SecretsException($"in '{path}', {e.Problem}", e.Remedy);
        }
    }

    private static ProviderFile ReadEmbedded()
    {
        using var stream = typeof(ProviderCatalogue).Assembly.GetManifestResourceStream("providers.json")!;
        var content = new byte[stream.Length];
        stream.ReadExactly(content);
        return ProviderFile.Parse(content, "providers.json");
    }
}
