using Mallku.FireCircle.Providers;

namespace Mallku.Cli.Commands;

/// <summary>The providers that the command knows: those that come with it, and the user's own.</summary>
internal static class KnownProviders
{
    private const string Variable = "MALLKU_PROVIDERS";

    /// <summary>With the file that <c>MALLKU_PROVIDERS</c> names, else <c>~/.config/mallku/providers.json</c> where there is one.</summary>
    /// <exception cref="SecretsException">The file can't be used.</exception>
    internal static async ValueTask<ProviderCatalogue> LoadAsync(CancellationToken cancellationToken)
    {
        Native.NativeBinary.PrepareToConnect();
        if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } named)
        {
            return await ProviderCatalogue.LoadAsync(named, cancellationToken);
        }

        var usual = Path.Combine(Environment.GetEnvironmentVariable("HOME") is { Length: > 0 } home ? home : "/", ".config", "mallku", "providers.json");
        return File.Exists(usual) ? await ProviderCatalogue.LoadAsync(usual, cancellationToken) : ProviderCatalogue.BuiltIn;
    }
}
