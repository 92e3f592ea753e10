using Mallku.Secrets.Files;

namespace Mallku.Cli.Commands;

/// <summary>Where the shared store is, as the caller says it.</summary>
internal static class StoreUrl
{
    internal const string Variable = OwnVariables.Store;

    /// <summary>Whether a store is named without an argument.</summary>
    internal static bool IsInEnvironment => Find() is not null;

    /// <summary>The one of the command line, else that of the environment; null for none.</summary>
    /// <exception cref="UsageException">That of the command line is empty, or has a password.</exception>
    internal static string? Choose(string? argument) => argument switch
    {
        null => Find(),
        "" => throw UsageErrors.NoStore(),
        _ when OwnVariables.HasPassword(argument) => throw new UsageException(
            "a password is never an argument, where others could read it", $"put the whole URL into {Variable}, or the password into MALLKU_STORE_PASSWORD, a file that MALLKU_STORE_PASSWORD_FILE names, or a secret of the vault that MALLKU_STORE_PASSWORD_SECRET names"),
        _ => argument,
    };

    /// <summary>Whether it comes from the command line.</summary>
    internal static bool IsArgument(string url) => url != Find();

    private static string? Find() => Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } url ? url : null;
}
