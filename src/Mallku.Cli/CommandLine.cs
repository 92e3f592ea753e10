using System.CommandLine;
using System.Globalization;
using System.Security.Cryptography;
using Mallku.Cli.Commands;
using Mallku.Cli.Native;
using Mallku.Cli.Terminal;
using Mallku.Secrets.Storage;

namespace Mallku.Cli;

/// <summary>From the arguments to the verb that they name.</summary>
internal static class CommandLine
{
    private static readonly ParserConfiguration Parsing = new() { ResponseFileTokenReplacer = null };

    internal static int Run(string[] arguments)
    {
        var start = 0;
        string? directory = null, store = null;
        while (start < arguments.Length && arguments[start].StartsWith('-'))
        {
            if (TryTake(arguments, ref start, "--dir", ref directory) || TryTake(arguments, ref start, "--store", ref store))
            {
                continue;
            }

            switch (arguments[start])
            {
                case "--version":
                    Channel.Output.WriteLine($"mallku {typeof(CommandLine).Assembly.GetName().Version!.ToString(3)}");
                    Channel.Output.WriteLine($"OpenSSL {ShowOpenSslVersion()}");
                    return ExitCode.Done;
                case "--help" or "-h" or "-?":
                    return HelpVerb.PrintOverview();
                case "--dir":
                    throw UsageErrors.NoFolder();
                case "--store":
                    throw UsageErrors.NoStore();
                default:
                    throw new UsageException(
                        "there is no such option before the verb",
                        UsageErrors.Suggest(arguments[start], ["--dir", "--store", "--version", "--help"], "see what there is: mallku help"));
            }
        }

        return start == arguments.Length ? HelpVerb.PrintOverview() : Run(arguments, start, directory, store);
    }

    /// <summary>Takes what stands before the verb as <c>--dir DIR</c> or <c>--dir=DIR</c>.</summary>
    private static bool TryTake(string[] arguments, ref int start, string option, ref string? value)
    {
        if (arguments[start] == option && start + 1 < arguments.Length)
        {
            value = arguments[start + 1];
            start += 2;
            return true;
        }

        if (arguments[start].StartsWith(option + "=", StringComparison.Ordinal))
        {
            value = arguments[start][(option.Length + 1)..];
            start++;
            return true;
        }

        return false;
    }

    private static int Run(string[] arguments, int start, string? directory, string? store)
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
        if (store is not null && !verb.UsesStore && !entry.IsHidden)
        {
            throw new UsageException($"'{entry.Name}' is about the vault alone", "leave --store out");
        }

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

        var invocation = new Invocation(parsed, options, arguments) { Store = verb.UsesStore ? StoreUrl.Choose(parsed.GetValue(verb.Store) ?? store) : null };
        if (invocation.Store is not null && !SharedStore.IsSupported)
        {
            // before anything is read or asked
            SecondProgram.GoOn("shared stores are opened");
        }

        try
        {
            // the one place that waits: a command has nothing else to do
            return RunAsync(verb, invocation).AsTask().GetAwaiter().GetResult();
        }
        finally
        {
            invocation.SayWhatWasMade();
        }
    }

    private static async ValueTask<int> RunAsync(Verb verb, Invocation invocation)
    {
        var code = await verb.RunAsync(invocation, CancellationToken.None);
        await invocation.TellStoreAsync();
        return code;
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
