using Mallku.FireCircle.Rotators;
using Mallku.Secrets.Rotation;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers what rotates secrets in a process that runs for long.</summary>
public static class RotationRegistration
{
    /// <summary>
    /// Adds a <see cref="RotationRunner"/> with every registered <see cref="IRotator"/>, and a hosted service that rotates by
    /// it what is due, at the start and then every so often; and a <see cref="SecretsManager"/>, unless there is one.
    /// </summary>
    /// <param name="services">What they are added to.</param>
    /// <param name="every">How often it looks, above zero and at most 30 days; every ten minutes where nothing is said.</param>
    /// <exception cref="ArgumentOutOfRangeException">It is not above zero, or longer.</exception>
    public static IServiceCollection AddMallkuRotation(this IServiceCollection services, TimeSpan? every = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        var pause = every ?? TimeSpan.FromMinutes(10);
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(pause, TimeSpan.Zero, nameof(every));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(pause, TimeSpan.FromDays(30), nameof(every));
        services.AddMallkuSecrets();
        services.TryAddSingleton(provider => provider.GetRequiredService<SecretsManager>().CreateRotationRunner(provider.GetServices<IRotator>()));
        services.AddSingleton<IHostedService>(provider => new RotationTimer(
            provider.GetRequiredService<RotationRunner>(), pause, provider.GetRequiredService<ILogger<RotationTimer>>()));
        return services;
    }
}
