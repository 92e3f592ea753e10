using System.Text;

namespace Mallku.Cli.Terminal;

/// <summary>Text in lines that a terminal shows whole.</summary>
internal static class WordWrap
{
    // with what the commands begin that mallku tells people to type
    private static readonly string[] Programs = ["mallku ", "chmod ", "chown ", "mkdir ", "mv ", "rm ", "echo ", "env ", "unset "];

    /// <summary>The words in lines of at most this width; one that is longer has a line of its own.</summary>
    internal static IEnumerable<string> Lines(IEnumerable<string> words, int width)
    {
        var (line, used) = (new StringBuilder(), 0);
        foreach (var word in words)
        {
            var length = TextWidth.Of(word);
            if (line.Length > 0 && used + 1 + length > width)
            {
                yield return line.ToString();
                line.Clear();
                used = 0;
            }

            used += length + (line.Length > 0 ? 1 : 0);
            line.Append(line.Length > 0 ? " " : "").Append(word);
        }

        yield return line.ToString();
    }

    /// <summary>The words of a sentence; a command at its end, which somebody may copy, is one of them.</summary>
    internal static IEnumerable<string> Words(string sentence)
    {
        var at = sentence.LastIndexOf(": ", StringComparison.Ordinal) is var colon and >= 0 ? colon + 2 : 0;
        var command = sentence[at..];
        return Array.Exists(Programs, program => command.StartsWith(program, StringComparison.Ordinal))
            ? [.. sentence[..at].Split(' ', StringSplitOptions.RemoveEmptyEntries), command]
            : sentence.Split(' ');
    }
}
