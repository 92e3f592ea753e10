using System.CommandLine;
using System.Globalization;
using System.Security.Cryptography;
using Mallku.Cli.Commands;
using Mallku.Cli.Terminal;

namespace Mallku.Cli;

/// <summary>From the arguments to the verb that they name.</summary>
internal static class CommandLine
{
    private static readonly ParserConfiguration Parsing = new() { ResponseFileTokenReplacer = null };

    internal static int Run(string[] arguments)
    {
        var start = 0;
        string? directory = null;
        while (start < arguments.Length && arguments[start].StartsWith('-'))
        {
            switch (arguments[start])
            {
                case "--version":
                    Channel.Output.WriteLine($"mallku {typeof(CommandLine).Assembly.GetName().Version!.ToString(3)}");
                    Channel.Output.WriteLine($"OpenSSL {ShowOpenSslVersion()}");
                    return ExitCode.Done;
                case "--help" or "-h" or "-?":
                    return HelpVerb.PrintOverview();
                case "--dir" when start + 1 < arguments.Length:
                    directory = arguments[start + 1];
                    start += 2;
                    break;
                case var joined when joined.StartsWith("--dir=", StringComparison.Ordinal):
                    directory = joined["--dir=".Length..];
                    start++;
                    break;
                case "--dir":
                    throw UsageErrors.NoFolder();
                default:
                    throw new UsageException(
                        "there is no such option before the verb",
                        UsageErrors.Suggest(arguments[start], ["--dir", "--version", "--help"], "see what there is: mallku help"));
            }
        }

        return start == arguments.Length ? HelpVerb.PrintOverview() : Run(arguments, start, directory);
    }

    private static int Run(string[] arguments, int start, string? directory)
    {
        var entry = VerbTable.Find(arguments.AsSpan(start), out var words);
        var verb = entry.Build();
        var rest = verb.TakesCommand ? BeforeCommand(arguments, start + words) : arguments[(start + words)..];
        var parsed = verb.Grammar.Parse(rest, Parsing);
        if (parsed.GetValue(verb.Help))
        {
            return HelpVerb.Print(entry, verb);
        }

        UsageErrors.ThrowIfAny(entry, parsed);
        var options = new SecretsOptions
        {
            Directory = parsed.GetValue(verb.Directory) ?? directory,
            UseLedger = !parsed.GetValue(verb.NoLedger),
            Purpose = entry.Name,
            BlocksForLedger = !verb.LooksUpSeveral,
        };
        if (options.Directory is "")
        {
            throw UsageErrors.NoFolder();
        }

        var invocation = new Invocation(parsed, options, arguments);

        try
        {
            // the one place that waits: a command has nothing else to do
            return verb.RunAsync(invocation, CancellationToken.None).AsTask().GetAwaiter().GetResult();
        }
        finally
        {
            invocation.SayWhatWasMade();
        }
    }

    // it is linked in, so that whoever asks whether a weakness of it is in this binary has to ask here
    private static string ShowOpenSslVersion()
    {
        if (OperatingSystem.IsWindows())
        {
            return "none";
        }

        var version = SafeEvpPKeyHandle.OpenSslVersion;
        return string.Create(CultureInfo.InvariantCulture, $"{version >> 28}.{(version >> 20) & 0xff}.{(version >> 4) & 0xff}");
    }

    private static string[] BeforeCommand(string[] arguments, int start) =>
        Array.IndexOf(arguments, "--", start) is var separator and >= 0 ? arguments[start..separator] : arguments[start..];
}
