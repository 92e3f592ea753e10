using Mallku.Cli.Commands;

namespace Mallku.Cli.Running;

/// <summary>Which secrets the caller wants: all, all but some (<c>--except</c>), or those that he names (<c>--only</c>).</summary>
internal sealed class Selection
{
    private readonly List<string> _only;
    private readonly List<string> _except;

    private Selection(List<string> only, List<string> except)
    {
        _only = only;
        _except = except;
    }

    /// <summary>Whether the caller has named none of those that are taken.</summary>
    internal bool IsOfAll => _only.Count == 0;

    /// <summary>Whether the caller has named some, to be taken or left out.</summary>
    internal bool IsGiven => _only.Count > 0 || _except.Count > 0;

    /// <param name="only">The lists after <c>--only</c>.</param>
    /// <param name="except">The lists after <c>--except</c>.</param>
    /// <param name="usage">How the command is written, with OPTION in the place of these, for an error's remedy.</param>
    /// <exception cref="UsageException">Both are given, or a list has no name.</exception>
    internal static Selection Parse(string[] only, string[] except, string usage) =>
        only.Length > 0 && except.Length > 0
            ? throw new UsageException("--only and --except exclude each other", "name those that are passed, or those that are not")
            : new Selection(ParseNames("--only", only, usage), ParseNames("--except", except, usage));

    /// <summary>How to leave secrets out, for an error's remedy.</summary>
    internal string WayOut(params ReadOnlySpan<string> names)
    {
        var leave = names.Length == 1 ? "leave it out" : "leave them out";
        return IsOfAll ? $"{leave} with --except {string.Join(',', names)}" : leave;
    }

    /// <summary>Refuses secrets whose variables steer programs: who may write one must not get to run code wherever all are used.</summary>
    /// <param name="secrets">Those that would become variables by their names.</param>
    /// <param name="otherwise">What else can be done with the first of them, for the remedy.</param>
    /// <exception cref="SecretsException">There are some.</exception>
    internal void RefuseSteering(IEnumerable<FoundSecret> secrets, Func<string, string, string> otherwise)
    {
        var steering = secrets.Select(secret => (secret.Name, Variable: SecretName.Existing(secret.Name).ToEnvironmentVariable()))
            .Where(secret => VariableNames.Steers(secret.Variable)).Distinct().ToList();
        if (steering is [var (name, variable), ..])
        {
            var isOne = steering.Count == 1;
            var names = steering.ConvertAll(secret => secret.Name).ToArray();
            throw new SecretsException(
                $"the secret{(isOne ? "" : "s")} {string.Join(", ", names.Select(each => $"'{each}'"))} would set {string.Join(", ", steering.Select(secret => secret.Variable))}, "
                + $"which steer{(isOne ? "s" : "")} programs",
                $"{WayOut(names)}, or {otherwise(name, variable)}");
        }
    }

    /// <summary>Finds them all, and hands none out yet. Of those that the caller has not named, the ones that can't be used are left out.</summary>
    /// <param name="manager">Where they are looked up.</param>
    /// <param name="isUsable">Whether a secret of this name can be used; it tells the caller where not.</param>
    /// <param name="cancellationToken">Ends the lookups.</param>
    internal async ValueTask<IReadOnlyList<FoundSecret>> FindAsync(SecretsManager manager, Predicate<string> isUsable, CancellationToken cancellationToken)
    {
        if (!IsOfAll)
        {
            var named = new List<FoundSecret>();
            foreach (var name in _only.Distinct(StringComparer.Ordinal))
            {
                named.Add(await FindAsync(manager, name, cancellationToken));
            }

            return named;
        }

        var all = await manager.ListAsync(cancellationToken);
        var leftOut = _except.ConvertAll(name => FindListed(all, name, manager));
        var lookups = all.Where(secret => !leftOut.Contains(secret.Name) && isUsable(secret.Name))
            .Select(secret => manager.LookUpAsync(secret.Name, cancellationToken).AsTask()).ToList();
        return [.. (await Task.WhenAll(lookups)).OfType<FoundSecret>()];
    }

    /// <summary>Finds one that the caller has named, and does not hand it out yet.</summary>
    internal static async ValueTask<FoundSecret> FindAsync(SecretsManager manager, string name, CancellationToken cancellationToken)
    {
        try
        {
            return await manager.LookUpAsync(name, cancellationToken) ?? throw manager.NotFound(name);
        }
        catch (SecretNameException)
        {
            throw UsageErrors.NoName();
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
            0 => throw UsageErrors.NotFound(name, Places.Describe(manager)),
            1 => loose[0],
            _ => throw new AmbiguousSecretNameException(name, loose),
        };
    }

    private static List<string> ParseNames(string option, string[] lists, string usage)
    {
        var names = lists.SelectMany(list => list.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)).ToList();
        return lists.Length == 0 || names.Count > 0
            ? names
            : throw new UsageException($"{option} needs NAMES", $"write it as: {usage.Replace("OPTION", $"{option} NAME,NAME", StringComparison.Ordinal)}");
    }
}
