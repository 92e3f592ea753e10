namespace Mallku.Secrets.Hosting;

/// <summary>Which secrets a configuration holds. Immutable.</summary>
public sealed record SecretsConfigurationOptions
{
    /// <summary>
    /// The names of secrets by the keys of the configuration, such as <c>["Mail:Password"] = "mail_password"</c>. Null: every
    /// secret that is listed, under its own name, with <c>--</c> as <c>:</c>.
    /// </summary>
    public IReadOnlyDictionary<string, string>? Keys { get; init; }

    /// <summary>How often it is looked for changes: a second. <see cref="Timeout.InfiniteTimeSpan"/>: never.</summary>
    public TimeSpan LookInterval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Told of a look that failed: the values stay as they were, and the next look tries again. Also told where something
    /// that follows the configuration threw at a change: the values are the new ones, and the looks go on.
    /// </summary>
    public Action<SecretsException>? OnFailedLook { get; init; }

    /// <summary>The clock of the looks.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;
}
