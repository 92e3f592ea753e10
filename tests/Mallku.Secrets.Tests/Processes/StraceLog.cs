using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Mallku.Secrets.Tests.Processes;

/// <summary>Reads what <c>strace -f -y -xx -s BIG</c> wrote: the calls that succeeded, in the order in which they ended.</summary>
internal static partial class StraceLog
{
    internal static IReadOnlyList<FileEvent> Parse(IEnumerable<string> lines, string folder)
    {
        var events = new List<FileEvent>();
        var unfinished = new Dictionary<string, string>(StringComparer.Ordinal);
        // where in a file the next write goes; nobody here opens one twice at a time
        var positions = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var line in lines)
        {
            var text = JoinUnfinished(line, unfinished);
            if (text is not null && CallPattern().Match(text) is { Success: true } call && !call.Groups["result"].Value.StartsWith('-'))
            {
                AddEvents(call, folder, positions, events);
            }
        }

        return events;
    }

    // a call that another thread's call interrupts in the log is told in two lines
    private static string? JoinUnfinished(string line, Dictionary<string, string> unfinished)
    {
        const string mark = "<unfinished ...>";
        var parts = LinePattern().Match(line);
        var (process, text) = (parts.Groups[1].Value, parts.Groups[2].Value);
        if (text.EndsWith(mark, StringComparison.Ordinal))
        {
            unfinished[process] = text[..^mark.Length].TrimEnd();
            return null;
        }

        return ResumedPattern().Match(text) is { Success: true } resumed && unfinished.Remove(process, out var start)
            ? start + text[resumed.Length..]
            : text;
    }

    private static void AddEvents(Match call, string folder, Dictionary<string, int> positions, List<FileEvent> events)
    {
        var arguments = call.Groups["arguments"].Value;
        var texts = TextPattern().Matches(arguments).Select(match => Decode(match.Groups[1].Value)).ToList();
        string Text(int index) => Encoding.UTF8.GetString(texts[index]);
        int Result() => int.Parse(call.Groups["result"].Value, CultureInfo.InvariantCulture);
        // the path of the descriptor that is the first argument
        var opened = DescriptorPattern().Match(arguments) is { Success: true } descriptor
            ? Encoding.UTF8.GetString(Decode(descriptor.Groups[1].Value))
            : "";
        switch (call.Groups["name"].Value)
        {
            case "open" or "openat" when Name(Text(0), folder) is { } name:
                positions[name] = 0;
                if (arguments.Contains("O_CREAT", StringComparison.Ordinal))
                {
                    events.Add(new FileEvent.Created(name, arguments[(arguments.LastIndexOf(' ') + 1)..]));
                }

                if (arguments.Contains("O_TRUNC", StringComparison.Ordinal))
                {
                    events.Add(new FileEvent.Truncated(name, 0));
                }

                break;
            case "lseek" when Name(opened, folder) is { } name:
                positions[name] = Result();
                break;
            case "ftruncate" when Name(opened, folder) is { } name:
                events.Add(new FileEvent.Truncated(name, int.Parse(arguments[(arguments.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture)));
                break;
            case "write" when Name(opened, folder) is { } name:
                events.Add(new FileEvent.Written(name, positions[name], texts[0][..Result()]));
                positions[name] += Result();
                break;
            // the runtime writes single bytes to pipes of its own; an answer is a line
            case "write" when opened.StartsWith("pipe:", StringComparison.Ordinal) && texts[0].Length > 1 && texts[0][^1] == '\n':
                events.Add(new FileEvent.Answered(Text(0)));
                break;
            case "fsync" or "fdatasync" when Name(opened, folder) is { } name:
                events.Add(new FileEvent.Flushed(name));
                break;
            case "rename" or "renameat" or "renameat2" when Name(Text(0), folder) is { } from:
                var to = Name(Text(1), folder) ?? throw new InvalidOperationException($"'{from}' was moved out of the folder");
                events.Add(arguments.Contains("RENAME_EXCHANGE", StringComparison.Ordinal)
                    ? new FileEvent.Exchanged(from, to)
                    : new FileEvent.Renamed(from, to));
                break;
            case "unlink" or "unlinkat" when Name(Text(0), folder) is { } name:
                events.Add(new FileEvent.Removed(name));
                break;
        }
    }

    private static string? Name(string path, string folder) =>
        path == folder ? "." : path.StartsWith(folder + "/", StringComparison.Ordinal) ? path[(folder.Length + 1)..] : null;

    private static byte[] Decode(string escaped) => Convert.FromHexString(escaped.Replace("\\x", "", StringComparison.Ordinal));

    [GeneratedRegex(@"^(\d+)\s+(.*)$")]
    private static partial Regex LinePattern();

    [GeneratedRegex(@"^<\.\.\. \w+ resumed>")]
    private static partial Regex ResumedPattern();

    [GeneratedRegex(@"^(?<name>\w+)\((?<arguments>.*)\)\s+=\s+(?<result>-?\d+)", RegexOptions.ExplicitCapture)]
    private static partial Regex CallPattern();

    [GeneratedRegex(@"""((?:\\x[0-9a-f]{2})*)""")]
    private static partial Regex TextPattern();

    [GeneratedRegex(@"^\d+<((?:\\x[0-9a-f]{2})*)>")]
    private static partial Regex DescriptorPattern();
}
