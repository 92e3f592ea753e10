using System.Text;
using System.Text.RegularExpressions;
using Mallku.FireCircle.TestServer;

namespace Mallku.Cli.Tests;

/// <summary>
/// A file of shell lines and what they print: <c>$ line</c>, then standard output as it is, standard error behind
/// <c>! </c>, and the exit code as <c>[1]</c> where it is not 0. What differs from run to run stands as DIR, TIME, ID,
/// WHO, PID, KEY, SIGNATURE or HASH. SERVER is a server that plays the providers and takes <c>key-that-works</c>, and for managing keys <c>key-that-administers</c>.
/// </summary>
internal sealed partial class Transcript
{
    private readonly List<(string Text, bool IsLine)> _parts = [];

    internal static Transcript Read(string path)
    {
        var transcript = new Transcript();
        foreach (var line in File.ReadLines(path))
        {
            if (line.StartsWith("$ ", StringComparison.Ordinal))
            {
                transcript._parts.Add((line[2..], true));
            }
            else if (line.Length == 0 || line.StartsWith('#'))
            {
                transcript._parts.Add((line, false));
            }
        }

        return transcript;
    }

    /// <summary>The same file as it is when its lines are run now.</summary>
    internal async Task<string> ReplayAsync(CancellationToken cancellationToken)
    {
        using var scratch = new Scratch();
        await using var server = await ProviderServer.StartAsync(cancellationToken: cancellationToken);
        server.Accept("key-that-works");
        server.AcceptAdministrator("key-that-administers");
        server.AddKey("xai", "made by hand", "key-of-xai-that-may-chat", "api-key:endpoint:chat");
        var text = new StringBuilder();
        foreach (var (part, isLine) in _parts)
        {
            if (!isLine)
            {
                text.Append(part).Append('\n');
                continue;
            }

            var outcome = scratch.Run(part.Replace("SERVER", server.Address.Authority, StringComparison.Ordinal));
            text.Append("$ ").Append(part).Append('\n');
            AppendLines(text, "", outcome.Output, scratch, server);
            AppendLines(text, "! ", outcome.Error, scratch, server);
            if (outcome.ExitCode != 0)
            {
                text.Append('[').Append(outcome.ExitCode).Append("]\n");
            }
        }

        return text.ToString();
    }

    private static void AppendLines(StringBuilder text, string prefix, string printed, Scratch scratch, ProviderServer server)
    {
        printed = printed.Replace(server.Address.Authority, "SERVER", StringComparison.Ordinal);
        printed = printed.Replace(scratch.Folder, "DIR", StringComparison.Ordinal);
        printed = printed.Replace($"{Environment.UserName}@{Environment.MachineName}", "WHO", StringComparison.Ordinal);
        printed = Id().Replace(Time().Replace(printed, "TIME"), "ID");
        printed = ProcessId().Replace(printed, "WHO, mallku PID,");
        printed = Hash().Replace(Signature().Replace(Key().Replace(printed, "+KEY"), "SIGNATURE"), "HASH");
        foreach (var line in printed.Split('\n')[..^1])
        {
            // an empty line would not be told from the file's own
            text.Append(prefix).Append(line.Length == 0 ? "." : line).Append('\n');
        }

        if (printed.Length > 0 && !printed.EndsWith('\n'))
        {
            text.Append(prefix).Append(printed.Split('\n')[^1]).Append("(no newline)\n");
        }
    }

    [GeneratedRegex(@"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")]
    private static partial Regex Time();

    [GeneratedRegex("[+][0-9a-f]{8}[+][A-Za-z0-9+/]{44}")]
    private static partial Regex Key();

    [GeneratedRegex(@"WHO, mallku \d+,")]
    private static partial Regex ProcessId();

    [GeneratedRegex("[A-Za-z0-9+/]{91}=")]
    private static partial Regex Signature();

    [GeneratedRegex("[A-Za-z0-9+/]{43}=")]
    private static partial Regex Hash();

    [GeneratedRegex(@"\b[0-9a-f]{32}\b")]
    private static partial Regex Id();
}
