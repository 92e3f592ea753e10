using System.CommandLine;
using System.CommandLine.Parsing;
using Mallku.Cli.Commands;

namespace Mallku.Cli;

/// <summary>
/// What is wrong with a command line, in our words. The parser's own quote the arguments, and an argument too many is
/// often a value that its owner believed to belong there: nothing that was typed is repeated here.
/// </summary>
internal static class UsageErrors
{
    internal static void ThrowIfAny(VerbEntry entry, ParseResult parsed)
    {
        var remedy = $"see how it is written: mallku help {entry.Name}";
        var options = parsed.CommandResult.Command.Options.Select(option => option.Name).ToList();
        foreach (var token in parsed.Tokens.TakeWhile(token => token.Type != TokenType.DoubleDash))
        {
            // the parser takes an option that it does not know for the first argument
            if (token.Type == TokenType.Argument && token.Value is ['-', _, ..])
            {
                throw UnknownOption(entry, token.Value, options, remedy);
            }
        }

        if (parsed.UnmatchedTokens.Count > 0)
        {
            throw entry.Name is "set" ? ValueGiven() : new UsageException($"there are more arguments than '{entry.Name}' takes", remedy);
        }

        if (parsed.Errors.Count > 0)
        {
            throw Explain(entry, parsed.Errors[0], remedy);
        }
    }

    /// <summary>A hint at what was meant, or <paramref name="otherwise"/> where nothing is near.</summary>
    internal static string Suggest(string typed, IEnumerable<string> known, string otherwise)
    {
        const int near = 2;
        var word = typed.Split('=')[0];
        return known.Where(name => name.Length > near && Distance(word, name) <= near).MinBy(name => Distance(word, name)) is { } meant
            ? $"did you mean {meant}?"
            : otherwise;
    }

    internal static UsageException NoFolder() => new("--dir needs a folder", "write it as: mallku --dir DIR VERB");

    internal static UsageException NoStore() => new("--store needs the URL of a store", "write it as: mallku --store postgres://USER@HOST/DATABASE VERB");

    /// <summary>What is asked for is neither a name nor one of those that an old vault holds against the rules.</summary>
    internal static UsageException NoName() => new("that is no name for a secret", "use 1 to 255 ASCII letters, digits, '.', '_' and '-'");

    /// <summary>What to say of a name that is not in <paramref name="asked"/>; a text that is no name is not repeated.</summary>
    internal static SecretsException NotFound(string name, string asked) =>
        SecretName.TryParse(name, out _) ? new SecretNotFoundException(name, asked) : NoName();

    private static UsageException UnknownOption(VerbEntry entry, string typed, List<string> options, string remedy)
    {
        var hint = Suggest(typed, options, remedy);
        return entry.Name is "set" && hint == remedy ? ValueGiven() : new UsageException($"'{entry.Name}' has no such option", hint);
    }

    private static UsageException ValueGiven() => new(
        "a value is never an argument, where others could read it", "pipe it in, or type it when you are asked: mallku set NAME");

    private static UsageException Explain(VerbEntry entry, ParseError error, string remedy) => error.SymbolResult switch
    {
        OptionResult { Tokens.Count: < 2 } option => new($"{option.Option.Name} needs {option.Option.HelpName}", remedy),
        OptionResult option => new($"{option.Option.Name} was given more than once", remedy),
        ArgumentResult argument => new($"'{entry.Name}' needs {argument.Argument.Name}", remedy),
        CommandResult { Command.Arguments: [var first, ..] } => new($"'{entry.Name}' needs {first.Name}", remedy),
        _ => new($"'{entry.Name}' is not written like this", remedy),
    };

    /// <summary>How many letters have to be changed, added or left out (Levenshtein).</summary>
    private static int Distance(string from, string to)
    {
        var row = Enumerable.Range(0, to.Length + 1).ToArray();
        for (var i = 0; i < from.Length; i++)
        {
            var diagonal = row[0]++;
            for (var j = 0; j < to.Length; j++)
            {
                (diagonal, row[j + 1]) = (row[j + 1], Math.Min(Math.Min(row[j], row[j + 1]) + 1, diagonal + (from[i] == to[j] ? 0 : 1)));
            }
        }

        return row[^1];
    }
}
