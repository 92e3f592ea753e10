using Mallku.Cli.Native;

namespace Mallku.Cli.Commands;

/// <summary>Shared stores, for whose engines the second program has the drivers.</summary>
internal static class OpenedStore
{
    internal static ValueTask<SecretsOptions> AddAsync(SecretsOptions options, string url, CancellationToken cancellationToken)
    {
        SecondProgram.GoOn("shared stores are opened");
        return default;
    }
}
