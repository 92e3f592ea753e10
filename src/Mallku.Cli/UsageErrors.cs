using System.CommandLine;
using System.CommandLine.Parsing;
using Mallku.Cli.Commands;

namespace Mallku.Cli;

/// <summary>
/// What is wrong with a command line, in our words: the parser's own messages quote arguments, and an argument too
/// many is often a value that its owner believed to belong there.
/// </summary>
internal static class UsageErrors
{
    private const int LongestQuoted = 24;

    internal static void ThrowIfAny(VerbEntry entry, ParseResult parsed)
    {
        var remedy = $"see how it is written: mallku help {entry.Name}";
        foreach (var token in parsed.UnmatchedTokens)
        {
            throw token.StartsWith('-')
                ? new UsageException($"'{entry.Name}' has no option {Quote(token)}", remedy)
                : TooMany(entry, remedy);
        }

        foreach (var error in parsed.Errors)
        {
            throw error.SymbolResult switch
            {
                OptionResult { Tokens.Count: 0 } option => new UsageException($"{option.Option.Name} needs {option.Option.HelpName}", remedy),
                OptionResult option => new UsageException($"{option.Option.Name} was given more than once, or in a way that it does not take", remedy),
                ArgumentResult argument => Missing(entry, argument.Argument.Name, remedy),
                _ => Missing(entry, parsed.CommandResult.Command.Arguments is [var first, ..] ? first.Name : "something", remedy),
            };
        }
    }

    /// <summary>A word in quotes if it can only be a slip of the pen; never what may be a value.</summary>
    internal static string Quote(string word)
    {
        var name = word.Split('=')[0];
        return name.Length <= LongestQuoted && name.All(static c => char.IsAsciiLetterLower(c) || c is '-')
            ? $"'{name}'"
            : "of that name";
    }

    private static UsageException TooMany(VerbEntry entry, string remedy) => entry.Name is "set"
        ? new UsageException("a value is never an argument, where others could read it", "pipe it in, or type it when you are asked: mallku set NAME")
        : new UsageException($"there are more arguments than '{entry.Name}' takes", remedy);

    private static UsageException Missing(VerbEntry entry, string argument, string remedy) =>
        new($"'{entry.Name}' needs {argument}", remedy);
}
