namespace Mallku.ArangoDb.TestServer;

/// <summary>
/// How the emulated server compares texts: by a language, as ArangoDB does, and by one that shows what relies on another order.
/// It keeps the order of digits before letters that all languages share, and has what some of them have: letters that are
/// two signs (as 'aa' in Danish, 'ch' in Czech, 'ff' in Welsh), 'z' before 't' (as in Estonian), and punctuation after letters.
/// </summary>
internal sealed class ServerLanguage : IComparer<string?>
{
    private const string Order = "0123456789abcdefghijklmnopqrsz";
    private static readonly (string Letter, int After)[] Doubled = [("ch", 'h'), ("ff", 'f'), ("ll", 'l'), ("aa", 'y')];

    internal static ServerLanguage Instance { get; } = new();

    public int Compare(string? x, string? y)
    {
        var (one, other) = (Weights(x!), Weights(y!));
        for (var i = 0; i < Math.Min(one.Count, other.Count); i++)
        {
            if (one[i] != other[i])
            {
                return one[i].CompareTo(other[i]);
            }
        }

        return one.Count.CompareTo(other.Count);
    }

    private static List<int> Weights(string text)
    {
        var weights = new List<int>(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            var (letter, after) = Array.Find(Doubled, one => string.CompareOrdinal(text, i, one.Letter, 0, one.Letter.Length) == 0);
            weights.Add(letter is null ? Weight(text[i]) : Weight((char)after) + 1);
            i += letter is null ? 0 : letter.Length - 1;
        }

        return weights;
    }

    private static int Weight(char c)
    {
        var place = Order.IndexOf(c, StringComparison.Ordinal);
        return 2 * (place >= 0 ? place : char.IsAsciiLetter(c) ? Order.Length + c : 1000 + c);
    }
}
