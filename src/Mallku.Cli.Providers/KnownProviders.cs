using Mallku.FireCircle.Providers;

namespace Mallku.Cli.Commands;

/// <summary>The providers that the command knows: those that come with it, and the user's own.</summary>
internal static class KnownProviders
{
    private const string Variable = "MALLKU_PROVIDERS";

    /// <summary>With the file that <c>MALLKU_PROVIDERS</c> names, else <c>~/.config/mallku/providers.json</c> where there is one.</summary>
    /// <exception cref="SecretsException">The file can't be used, or an entry breaks a rule.</exception>
    internal static async ValueTask<ProviderCatalogue> LoadAsync(CancellationToken cancellationToken) =>
        (await LoadWithFaultsAsync(cancellationToken)).RequireNoFaults();

    /// <summary>The same, with entries that break a rule apart, for verbs that show one provider after another.</summary>
    /// <exception cref="SecretsException">The file can't be used.</exception>
    internal static async ValueTask<ProviderCatalogue> LoadWithFaultsAsync(CancellationToken cancellationToken)
    {
        Native.NativeBinary.PrepareToConnect();
        if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } named)
        {
            return await ProviderCatalogue.TryLoadAsync(named, cancellationToken)
                ?? throw new SecretsException($"there is no file '{named}', which {Variable} names", $"mend the path, or go without: unset {Variable}");
        }

        var usual = Path.Combine(Environment.GetEnvironmentVariable("HOME") is { Length: > 0 } home ? home : "/", ".config", "mallku", "providers.json");
        return await ProviderCatalogue.TryLoadAsync(usual, cancellationToken) ?? ProviderCatalogue.BuiltIn;
    }
}
