using System.CommandLine;
using System.Text;

namespace Mallku.Cli.Commands;

/// <summary>The help of a verb, written from its grammar, in at most 80 columns.</summary>
internal static class HelpText
{
    private const int Width = 80, Indent = 2, Column = 17;

    internal static string Of(VerbEntry entry, Verb verb)
    {
        var text = new StringBuilder();
        AppendWrapped(text, $"Usage: mallku {entry.Name}{Synopsis(verb)}", 0, "       ".Length);
        AppendWrapped(text, $"\n{Sentence(entry.Summary)}", 0, 0);
        if (verb.Notes is { } notes)
        {
            AppendWrapped(text, $"\n{notes}", 0, 0);
        }

        text.Append('\n');
        foreach (var argument in verb.Grammar.Arguments)
        {
            AppendEntry(text, argument.Name, argument.Description ?? "");
        }

        foreach (var option in verb.Grammar.Options)
        {
            AppendEntry(text, Spell(option), option.Description ?? "");
        }

        text.Append("\nExamples:\n");
        foreach (var example in verb.Examples)
        {
            text.Append("  ").Append(example).Append('\n');
        }

        return text.ToString();
    }

    /// <summary>A term and what it means, in two columns.</summary>
    internal static void AppendEntry(StringBuilder text, string term, string meaning)
    {
        var lead = $"{new string(' ', Indent)}{term}".PadRight(Indent + Column);
        if (lead.Length > Indent + Column)
        {
            text.Append(lead.TrimEnd()).Append('\n');
            lead = new string(' ', Indent + Column);
        }

        AppendWrapped(text, lead + meaning, lead.Length, Indent + Column);
    }

    private static string Synopsis(Verb verb)
    {
        var synopsis = new StringBuilder();
        foreach (var option in verb.Grammar.Options.Where(option => option != verb.Help && option != verb.Directory && option != verb.Store))
        {
            var spelled = option.HelpName is null ? option.Name : $"{option.Name} {option.HelpName}";
            synopsis.Append(option.Required ? $" {spelled}" : $" [{spelled}]");
        }

        foreach (var argument in verb.Grammar.Arguments)
        {
            synopsis.Append(argument.Arity.MinimumNumberOfValues == 0 ? $" [{argument.Name}]" : $" {argument.Name}");
        }

        return synopsis.Append(verb.NeedsCommand ? " -- COMMAND" : verb.TakesCommand ? " [-- COMMAND]" : "").ToString();
    }

    private static string Spell(Option option)
    {
        var names = string.Join(", ", option.Aliases.Where(alias => alias != "-?").Append(option.Name).OrderBy(name => name.Length));
        return option.HelpName is null ? names : $"{names} {option.HelpName}";
    }

    private static string Sentence(string summary) => $"{char.ToUpperInvariant(summary[0])}{summary[1..]}.";

    // the first `kept` characters are laid out already; later lines are indented
    private static void AppendWrapped(StringBuilder text, string line, int kept, int indent)
    {
        text.Append(line, 0, kept);
        var column = kept;
        foreach (var word in line[kept..].Split(' '))
        {
            var starts = column == kept;
            if (!starts && column + 1 + word.Length > Width)
            {
                text.Append('\n').Append(' ', indent);
                column = indent;
            }
            else if (!starts)
            {
                text.Append(' ');
                column++;
            }

            text.Append(word);
            column += word.Length;
        }

        text.Append('\n');
    }
}
