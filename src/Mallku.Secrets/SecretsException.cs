namespace Mallku.Secrets;

/// <summary>
/// Something that a person must know of: what happened, to what, and what to do now. Never holds a secret's value.
/// </summary>
public class SecretsException : Exception
{
    /// <summary>Creates the error from what happened and what to do now.</summary>
    public SecretsException(string problem, string remedy, Exception? innerException = null)
        : base($"{problem}. {remedy}.", innerException)
    {
        Problem = problem;
        Remedy = remedy;
    }

    /// <summary>What happened, to what; one line without a full stop.</summary>
    public string Problem { get; }

    /// <summary>What to do now; one line without a full stop.</summary>
    public string Remedy { get; }

    /// <summary>A name as it may be shown: control characters replaced, cut to a readable length.</summary>
    internal static string Show(string name)
    {
        var shown = name.Length <= 80 ? name : name[..77] + "...";
        return string.Create(shown.Length, shown, static (target, source) =>
        {
            for (var i = 0; i < source.Length; i++)
            {
                target[i] = char.IsControl(source[i]) || char.IsSurrogate(source[i]) || source[i] is '\u2028' or '\u2029' ? '?' : source[i];
            }
        });
    }
}

/// <summary>A text is not the name of a secret.</summary>
public sealed class SecretNameException(string text) : SecretsException(
    text.Length == 0 ? "the name is empty" : $"'{Show(text)}' is no name for a secret",
    "use 1 to 255 ASCII letters, digits, '.', '_' and '-'");

/// <summary>No source has the secret.</summary>
public sealed class SecretNotFoundException : SecretsException
{
    /// <summary>Creates the error.</summary>
    /// <param name="name">The name that was asked for.</param>
    /// <param name="asked">The sources that were asked, in words.</param>
    public SecretNotFoundException(string name, string asked)
        : base($"no secret '{Show(name)}' in {asked}", $"set it with: mallku set {Show(name)}") => Name = name;

    /// <summary>The name that was asked for.</summary>
    public string Name { get; }
}

/// <summary>A name matches no secret exactly and several loosely.</summary>
public sealed class AmbiguousSecretNameException : SecretsException
{
    /// <summary>Creates the error.</summary>
    public AmbiguousSecretNameException(string name, IReadOnlyList<string> matches)
        : base($"'{Show(name)}' could be {string.Join(" or ", matches.Select(Show))}", "use the exact name") => Matches = matches;

    /// <summary>The secrets that match loosely.</summary>
    public IReadOnlyList<string> Matches { get; }
}

/// <summary>The vault can't be opened: a wrong key, a damaged file, or modes that let others read it.</summary>
public sealed class VaultOpenException(string problem, string remedy, Exception? innerException = null)
    : SecretsException(problem, remedy, innerException);
