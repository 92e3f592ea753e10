using System.Diagnostics.CodeAnalysis;

namespace Mallku.Secrets.Storage;

/// <summary>How a shared store begins.</summary>
public static class SharedStore
{
    private const string Switch = "Mallku.Secrets.SharedStore";

    /// <summary>Whether a manager can use one; a program that is compiled without it carries nothing of it.</summary>
    [FeatureSwitchDefinition(Switch)]
    internal static bool IsSupported { get; } = !AppContext.TryGetSwitch(Switch, out var isOn) || isOn;

    /// <summary>
    /// Makes a store in a medium, and its root key, which every machine that is to use the store is handed, and which nobody
    /// can get back from the medium. Of any number who do so at the same time, one succeeds.
    /// </summary>
    /// <param name="records">The medium; it stays the caller's.</param>
    /// <param name="cancellationToken">Ends the wait; where it comes late, the store may have been made under a key that nobody has.</param>
    /// <returns>The key as <see cref="SecretsOptions.StoreKey"/>, a file of mode 0600, or <c>MALLKU_STORE_KEY</c> takes it; the caller's to dispose.</returns>
    /// <exception cref="SecretsException">There is a store already, or records of one that has lost its own, or it can't be made.</exception>
    public static async ValueTask<SecretValue> CreateAsync(IRecordStore records, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(records);
        using var key = StoreKey.Generate();
        await new StoreRoot(records, key).CreateAsync(TimeProvider.System, cancellationToken).ConfigureAwait(false);
        return key.ToText();
    }
}
