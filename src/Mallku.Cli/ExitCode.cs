namespace Mallku.Cli;

/// <summary>What the exit codes of mallku mean, in every verb.</summary>
internal static class ExitCode
{
    internal const int Done = 0;
    internal const int Failed = 1;
    internal const int Usage = 2;
    internal const int NotFound = 3;
    internal const int NotOpened = 4;
}

/// <summary>The command line can't be understood. Never quotes an argument that could be a value.</summary>
internal sealed class UsageException(string problem, string remedy) : SecretsException(problem, remedy);
