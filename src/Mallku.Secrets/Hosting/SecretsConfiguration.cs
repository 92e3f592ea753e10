using Mallku.Secrets;
using Mallku.Secrets.Hosting;

namespace Microsoft.Extensions.Configuration;

/// <summary>Adds secrets to a configuration.</summary>
public static class SecretsConfiguration
{
    /// <summary>
    /// Adds secrets as values of a configuration, which follows when they change. Configuration holds plain strings: where a
    /// component can ask a <see cref="SecretsManager"/>, let it.
    /// </summary>
    /// <param name="builder">What they are added to.</param>
    /// <param name="options">Which secrets, under which keys; null: all that are listed.</param>
    /// <param name="secrets">Where they come from; null: a manager as the environment says.</param>
    /// <exception cref="SecretsException">From the building of the configuration: a source failed.</exception>
    public static IConfigurationBuilder AddMallkuSecrets(
        this IConfigurationBuilder builder, SecretsConfigurationOptions? options = null, SecretsManager? secrets = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        return builder.Add(new SecretsConfigurationSource(options ?? new SecretsConfigurationOptions(), secrets ?? SecretsManager.Open()));
    }
}
