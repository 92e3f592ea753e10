using Mallku.Cli.Terminal;

namespace Mallku.Cli.Running;

/// <summary>A secret that becomes a variable of the command's environment.</summary>
/// <param name="Variable">The variable.</param>
/// <param name="Found">The secret.</param>
/// <param name="IsExplicit">Whether the caller has named the variable.</param>
/// <param name="WayOut">How to leave it out, for an error's remedy.</param>
internal sealed record Injection(string Variable, FoundSecret Found, bool IsExplicit, string WayOut)
{
    /// <summary>Whether the caller's environment has it already under this variable.</summary>
    internal bool IsInherited => !IsExplicit && Found.Source is "environment";
}

/// <summary>Which secrets a command is to get: all, all but some, or those that the caller names.</summary>
internal sealed class WantedSecrets
{
    private readonly Selection _selection;
    private readonly List<KeyValuePair<string, string>> _env;

    private WantedSecrets(Selection selection, List<KeyValuePair<string, string>> env)
    {
        _selection = selection;
        _env = env;
    }

    internal static WantedSecrets Parse(string[] only, string[] except, string[] env) =>
        new(Selection.Parse(only, except, "mallku run OPTION -- COMMAND"), [.. env.Select(ParsePair)]);

    /// <summary>Finds them all, or fails before anything is started or handed out.</summary>
    internal async ValueTask<IReadOnlyList<Injection>> FindAsync(SecretsManager manager, CancellationToken cancellationToken)
    {
        var injections = new List<Injection>();
        foreach (var (variable, name) in _env)
        {
            injections.Add(new Injection(variable, await Selection.FindAsync(manager, name, cancellationToken), IsExplicit: true, "leave it out"));
        }

        if (_selection.IsGiven || _env.Count == 0)
        {
            var found = await _selection.FindAsync(manager, IsVariable, cancellationToken);
            injections.AddRange(found.Select(ByItsName));
        }

        ThrowIfRefused(injections);
        return [.. injections.DistinctBy(injection => injection.Variable, StringComparer.Ordinal)];
    }

    private static bool IsVariable(string name)
    {
        if (SecretName.TryParse(name, out var parsed) && VariableNames.IsValid(parsed.ToEnvironmentVariable()))
        {
            return true;
        }

        Notice.Warn($"'{SecretsException.Show(name)}' is left out: it is no name for a variable; --env VAR=NAME gives it one");
        return false;
    }

    private void ThrowIfRefused(List<Injection> injections)
    {
        _selection.RefuseSteering(
            injections.Where(injection => !injection.IsExplicit).Select(injection => injection.Found),
            static (name, variable) => $"ask for it in so many words: mallku run --env {variable}={name} -- COMMAND");
        var taken = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var injection in injections)
        {
            if (!taken.TryAdd(injection.Variable, injection.Found.Name) && taken[injection.Variable] != injection.Found.Name)
            {
                throw new SecretsException(
                    $"'{taken[injection.Variable]}' and '{injection.Found.Name}' would both be the variable {injection.Variable}",
                    !injection.IsExplicit && _selection.IsOfAll
                        ? $"{injection.WayOut}; --env gives it a variable of its own"
                        : "name one of them with --only, or give it a variable of its own with --env");
            }
        }
    }

    private Injection ByItsName(FoundSecret found)
    {
        var variable = SecretName.Existing(found.Name).ToEnvironmentVariable();
        return VariableNames.IsValid(variable)
            ? new Injection(variable, found, IsExplicit: false, _selection.WayOut(found.Name))
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
