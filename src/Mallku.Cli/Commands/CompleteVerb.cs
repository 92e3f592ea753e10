using Mallku.Cli.Terminal;
using Mallku.Secrets.Ledger;

namespace Mallku.Cli.Commands;

/// <summary>
/// What the completion scripts ask: <c>mallku complete -- WORDS</c>, the last word being the one under the cursor.
/// Prints candidates, one a line. Whatever goes wrong, it says nothing: a message would land in the line being typed.
/// </summary>
internal sealed class CompleteVerb : Verb
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);
    private static readonly string[] TakeNames = ["get", "set", "rm", "explain", "history", "rotate", "rollback"];

    internal CompleteVerb() => Understand();

    // a name is completed without saying what may be wrong with a store
    internal override bool UsesStore => false;

    internal override bool TakesCommand => true;

    internal override string[] Examples => ["mallku complete -- get op"];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var separator = Array.IndexOf(invocation.Arguments, "--");
        var words = separator < 0 ? [] : invocation.Arguments[(separator + 1)..];
        if (words.Length > 0)
        {
            var (before, done, current) = Split(words);
            foreach (var candidate in await FindAsync(before, current, invocation.Options, cancellationToken))
            {
                if (candidate.StartsWith(current, StringComparison.Ordinal))
                {
                    Channel.Output.WriteLine(done + candidate);
                }
            }
        }

        return ExitCode.Done;
    }

    /// <summary>The words before, what of the last one is done, and what is being typed: a name may follow on <c>--only=</c>, on a comma, or on <c>VAR=</c>.</summary>
    private static (string[] Before, string Done, string Current) Split(string[] words)
    {
        var (before, done, current) = (words[..^1], "", words[^1]);
        if (current.StartsWith("--", StringComparison.Ordinal) && current.IndexOf('=', StringComparison.Ordinal) is var sign and > 0)
        {
            (before, done, current) = ([.. before, current[..sign]], current[..(sign + 1)], current[(sign + 1)..]);
        }

        char? separator = before is [.., "--only" or "--except"] ? ',' : before is [.., "--env"] ? '=' : null;
        return separator is { } c && current.LastIndexOf(c) is var last and >= 0
            // what stands behind VAR= is a name too
            ? ([.. before[..^1], "--only"], done + current[..(last + 1)], current[(last + 1)..])
            : (before, done, current);
    }

    private static async ValueTask<IEnumerable<string>> FindAsync(
        string[] before, string current, SecretsOptions options, CancellationToken cancellationToken)
    {
        (before, var directory) = Take(before, "--dir");
        (before, var store) = Take(before, "--store");
        options = directory is null ? options : options with { Directory = directory };
        if (before.Contains("--"))
        {
            return [];
        }

        var verbs = VerbTable.All.Where(entry => !entry.IsHidden);
        if (before.Length == 0)
        {
            return verbs.Select(entry => entry.Name.Split(' ')[0]).Distinct(StringComparer.Ordinal).Concat(["--dir", "--store", "--version", "--help"]);
        }

        if (before is [var first] && !current.StartsWith('-') && VerbTable.FindSecondWords(first).ToList() is { Count: > 0 } seconds)
        {
            return seconds;
        }

        return await CompleteVerbAsync(before, current, options, store, cancellationToken);
    }

    private static async ValueTask<IEnumerable<string>> CompleteVerbAsync(
        string[] before, string current, SecretsOptions options, string? store, CancellationToken cancellationToken)
    {
        if (!VerbTable.TryFind(before, out var entry, out var words))
        {
            return [];
        }

        if (current.StartsWith('-'))
        {
            return entry.Build().Grammar.Options.Select(option => option.Name);
        }

        return before[^1] switch
        {
            "--format" => ExportVerb.Formats,
            "--kind" => EntryLine.Kinds,
            "--with" => RotationWords.Rotators,
            "--to" or "--from" => Places.All,
            "--only" or "--except" or "--secret" => await ListNamesAsync(options, store, cancellationToken),
            _ when entry.Name is "completion" => CompletionVerb.Shells,
            _ when entry.Name is "audit names" => AuditNamesVerb.Forms,
            _ when entry.Name is "help" => VerbTable.All.Where(known => !known.IsHidden).Select(known => known.Name.Split(' ')[0]).Distinct(StringComparer.Ordinal),
            _ when TakeNames.Contains(entry.Name) && !before.Skip(words).Any(word => !word.StartsWith('-')) => await ListNamesAsync(options, store, cancellationToken),
            _ => [],
        };
    }

    private static async ValueTask<IEnumerable<string>> ListNamesAsync(SecretsOptions options, string? store, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Patience);
        try
        {
            options = StoreUrl.Choose(store) is { } url ? await OpenedStore.AddAsync(options, url, limit.Token) : options;
            var secrets = await SecretsManager.Open(options).ListAsync(limit.Token);
            return secrets.Select(secret => secret.Name).Where(name => SecretName.TryParse(name, out _));
        }
        catch (Exception e) when (e is SecretsException or OperationCanceledException)
        {
            return [];
        }
    }

    /// <summary>The words without an option and what stands behind it, and that; null where it is not there.</summary>
    private static (string[] Before, string? Value) Take(string[] before, string option)
    {
        if (Array.FindIndex(before, word => word.StartsWith(option + "=", StringComparison.Ordinal) && word.Length > option.Length + 1) is var one and >= 0)
        {
            return ([.. before[..one], .. before[(one + 1)..]], before[one][(option.Length + 1)..]);
        }

        return Array.IndexOf(before, option) is var at and >= 0 && at + 1 < before.Length && before[at + 1].Length > 0
            ? ([.. before[..at], .. before[(at + 2)..]], before[at + 1])
            : (before, null);
    }
}
