using Mallku.Secrets;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers a <see cref="SecretsManager"/>.</summary>
public static class SecretsRegistration
{
    /// <summary>Adds one <see cref="SecretsManager"/> for the whole program, unless there is one. It reads nothing before its first lookup.</summary>
    /// <param name="services">What it is added to.</param>
    /// <param name="options">Where its vault is; null: as the environment says.</param>
    public static IServiceCollection AddMallkuSecrets(this IServiceCollection services, SecretsOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        services.TryAddSingleton(_ => SecretsManager.Open(options));
        return services;
    }
}
