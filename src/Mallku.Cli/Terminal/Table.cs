using System.Text;

namespace Mallku.Cli.Terminal;

/// <summary>
/// Rows under a header, aligned and cut to the width at a terminal. In a pipe: the same columns, separated by tabs,
/// without the header, so that <c>cut -f1</c> gives the names.
/// </summary>
internal sealed class Table(params string[] header)
{
    private const int Gap = 2, Narrowest = 4;

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
        var widths = Fit(channel.Width);
        var text = new StringBuilder();
        text.Append(channel.Bold(Line(header, widths))).Append('\n');
        foreach (var row in _rows)
        {
            text.Append(Line(row, widths)).Append('\n');
        }

        return text.ToString();
    }

    // the widest column gives way first, so that short ones stay whole
    private int[] Fit(int width)
    {
        var widths = header.Select((title, i) => _rows.Select(row => row[i].Length).Append(title.Length).Max()).ToArray();
        var available = width - (Gap * (widths.Length - 1));
        while (widths.Sum() > available && widths.Max() is var widest and > Narrowest)
        {
            widths[Array.IndexOf(widths, widest)]--;
        }

        return widths;
    }

    private static string Line(string[] cells, int[] widths)
    {
        var line = new StringBuilder();
        for (var i = 0; i < cells.Length; i++)
        {
            line.Append(Cut(cells[i], widths[i]).PadRight(widths[i] + Gap));
        }

        return line.ToString().TrimEnd();
    }

    private static string Cut(string cell, int width) => cell.Length <= width ? cell : cell[..(width - 1)] + "…";
}
