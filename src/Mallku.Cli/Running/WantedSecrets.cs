using Mallku.Cli.Terminal;

namespace Mallku.Cli.Running;

/// <summary>A secret that becomes a variable of the command's environment.</summary>
/// <param name="Variable">The variable.</param>
/// <param name="Found">The secret.</param>
/// <param name="IsExplicit">Whether the caller has named the variable.</param>
internal sealed record Injection(string Variable, FoundSecret Found, bool IsExplicit)
{
    /// <summary>Whether the caller's environment has it already under this variable.</summary>
    internal bool IsInherited => !IsExplicit && Found.Source is "environment";
}

/// <summary>Which secrets a command is to get: all, or those that the caller names.</summary>
internal sealed class WantedSecrets
{
    private readonly List<string> _only;
    private readonly List<KeyValuePair<string, string>> _env;

    private WantedSecrets(List<string> only, List<KeyValuePair<string, string>> env)
    {
        _only = only;
        _env = env;
    }

    internal static WantedSecrets Parse(string[] only, string[] env)
    {
        var names = only.SelectMany(list => list.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)).ToList();
        if (only.Length > 0 && names.Count == 0)
        {
            throw new UsageException("--only needs NAMES", "write it as: mallku run --only NAME,NAME -- COMMAND");
        }

        return new WantedSecrets(names, [.. env.Select(ParsePair)]);
    }

    /// <summary>Finds them all, or fails before anything is started.</summary>
    internal async ValueTask<IReadOnlyList<Injection>> FindAsync(SecretsManager manager, CancellationToken cancellationToken)
    {
        var injections = new List<Injection>();
        foreach (var (variable, name) in _env)
        {
            injections.Add(new Injection(variable, await FindAsync(manager, name, cancellationToken), IsExplicit: true));
        }

        foreach (var name in _only)
        {
            injections.Add(ByItsName(await FindAsync(manager, name, cancellationToken)));
        }

        if (_only.Count == 0 && _env.Count == 0)
        {
            await AddAllAsync(injections, manager, cancellationToken);
        }

        ThrowIfRefused(injections);
        return injections;
    }

    private static async ValueTask AddAllAsync(List<Injection> injections, SecretsManager manager, CancellationToken cancellationToken)
    {
        foreach (var secret in await manager.ListAsync(cancellationToken))
        {
            if (!SecretName.TryParse(secret.Name, out var name) || !VariableNames.IsValid(name.ToEnvironmentVariable()))
            {
                Notice.Warn($"'{SecretsException.Show(secret.Name)}' is left out: it is no name for a variable; --env VAR=NAME gives it one");
            }
            else if (await manager.FindAsync(secret.Name, cancellationToken) is { } found)
            {
                injections.Add(ByItsName(found));
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
                    $"name others with --only, or ask for it: mallku run --env {injection.Variable}={injection.Found.Name} -- COMMAND");
            }

            if (!taken.TryAdd(injection.Variable, injection.Found.Name) && taken[injection.Variable] != injection.Found.Name)
            {
                throw new SecretsException(
                    $"'{taken[injection.Variable]}' and '{injection.Found.Name}' would both be the variable {injection.Variable}",
                    "name one of them with --only, or give it a variable of its own with --env");
            }
        }
    }

    private static async ValueTask<FoundSecret> FindAsync(SecretsManager manager, string name, CancellationToken cancellationToken)
    {
        if (await manager.FindAsync(name, cancellationToken) is { } found)
        {
            return found;
        }

        // the manager's own error says which sources it has asked
        await manager.GetRequiredAsync(name, cancellationToken);
        throw new SecretNotFoundException(name, "any source");
    }

    private static Injection ByItsName(FoundSecret found)
    {
        var variable = SecretName.Existing(found.Name).ToEnvironmentVariable();
        return VariableNames.IsValid(variable)
            ? new Injection(variable, found, IsExplicit: false)
            : throw new SecretsException(
                $"'{SecretsException.Show(found.Name)}' is no name for a variable",
                "give it one: mallku run --env VAR=NAME -- COMMAND");
    }

    private static KeyValuePair<string, string> ParsePair(string pair)
    {
        var split = pair.IndexOf('=', StringComparison.Ordinal);
        return split > 0 && VariableNames.IsValid(pair[..split]) && SecretName.TryParse(pair[(split + 1)..], out _)
            ? new(pair[..split], pair[(split + 1)..])
            : throw new UsageException("--env needs VAR=NAME: a variable and the name of a secret", "write it as: mallku run --env VAR=NAME -- COMMAND");
    }
}
