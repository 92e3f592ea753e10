using System.Globalization;
using System.Text;

namespace Mallku.Cli.Terminal;

/// <summary>
/// How many columns of a terminal a text takes, of what is shown at all: <see cref="SecretsException.ShowAll"/> leaves
/// nothing beyond U+FFFF, and no character that joins others.
/// </summary>
internal static class TextWidth
{
    // wide or fullwidth by Unicode's EastAsianWidth.txt; between two of them also what is not assigned
    private static readonly (char First, char Last)[] Wide =
    [
        ('\u1100', '\u115F'), ('\u231A', '\u231B'), ('\u2329', '\u232A'), ('\u23E9', '\u23EC'), ('\u23F0', '\u23F0'),
        ('\u23F3', '\u23F3'), ('\u25FD', '\u25FE'), ('\u2614', '\u2615'), ('\u2648', '\u2653'), ('\u267F', '\u267F'),
        ('\u2693', '\u2693'), ('\u26A1', '\u26A1'), ('\u26AA', '\u26AB'), ('\u26BD', '\u26BE'), ('\u26C4', '\u26C5'),
        ('\u26CE', '\u26CE'), ('\u26D4', '\u26D4'), ('\u26EA', '\u26EA'), ('\u26F2', '\u26F3'), ('\u26F5', '\u26F5'),
        ('\u26FA', '\u26FA'), ('\u26FD', '\u26FD'), ('\u2705', '\u2705'), ('\u270A', '\u270B'), ('\u2728', '\u2728'),
        ('\u274C', '\u274C'), ('\u274E', '\u274E'), ('\u2753', '\u2755'), ('\u2757', '\u2757'), ('\u2795', '\u2797'),
        ('\u27B0', '\u27B0'), ('\u27BF', '\u27BF'), ('\u2B1B', '\u2B1C'), ('\u2B50', '\u2B50'), ('\u2B55', '\u2B55'),
        ('\u2E80', '\u303E'), ('\u3041', '\u3247'), ('\u3250', '\uA4CF'), ('\uA960', '\uA97F'), ('\uAC00', '\uD7A3'),
        ('\uF900', '\uFAFF'), ('\uFE10', '\uFE19'), ('\uFE30', '\uFE6F'), ('\uFF01', '\uFF60'), ('\uFFE0', '\uFFE6'),
    ];

    internal static int Of(string text) => Ascii.IsValid(text) ? text.Length : text.Sum(Of);

    /// <summary>The text with spaces behind it up to a width.</summary>
    internal static string Pad(string text, int width) => text + new string(' ', Math.Max(0, width - Of(text)));

    /// <summary>The text, or as much of it as has room together with a mark that something is left out.</summary>
    internal static string Cut(string text, int width)
    {
        if (Of(text) <= width)
        {
            return text;
        }

        var (used, length) = (1, 0);
        while (used + Of(text[length]) <= width)
        {
            used += Of(text[length++]);
        }

        return text[..length] + "…";
    }

    private static int Of(char shown) => char.GetUnicodeCategory(shown) switch
    {
        // what is drawn into the character before it, as are a Korean syllable's vowel and end
        UnicodeCategory.NonSpacingMark or UnicodeCategory.EnclosingMark => 0,
        _ when shown is >= '\u1160' and <= '\u11FF' => 0,
        _ => Array.Exists(Wide, range => shown >= range.First && shown <= range.Last) ? 2 : 1,
    };
}
