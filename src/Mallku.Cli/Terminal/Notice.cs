using Mallku.Cli.Native;

namespace Mallku.Cli.Terminal;

/// <summary>
/// What mallku says on standard error: lower case, no full stop. An error is one line of what and one of the remedy.
/// </summary>
internal static class Notice
{
    /// <summary>What was done.</summary>
    internal static void Done(string what) => Channel.Error.WriteLine(what);

    /// <summary>Something to know that is no error.</summary>
    internal static void Warn(string what) => Channel.Error.WriteLine($"{Channel.Error.Yellow("mallku: note:")} {what}");

    /// <summary>Reports an error and returns the exit code that it stands for.</summary>
    internal static int Report(Exception error)
    {
        try
        {
            return error switch
            {
                UsageException e => Fail(e, ExitCode.Usage),
                SecretNameException e => Fail(e, ExitCode.Usage),
                SecretNotFoundException e => Fail(e, ExitCode.NotFound),
                VaultOpenException e => Fail(e, ExitCode.NotOpened),
                SecretsException e => Fail(e, ExitCode.Failed),
                ClosedPipeException => ExitCode.Failed,
                IOException or UnauthorizedAccessException => Fail(OneLine(error.Message), "check the disk, the path and its permissions"),
                // the message of an error that nobody foresaw may quote anything, also a value
                _ => Fail($"unexpected {error.GetType().Name}", "this is a mistake in mallku: please report it with the command that led here"),
            };
        }
        catch (IOException)
        {
            return ExitCode.Failed;
        }
    }

    private static int Fail(SecretsException error, int code)
    {
        Fail(error.Problem, error.Remedy);
        return code;
    }

    private static int Fail(string problem, string remedy)
    {
        Channel.Error.Write($"{Channel.Error.Red("mallku:")} {OneLine(problem)}\n  hint: {OneLine(remedy)}\n");
        return ExitCode.Failed;
    }

    private static string OneLine(string text) => text.ReplaceLineEndings(" ").TrimEnd('.');
}
