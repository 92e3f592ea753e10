using System.Diagnostics.CodeAnalysis;

namespace Mallku.FireCircle.Providers;

/// <summary>
/// The providers that are known, with a user's own: the one place for what adapters, key checks and imports need to know
/// of each. Immutable.
/// </summary>
public sealed class ProviderCatalogue
{
    private const int MaxFileLength = 1 << 20;
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
    /// What comes with this library, and the entries of a user's file. An entry with the id of a provider that comes with it
    /// is used in its place.
    /// </summary>
    /// <param name="path">The file: JSON, of the shape that the documentation of adapters shows.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    /// <exception cref="SecretsException">The file can't be read, or an entry breaks a rule.</exception>
    public static async ValueTask<ProviderCatalogue> LoadAsync(string path, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        byte[] content;
        try
        {
            RequireOwnWriting(path);
            content = new FileInfo(path).Length <= MaxFileLength
                ? await File.ReadAllBytesAsync(path, cancellationToken).ConfigureAwait(false)
                : throw new SecretsException($"the providers in '{path}' are larger than {MaxFileLength >> 20} MiB", "keep what is needed");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SecretsException($"the providers in '{path}' can't be read: {e.Message.TrimEnd('.')}", "mend the file or its place", e);
        }

        var own = ProviderFile.Parse(content, path).Providers;
        var replaced = own.Select(static provider => provider.Id).ToHashSet(StringComparer.Ordinal);
        return new ProviderCatalogue([.. BuiltIn.All.Where(provider => !replaced.Contains(provider.Id)), .. own]);
    }

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
            SecretName.MayBeValue(id) ? "that text is the name of no provider" : $"there is no provider '{SecretsException.Show(id)}'",
            $"use one of {string.Join(", ", All.Select(static known => known.Id))}, or describe it in a file of your own providers");

    // who can write it can have every key sent to a server of his own
    private static void RequireOwnWriting(string path)
    {
        const UnixFileMode others = UnixFileMode.GroupWrite | UnixFileMode.OtherWrite;
        if (!OperatingSystem.IsWindows() && (File.GetUnixFileMode(path) & others) != UnixFileMode.None)
        {
            throw new SecretsException($"others can write '{path}', which says where keys are sent", $"take that right away: chmod go-w '{path}'");
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
