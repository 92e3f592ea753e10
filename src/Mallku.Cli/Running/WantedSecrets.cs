using Mallku.Cli.Terminal;

namespace Mallku.Cli.Running;

/// <summary>A secret that becomes a variable of the command's environment.</summary>
/// <param name="Variable">The variable.</param>
/// <param name="Found">The secret.</param>
/// <param name="IsExplicit">Whether the caller has named the variable.</param>
/// <param name="IsOneOfAll">Whether the caller has named neither the variable nor the secret.</param>
internal sealed record Injection(string Variable, FoundSecret Found, bool IsExplicit, bool IsOneOfAll)
{
    /// <summary>Whether the caller's environment has it already under this variable.</summary>
    internal bool IsInherited => !IsExplicit && Found.Source is "environment";

    /// <summary>How to leave it out, for an error's remedy.</summary>
    internal string WayOut => IsOneOfAll ? $"leave it out with --except {Found.Name}" : "leave it out";
}

/// <summary>Which secrets a command is to get: all, all but some, or those that the caller names.</summary>
internal sealed class WantedSecrets
{
    private readonly List<string> _only;
    private readonly List<string> _except;
    private readonly List<KeyValuePair<string, string>> _env;

    private WantedSecrets(List<string> only, List<string> except, List<KeyValuePair<string, string>> env)
    {
        _only = only;
        _except = except;
        _env = env;
    }

    internal static WantedSecrets Parse(string[] only, string[] except, string[] env) =>
        only.Length > 0 && except.Length > 0
            ? throw new UsageException("--only and --except exclude each other", "name those that are passed, or those that are not")
            : new WantedSecrets(ParseNames("--only", only), ParseNames("--except", except), [.. env.Select(ParsePair)]);

    /// <summary>Finds them all, or fails before anything is started.</summary>
    internal async ValueTask<IReadOnlyList<Injection>> FindAsync(SecretsManager manager, CancellationToken cancellationToken)
    {
        var injections = new List<Injection>();
        foreach (var (variable, name) in _env)
        {
            injections.Add(new Injection(variable, await FindAsync(manager, name, cancellationToken), IsExplicit: true, IsOneOfAll: false));
        }

        foreach (var name in _only)
        {
            injections.Add(ByItsName(await FindAsync(manager, name, cancellationToken), isOneOfAll: false));
        }

        if (_except.Count > 0 || (_only.Count == 0 && _env.Count == 0))
        {
            await AddAllAsync(injections, manager, cancellationToken);
        }

        ThrowIfRefused(injections);
        return [.. injections.DistinctBy(injection => injection.Variable, StringComparer.Ordinal)];
    }

    private async ValueTask AddAllAsync(List<Injection> injections, SecretsManager manager, CancellationToken cancellationToken)
    {
        var all = await manager.ListAsync(cancellationToken);
        var leftOut = _except.ConvertAll(name => FindListed(all, name, manager));
        var lookups = new List<Task<FoundSecret?>>();
        foreach (var secret in all)
        {
            if (leftOut.Contains(secret.Name))
            {
                continue;
            }

            if (!SecretName.TryParse(secret.Name, out var name) || !VariableNames.IsValid(name.ToEnvironmentVariable()))
            {
                Notice.Warn($"'{SecretsException.Show(secret.Name)}' is left out: it is no name for a variable; --env VAR=NAME gives it one");
            }
            else
            {
                // all at once, so that they share one flush of the ledger
                lookups.Add(manager.FindAsync(secret.Name, cancellationToken).AsTask());
            }
        }

        foreach (var found in await Task.WhenAll(lookups))
        {
            if (found is not null)
            {
                injections.Add(ByItsName(found, isOneOfAll: true));
            }
        }
    }

    private static void ThrowIfRefused(List<Injection> injections)
    {
        var taken = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var injection in injections)
        {
            if (!injection.IsExplicit && VariableNames.Steers(injection.Variable))
            {
                throw new SecretsException(
                    $"the secret '{injection.Found.Name}' would set {injection.Variable}, which steers programs",
                    $"{injection.WayOut}, or ask for it: mallku run --env {injection.Variable}={injection.Found.Name} -- COMMAND");
            }

            if (!taken.TryAdd(injection.Variable, injection.Found.Name) && taken[injection.Variable] != injection.Found.Name)
            {
                throw new SecretsException(
                    $"'{taken[injection.Variable]}' and '{injection.Found.Name}' would both be the variable {injection.Variable}",
                    injection.IsOneOfAll
                        ? $"{injection.WayOut}; --env gives it a variable of its own"
                        : "name one of them with --only, or give it a variable of its own with --env");
            }
        }
    }

    // by the rules of a lookup; what nobody has is an error here too, since the secret that a misspelt name meant would be passed
    private static string FindListed(IReadOnlyList<SecretFacts> all, string name, SecretsManager manager)
    {
        if (all.Any(secret => secret.Name == name))
        {
            return name;
        }

        var loose = all.Select(secret => secret.Name).Where(known => SecretName.Existing(known).MatchesLoosely(SecretName.Existing(name))).ToList();
        return loose.Count switch
        {
            0 => throw UsageErrors.NotFound(name, manager.Vault.Describe()),
            1 => loose[0],
            _ => throw new AmbiguousSecretNameException(name, loose),
        };
    }

    private static async ValueTask<FoundSecret> FindAsync(SecretsManager manager, string name, CancellationToken cancellationToken)
    {
        try
        {
            if (await manager.FindAsync(name, cancellationToken) is { } found)
            {
                return found;
            }
        }
        catch (SecretNameException)
        {
            throw UsageErrors.NoName();
        }

        // the manager's own error says which sources it has asked
        await manager.GetRequiredAsync(name, cancellationToken);
        throw new SecretNotFoundException(name, "any source");
    }

    private static Injection ByItsName(FoundSecret found, bool isOneOfAll)
    {
        var variable = SecretName.Existing(found.Name).ToEnvironmentVariable();
        return VariableNames.IsValid(variable)
            ? new Injection(variable, found, IsExplicit: false, isOneOfAll)
            : throw new SecretsException(
                $"'{SecretsException.Show(found.Name)}' is no name for a variable",
                "give it one: mallku run --env VAR=NAME -- COMMAND");
    }

    private static List<string> ParseNames(string option, string[] lists)
    {
        var names = lists.SelectMany(list => list.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)).ToList();
        return lists.Length == 0 || names.Count > 0
            ? names
            : throw new UsageException($"{option} needs NAMES", $"write it as: mallku run {option} NAME,NAME -- COMMAND");
    }

    private static KeyValuePair<string, string> ParsePair(string pair)
    {
        var split = pair.IndexOf('=', StringComparison.Ordinal);
        return split > 0 && VariableNames.IsValid(pair[..split]) && SecretName.TryParse(pair[(split + 1)..], out _)
            ? new(pair[..split], pair[(split + 1)..])
            : throw new UsageException("--env needs VAR=NAME: a variable and the name of a secret", "write it as: mallku run --env VAR=NAME -- COMMAND");
    }
}
