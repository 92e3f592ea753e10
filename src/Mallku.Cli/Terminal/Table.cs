using System.Text;

namespace Mallku.Cli.Terminal;

/// <summary>
/// Rows under a header, aligned to the width of a terminal: the last column goes on below itself, and columns that don't
/// fit beside the others in further lines. In a pipe: the same columns, separated by tabs, without the header, so that
/// <c>cut -f1</c> gives the names.
/// </summary>
internal sealed class Table(params string[] header)
{
    private const int Gap = 2, Narrowest = 32, NarrowestLast = 10;

    private readonly List<string[]> _rows = [];

    internal void Add(params string[] row) => _rows.Add(Array.ConvertAll(row, SecretsException.ShowAll));

    internal void Write(Channel channel)
    {
        if (channel.IsTerminal)
        {
            channel.Write(Align(channel));
        }
        else
        {
            channel.Write(string.Concat(_rows.Select(row => string.Join('\t', row) + "\n")));
        }
    }

    private string Align(Channel channel)
    {
        // a column in which nothing stands is the first to give way
        int[] said = [.. Enumerable.Range(0, header.Length).Where(i => _rows.Exists(row => row[i] != "-"))];
        if (said.Length > 0 && said.Length < header.Length && Measure().Sum() > channel.Width - (Gap * (header.Length - 1)))
        {
            return Pick(said).Align(channel);
        }

        var (widths, breaks) = Fit(channel.Width);
        var text = new StringBuilder();
        foreach (var line in Lines(header, widths, breaks))
        {
            text.Append(channel.Bold(line)).Append('\n');
        }

        foreach (var line in _rows.SelectMany(row => Lines(row, widths, breaks)))
        {
            text.Append(line).Append('\n');
        }

        return text.ToString();
    }

    private int[] Measure() => [.. header.Select((title, i) => _rows.Select(row => TextWidth.Of(row[i])).Append(title.Length).Max())];

    private Table Pick(int[] columns)
    {
        var table = new Table([.. columns.Select(i => header[i])]);
        table._rows.AddRange(_rows.Select(row => Array.ConvertAll(columns, i => row[i])));
        return table;
    }

    /// <summary>How wide each column is, and with which ones a row goes on in a further line.</summary>
    private (int[] Widths, HashSet<int> Breaks) Fit(int width)
    {
        var widths = Measure();
        var (last, all) = (widths[^1], width - (Gap * (widths.Length - 1)));
        widths[^1] = Math.Min(last, NarrowestLast);
        for (var i = 0; i < widths.Length - 1; i++)
        {
            // what no line holds is cut, so that it makes no lines for everything else
            widths[i] = widths[i] <= width ? widths[i] : Math.Max(Narrowest, all - (widths.Sum() - widths[i]));
        }

        var breaks = new HashSet<int>();
        var used = 0;
        for (var i = 0; i < widths.Length; i++)
        {
            if (used > Gap && used + widths[i] > width)
            {
                breaks.Add(i);
                used = Gap;
            }

            used += widths[i] + Gap;
        }

        widths[^1] = Math.Clamp(width - (used - Gap - widths[^1]), widths[^1], last);
        return (widths, breaks);
    }

    private static IEnumerable<string> Lines(string[] cells, int[] widths, HashSet<int> breaks)
    {
        var line = new StringBuilder();
        for (var i = 0; i < cells.Length; i++)
        {
            if (breaks.Contains(i))
            {
                yield return line.ToString().TrimEnd();
                line.Clear().Append(' ', Gap);
            }

            line.Append(i < cells.Length - 1 ? TextWidth.Pad(TextWidth.Cut(cells[i], widths[i]), widths[i] + Gap) : "");
        }

        if (breaks.Contains(cells.Length - 1) && cells[^1] == "-")
        {
            yield break;
        }

        var indent = TextWidth.Of(line.ToString());
        foreach (var part in Wrap(cells[^1], widths[^1]))
        {
            yield return line.Append(part).ToString().TrimEnd();
            line.Clear().Append(' ', indent);
        }
    }

    /// <summary>A text in lines of whole words; a word that is longer than a line is cut.</summary>
    private static IEnumerable<string> Wrap(string text, int width) => WordWrap.Lines(text.Split(' ').Select(word => TextWidth.Cut(word, width)), width);
}
