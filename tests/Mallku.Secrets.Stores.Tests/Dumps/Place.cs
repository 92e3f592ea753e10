using System.Text;

namespace Mallku.Secrets.Stores.Tests.Dumps;

/// <summary>Where a server, or who listens to it, may have something: files, a log, what went over the wire.</summary>
internal sealed record Place(string Name, IEnumerable<Func<Stream>> Pieces)
{
    internal Place(string name, string text)
        : this(name, [() => new MemoryStream(Encoding.UTF8.GetBytes(text))])
    {
    }

    internal static Place OfFiles(string name, IEnumerable<string> folders, string pattern = "*") =>
        new(name, folders.SelectMany(folder => Directory.EnumerateFiles(folder, pattern, SearchOption.AllDirectories)).Select(static file => (Func<Stream>)(() => File.OpenRead(file))));

    internal static Place OfWire(Line line) => new("wire", line.Heard.Select(static bytes => (Func<Stream>)(() => new MemoryStream(bytes))));

    /// <summary>Nothing of what was to be hidden is in any of the places, and what was planted is in each: so the search would have found it.</summary>
    internal static void RequireHidden(IReadOnlyList<Place> places, WordSearch hidden, WordSearch planted)
    {
        var found = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var place in places)
        {
            var hasPlanted = false;
            foreach (var open in place.Pieces)
            {
                using var piece = open();
                found.UnionWith(hidden.Find(piece).Select(word => $"{place.Name}: {word}"));
                piece.Position = 0;
                hasPlanted |= planted.Find(piece).Count > 0;
            }

            Assert.True(hasPlanted, $"what was planted is not found in {place.Name}");
        }

        Assert.True(found.Count == 0, string.Join('\n', found));
    }
}
