using Mallku.FireCircle.Adapters;
using Mallku.FireCircle.Providers;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers chat clients by the ids of their providers.</summary>
public static class AdapterRegistration
{
    /// <summary>
    /// Adds an <see cref="IChatClient"/> for each provider, keyed by its id, and one for each adapter that is named here,
    /// keyed by its name; an <see cref="AdapterFactory"/> for others; and a <see cref="SecretsManager"/>, unless there is one.
    /// A client is made when it is first asked for, and its key looked up when it sends its first request.
    /// </summary>
    /// <remarks>
    /// May be called again, by each part of a program: what is named later is added, and takes the place of what has the same
    /// name, case ignored. A client that was registered otherwise under such a key stays.
    /// </remarks>
    /// <param name="services">What they are added to.</param>
    /// <param name="adapters">By name; one that is called as a provider takes that one's place.</param>
    /// <param name="providers">Null: those of another call, or those that come with this library. Two calls that name different ones are an error when a client is made.</param>
    public static IServiceCollection AddMallkuAdapters(
        this IServiceCollection services, IReadOnlyDictionary<string, AdapterOptions>? adapters = null, ProviderCatalogue? providers = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        adapters = adapters is null ? new Dictionary<string, AdapterOptions>(StringComparer.Ordinal) : new Dictionary<string, AdapterOptions>(adapters, StringComparer.Ordinal);
        services.AddMallkuSecrets();
        services.Configure<RegisteredAdapters>(registered => registered.Add(adapters, providers));
        services.TryAddSingleton(static provider => new AdapterFactory(provider.GetRequiredService<SecretsManager>(), Find(provider).Providers));
        foreach (var name in adapters.Keys.Concat((providers ?? ProviderCatalogue.BuiltIn).All.Select(static known => known.Id)))
        {
            services.TryAddKeyedSingleton(name, static (provider, key) => provider.GetRequiredService<AdapterFactory>().Create((string)key!, Find(provider).FindOptions((string)key!)));
        }

        return services;
    }

    private static RegisteredAdapters Find(IServiceProvider provider) => provider.GetRequiredService<IOptions<RegisteredAdapters>>().Value;
}

/// <summary>What all calls together have said.</summary>
internal sealed class RegisteredAdapters
{
    private readonly Dictionary<string, AdapterOptions> _adapters = new(StringComparer.OrdinalIgnoreCase);

    internal ProviderCatalogue? Providers { get; private set; }

    internal AdapterOptions? FindOptions(string name) => _adapters.GetValueOrDefault(name);

    internal void Add(IReadOnlyDictionary<string, AdapterOptions> adapters, ProviderCatalogue? providers)
    {
        // which of them is meant decides where a key is sent
        if (providers is not null && Providers is not null && providers != Providers)
        {
            throw new InvalidOperationException("AddMallkuAdapters was called with two different catalogues of providers. Describe all providers in one file, and give that catalogue to one call.");
        }

        Providers ??= providers;
        foreach (var (name, options) in adapters)
        {
            _adapters[name] = options;
        }
    }
}
