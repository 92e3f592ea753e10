using Mallku.FireCircle.Adapters;
using Mallku.FireCircle.Providers;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers chat clients by the ids of their providers.</summary>
public static class AdapterRegistration
{
    /// <summary>
    /// Adds an <see cref="IChatClient"/> for each provider, keyed by its id, and one for each adapter that is named here,
    /// keyed by its name; an <see cref="AdapterFactory"/> for others; and a <see cref="SecretsManager"/>, unless there is one.
    /// A client is made when it is first asked for, and its key looked up when it sends its first request.
    /// </summary>
    /// <param name="services">What they are added to.</param>
    /// <param name="adapters">By name; one that is called as a provider takes that one's place.</param>
    /// <param name="providers">Null: those that come with this library.</param>
    public static IServiceCollection AddMallkuAdapters(
        this IServiceCollection services, IReadOnlyDictionary<string, AdapterOptions>? adapters = null, ProviderCatalogue? providers = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        providers ??= ProviderCatalogue.BuiltIn;
        services.AddMallkuSecrets();
        services.TryAddSingleton(provider => new AdapterFactory(provider.GetRequiredService<SecretsManager>(), providers));
        foreach (var (name, options) in adapters ?? new Dictionary<string, AdapterOptions>(StringComparer.Ordinal))
        {
            services.TryAddKeyedSingleton(name, (provider, _) => provider.GetRequiredService<AdapterFactory>().Create(name, options));
        }

        foreach (var known in providers.All)
        {
            services.TryAddKeyedSingleton(known.Id, (provider, _) => provider.GetRequiredService<AdapterFactory>().Create(known.Id));
        }

        return services;
    }
}
