namespace Mallku.Cli.Transfer;

/// <summary>Assignments that any POSIX shell evaluates to the very value: in single quotes nothing has a meaning but the quote.</summary>
internal static class ShellText
{
    internal static string Format(string variable, string value) =>
        $"export {variable}='{value.Replace("'", "'\\''", StringComparison.Ordinal)}'\n";
}
