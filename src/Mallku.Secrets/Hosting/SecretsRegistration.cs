using Mallku.Secrets;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers a <see cref="SecretsManager"/>.</summary>
public static class SecretsRegistration
{
    /// <summary>Adds one <see cref="SecretsManager"/> for the whole program, unless there is one. It reads nothing before its first lookup.</summary>
    /// <param name="services">What it is added to.</param>
    /// <param name="options">Where its vault is, in the place of what an earlier call has said; null: as another call says, else the environment.</param>
    public static IServiceCollection AddMallkuSecrets(this IServiceCollection services, SecretsOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        if (options is not null)
        {
            services.Replace(ServiceDescriptor.Singleton(options));
        }

        services.TryAddSingleton(static provider => SecretsManager.Open(provider.GetService<SecretsOptions>()));
        return services;
    }
}
