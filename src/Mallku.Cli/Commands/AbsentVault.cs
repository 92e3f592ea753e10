using Mallku.Cli.Terminal;
using Mallku.Secrets.Vault;

namespace Mallku.Cli.Commands;

/// <summary>A vault that nobody has made yet, where none was named: an answer without it is empty, and no error.</summary>
internal static class AbsentVault
{
    internal static async ValueTask<bool> IsAbsentAsync(FileVault vault, CancellationToken cancellationToken) =>
        (await vault.OpenAsync(cancellationToken)).Key is null;

    /// <summary>Says that there is none, and where it would be: an empty answer looks as if it were there.</summary>
    /// <returns>Whether there is none.</returns>
    internal static async ValueTask<bool> SayAsync(FileVault vault, CancellationToken cancellationToken)
    {
        var isAbsent = await IsAbsentAsync(vault, cancellationToken);
        if (isAbsent)
        {
            Notice.Warn($"there is no vault in '{vault.Settings.Directory}'; make one: {vault.Settings.InitCommand}");
        }

        return isAbsent;
    }
}
