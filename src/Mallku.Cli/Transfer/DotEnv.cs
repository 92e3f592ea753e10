using System.Text;

namespace Mallku.Cli.Transfer;

/// <summary>
/// The <c>.env</c> format as its common readers agree on it: <c>NAME=value</c>, optionally with <c>export</c>, comments
/// from <c>#</c>; single quotes take everything as it stands, double quotes know backslash escapes, and both may span
/// lines. Variables are not expanded: a value is what is written.
/// </summary>
internal static class DotEnv
{
    /// <summary>Reads a whole file.</summary>
    /// <exception cref="SecretsException">A line can't be read; the message has its number and nothing of it.</exception>
    internal static List<Entry> Parse(string text)
    {
        var entries = new List<Entry>();
        var reader = new Reader(text.Replace("\r\n", "\n", StringComparison.Ordinal).Replace('\r', '\n'));
        while (reader.NextAssignment())
        {
            var name = reader.ReadName();
            entries.Add(new Entry(name, SecretValue.FromString(reader.ReadValue()), IsVariable: true));
        }

        return entries;
    }

    /// <summary>One line, or more where the value has several, that reads back as the same value.</summary>
    internal static string Format(string variable, string value)
    {
        if (value.Length > 0 && value.All(static c => char.IsAsciiLetterOrDigit(c) || "_-./:@%+,".Contains(c, StringComparison.Ordinal)))
        {
            return $"{variable}={value}\n";
        }

        // readers differ about a backslash in single quotes and about a line's end in either
        return value.AsSpan().ContainsAny("'\\\r\n")
            ? $"{variable}=\"{Escape(value)}\"\n"
            : $"{variable}='{value}'\n";
    }

    private static string Escape(string value) => new StringBuilder(value)
        .Replace("\\", "\\\\").Replace("\"", "\\\"").Replace("$", "\\$").Replace("`", "\\`").Replace("\r", "\\r").Replace("\n", "\\n").ToString();

    private sealed class Reader(string text)
    {
        private int _at;

        internal bool NextAssignment()
        {
            while (_at < text.Length)
            {
                if (char.IsWhiteSpace(text[_at]) || text[_at] == '\uFEFF')
                {
                    _at++;
                }
                else if (text[_at] == '#')
                {
                    SkipLine();
                }
                else
                {
                    return true;
                }
            }

            return false;
        }

        internal string ReadName()
        {
            var end = text.AsSpan(_at).IndexOfAny('=', '\n');
            if (end <= 0 || text[_at + end] == '\n')
            {
                throw Unreadable("has no NAME=");
            }

            var name = text.AsSpan(_at, end).Trim();
            if (name.StartsWith("export ", StringComparison.Ordinal) || name.StartsWith("export\t", StringComparison.Ordinal))
            {
                name = name["export ".Length..].Trim();
            }

            if (name.ContainsAny(" \t'\""))
            {
                throw Unreadable("has no NAME=");
            }

            if (LooksLikeMaterial(name, text.AsSpan(_at + end)))
            {
                throw Unreadable("looks like a part of a value over several lines, which needs quotes");
            }

            _at += end + 1;
            return name.ToString();
        }

        // A line of base64 that ends with its padding would be a name, and names are shown. Two signs of padding are no value.
        private static bool LooksLikeMaterial(ReadOnlySpan<char> name, ReadOnlySpan<char> rest)
        {
            const int longerThanNames = 32;
            var line = rest.IndexOf('\n') is var end and >= 0 ? rest[..end] : rest;
            return line.TrimEnd() is "=="
                || (line.TrimEnd() is "="
                    && (name.ContainsAny('+', '/')
                        || SecretName.MayBeValue(name.ToString())
                        || (name.Length > longerThanNames && name.ContainsAnyInRange('a', 'z') && name.ContainsAnyInRange('A', 'Z'))));
        }

        internal string ReadValue()
        {
            while (_at < text.Length && text[_at] is ' ' or '\t')
            {
                _at++;
            }

            return _at < text.Length && text[_at] is '\'' or '"' ? ReadQuoted(text[_at]) : ReadPlain();
        }

        private string ReadPlain()
        {
            var start = _at;
            SkipLine();
            var line = text.AsSpan(start, _at - start);
            for (var i = 0; i < line.Length; i++)
            {
                // what stands before the line is the sign, white space, or a closing quote
                if (line[i] == '#' && text[start + i - 1] is '\'' or '"' or ' ' or '\t')
                {
                    return line[..i].Trim().ToString();
                }
            }

            return line.Trim().ToString();
        }

        private string ReadQuoted(char quote)
        {
            var started = _at++;
            var value = new StringBuilder();
            while (_at < text.Length && text[_at] != quote)
            {
                value.Append(quote == '"' && text[_at] == '\\' && _at + 1 < text.Length ? ReadEscape() : text[_at].ToString());
                _at++;
            }

            if (_at == text.Length)
            {
                _at = started;
                throw Unreadable("begins a quoted value that does not end");
            }

            _at++;
            var rest = ReadPlain();
            return rest.Length == 0 ? value.ToString() : throw Unreadable("goes on after the closing quote");
        }

        private string ReadEscape() => text[++_at] switch
        {
            'n' => "\n",
            'r' => "\r",
            't' => "\t",
            '"' or '\\' or '$' or '`' or '\'' => text[_at].ToString(),
            var other => "\\" + other,
        };

        private void SkipLine()
        {
            var end = text.AsSpan(_at).IndexOf('\n');
            _at = end < 0 ? text.Length : _at + end;
        }

        private SecretsException Unreadable(string why) =>
            new($"line {text.AsSpan(0, Math.Min(_at, text.Length)).Count('\n') + 1} {why}", "write each line as NAME=value, and quote a value that has spaces or several lines");
    }
}
