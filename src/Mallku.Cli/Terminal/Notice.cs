using Mallku.Cli.Native;
using Mallku.Secrets.Storage;

namespace Mallku.Cli.Terminal;

/// <summary>
/// What mallku says on standard error: lower case, no full stop. An error is one line of what and one of the remedy.
/// What can't be said there changes nothing: the work is done, or its error has an exit code.
/// </summary>
internal static class Notice
{
    /// <summary>What was done.</summary>
    internal static void Done(string what) => Say($"{SecretsException.ShowAll(what)}\n");

    /// <summary>Something to know that is no error.</summary>
    internal static void Warn(string what) => Say($"{Channel.Error.Yellow("mallku: note:")} {SecretsException.ShowAll(what)}\n");

    /// <summary>Reports an error and returns the exit code that it stands for.</summary>
    internal static int Report(Exception error) => error switch
    {
        UsageException e => Fail(e, ExitCode.Usage),
        SecretNameException e => Fail(e, ExitCode.Usage),
        SecretNotFoundException e => Fail(e, ExitCode.NotFound),
        VaultOpenException e => Fail(e, ExitCode.NotOpened),
        StoreUnreachableException { MayBeWritten: false } e => Fail(e, ExitCode.NotOpened),
        SecretsException e => Fail(e, ExitCode.Failed),
        ClosedPipeException => ExitCode.Failed,
        IOException or UnauthorizedAccessException => Fail(OneLine(error.Message), "check the disk, the path and its permissions"),
        // the message of an error that nobody foresaw may quote anything, also a value
        _ => Fail($"unexpected {error.GetType().Name}", "this is a mistake in mallku: please report it with the command that led here"),
    };

    private static int Fail(SecretsException error, int code)
    {
        Fail(error.Problem, error.Remedy);
        return code;
    }

    private static int Fail(string problem, string remedy)
    {
        Say($"{Channel.Error.Red("mallku:")} {OneLine(problem)}\n  hint: {OneLine(remedy)}\n");
        return ExitCode.Failed;
    }

    private static void Say(string text)
    {
        try
        {
            Channel.Error.Write(text);
        }
        catch (IOException)
        {
            // closed, full, or nobody reads it
        }
    }

    private static string OneLine(string text) => SecretsException.ShowAll(text.ReplaceLineEndings(" ")).TrimEnd('.');
}
