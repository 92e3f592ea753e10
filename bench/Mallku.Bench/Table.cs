namespace Mallku.Bench;

/// <summary>What was measured, with its goal beside it, in columns.</summary>
internal sealed class Table(params string[] titles)
{
    private readonly List<string[]> _rows = [titles];

    internal void Add(params string[] cells) => _rows.Add(cells);

    internal void Print()
    {
        var widths = titles.Select((_, column) => _rows.Max(row => row[column].Length)).ToList();
        foreach (var row in _rows)
        {
            Console.WriteLine(string.Join("   ", row.Select((cell, column) => column == 0 ? cell.PadRight(widths[0]) : cell.PadLeft(widths[column]))));
        }
    }
}
