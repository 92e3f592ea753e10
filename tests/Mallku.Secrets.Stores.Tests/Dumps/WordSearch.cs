using System.Buffers;
using System.Text;

namespace Mallku.Secrets.Stores.Tests.Dumps;

/// <summary>
/// Finds words and keys in whatever a server holds: in any case, as UTF-16, in hexadecimal digits, in base64 at each of its three
/// alignments and in both alphabets, and what is encoded so twice, as JSON in a column of bytes is in a dump.
/// </summary>
internal sealed class WordSearch
{
    private const int FewestBytes = 8, Window = 4 << 20, MostHits = 200;
    private readonly Dictionary<string, string> _texts = new(StringComparer.OrdinalIgnoreCase);
    private readonly Dictionary<string, string> _others = new(StringComparer.Ordinal);
    private readonly SearchValues<string> _allTexts, _allOthers;
    private readonly int _longest;

    /// <param name="words">In ASCII, each long enough not to be there by chance.</param>
    /// <param name="keys">Bytes, by what they are.</param>
    internal WordSearch(IEnumerable<string> words, IEnumerable<(string Name, byte[] Bytes)>? keys = null)
    {
        foreach (var word in words)
        {
            byte[][] plain = [.. new[] { word, word.ToUpperInvariant(), word.ToLowerInvariant() }.Distinct(StringComparer.Ordinal).Select(Encoding.ASCII.GetBytes)];


            // in either order of bytes
            AddForms(word, [.. plain, Encoding.Unicode.GetBytes(word)[..^1]]);
        }

        foreach (var (name, bytes) in keys ?? [])
        {
            AddForms(name, [bytes]);
        }

        _allTexts = SearchValues.Create([.. _texts.Keys], StringComparison.OrdinalIgnoreCase);
        _allOthers = SearchValues.Create([.. _others.Keys], StringComparison.Ordinal);
        _longest = _texts.Keys.Concat(_others.Keys).Max(static form => form.Length);
    }

    /// <summary>Which of them are there.</summary>
    internal IReadOnlyCollection<string> Find(Stream stream)
    {
        var found = new HashSet<string>(StringComparer.Ordinal);
        var bytes = new byte[Window];
        var (characters, kept) = (new char[Window], 0);
        while (stream.ReadAtLeast(bytes.AsSpan(kept), Window - kept, throwOnEndOfStream: false) is > 0 and var read)
        {
            var length = kept + read;

            // files that are made before they are filled
            if (bytes.AsSpan(0, length).ContainsAnyExcept((byte)0))
            {
                Encoding.Latin1.GetChars(bytes, 0, length, characters, 0);
                Find(characters.AsSpan(0, length), _allTexts, _texts, StringComparison.OrdinalIgnoreCase, found);
                Find(characters.AsSpan(0, length), _allOthers, _others, StringComparison.Ordinal, found);
            }

            // what lies across the border of two
            kept = Math.Min(length, _longest);
            bytes.AsSpan(length - kept, kept).CopyTo(bytes);
        }

        return found;
    }

    internal IReadOnlyCollection<string> Find(byte[] bytes) => Find(new MemoryStream(bytes));

    private static void Find(ReadOnlySpan<char> text, SearchValues<string> all, Dictionary<string, string> forms, StringComparison comparison, HashSet<string> found)
    {
        // where there is so much, more of it tells nothing new
        for (var hits = 0; hits < MostHits && text.IndexOfAny(all) is >= 0 and var at; hits++, text = text[(at + 1)..])
        {
            foreach (var (form, name) in forms)
            {
                if (text[at..].StartsWith(form, comparison))
                {
                    found.Add(name);
                }
            }
        }
    }

    private void AddForms(string name, byte[][] plain)
    {
        foreach (var bytes in plain)
        {
            Add(name, bytes);
            foreach (var once in Encode(bytes))
            {
                Add(name, once);
            }
        }

        foreach (var twice in Encode(plain[0]).SelectMany(Encode))
        {
            Add(name, twice);
        }
    }

    private void Add(string name, byte[] form)
    {
        if (form.Length >= FewestBytes)
        {
            (Ascii.IsValid(form) ? _texts : _others)[Encoding.Latin1.GetString(form)] = name;
        }
    }

    // without the characters of base64 that depend on what is before or behind
    private static IEnumerable<byte[]> Encode(byte[] bytes)
    {
        yield return Encoding.ASCII.GetBytes(Convert.ToHexString(bytes));
        yield return Encoding.ASCII.GetBytes(Convert.ToHexStringLower(bytes));
        for (var before = 0; before < 3; before++)
        {
            var (first, last) = (((8 * before) + 5) / 6, 8 * (before + bytes.Length) / 6);
            var text = Convert.ToBase64String([.. new byte[before], .. bytes])[first..last];
            yield return Encoding.ASCII.GetBytes(text);
            yield return Encoding.ASCII.GetBytes(text.Replace('+', '-').Replace('/', '_'));
        }
    }
}

/// <summary>That the search finds what it is to find: what it does not find says nothing otherwise.</summary>
public sealed class WordSearchTests
{
    private const string Word = "Words-that_Nobody+Says/";
    private static readonly byte[] Key = [.. Enumerable.Range(200, 32).Select(static i => (byte)i)];
    private static readonly Func<byte[], byte[]>[] Encodings =
    [
        static bytes => bytes,
        static bytes => Encoding.ASCII.GetBytes(Convert.ToHexString(bytes)),
        static bytes => Encoding.ASCII.GetBytes(Convert.ToHexStringLower(bytes)),
        static bytes => Encoding.ASCII.GetBytes(Convert.ToBase64String(bytes)),
        static bytes => Encoding.ASCII.GetBytes(Convert.ToBase64String(bytes).Replace('+', '-').Replace('/', '_')),
        static bytes => Encoding.ASCII.GetBytes(Convert.ToBase64String([1, .. bytes, 1])),
        static bytes => Encoding.ASCII.GetBytes(Convert.ToBase64String([1, 2, .. bytes, 1])),
    ];

    private readonly WordSearch _search = new([Word], [("the key", Key)]);

    [Fact]
    public void It_finds_every_form_at_every_place()
    {
        byte[][] words = [Encoding.ASCII.GetBytes(Word), Encoding.ASCII.GetBytes(Word.ToUpperInvariant()), Encoding.ASCII.GetBytes(Word.ToLowerInvariant()), Encoding.Unicode.GetBytes(Word), Encoding.BigEndianUnicode.GetBytes(Word)];
        foreach (var (i, encode) in Encodings.Index())
        {
            Assert.All(words, word => Assert.True(_search.Find(Bury(encode(word), 77)).SequenceEqual([Word], StringComparer.Ordinal), $"{i}"));
            Assert.Equal(["the key"], _search.Find(Bury(encode(Key), 77)));
            Assert.All(Encodings, twice => Assert.Equal([Word], _search.Find(Bury(twice(encode(words[0])), 1))));
        }

        // across the border of what is read at once
        for (var at = (4 << 20) - 60; at <= 4 << 20; at += 7)
        {
            Assert.Equal([Word], _search.Find(Bury(words[0], at)));
        }

        Assert.Empty(_search.Find(Bury(words[0][..^2], 77)));
        Assert.Empty(_search.Find(new byte[9 << 20]));
    }

    private static byte[] Bury(byte[] bytes, int at) => [.. Enumerable.Repeat((byte)' ', at), .. bytes, .. " and more"u8];
}
