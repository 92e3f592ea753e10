using System.Globalization;

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

    /// <summary>Whether it is that nothing was made for a store where it is looked for, or that it was removed.</summary>
    internal bool IsNothingPrepared { get; init; }

    /// <summary>
    /// A text as it may be shown: what steers a terminal or turns the direction of writing is replaced, and what is longer
    /// than any name is cut.
    /// </summary>
    internal static string Show(string name)
    {
        return ShowAll(name.Length <= SecretName.MaxLength ? name : name[..(SecretName.MaxLength - 3)] + "...");
    }

    /// <summary>A text on one line, in which nothing steers a terminal.</summary>
    internal static string ShowAll(string text)
    {
        return text.Any(Steers) ? string.Create(text.Length, text, static (target, source) =>
        {
            for (var i = 0; i < source.Length; i++)
            {
                target[i] = Steers(source[i]) ? '?' : source[i];
            }
        }) : text;

        static bool Steers(char c) => char.GetUnicodeCategory(c) is UnicodeCategory.Control or UnicodeCategory.Format
            or UnicodeCategory.Surrogate or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator;
    }
}

/// <summary>A text is not the name of a secret. It is not repeated: it may be a value in the wrong place.</summary>
public sealed class SecretNameException(string text) : SecretsException(
    text.Length == 0 ? "the name is empty" : $"a text of {text.Length} characters is no name for a secret",
    "use 1 to 255 ASCII letters, digits, '.', '_' and '-'");

/// <summary>No source has the secret. A text that may be a value, typed as a name, is not repeated.</summary>
public sealed class SecretNotFoundException : SecretsException
{
    /// <summary>Creates the error.</summary>
    /// <param name="name">The name that was asked for.</param>
    /// <param name="asked">The sources that were asked, in words.</param>
    public SecretNotFoundException(string name, string asked)
        : this(name, asked, SecretName.TryParse(name, out _) ? $"set it with: mallku set {name}" : "see what there is: mallku list")
    {
    }

    internal SecretNotFoundException(string name, string asked, string remedy)
        : base(
            SecretName.MayBeValue(name) ? $"that text is the name of no secret in {asked}" : $"no secret '{Show(name)}' in {asked}",
            SecretName.MayBeValue(name) ? "names look like openai_api_key; see what there is: mallku list" : remedy) =>
        Name = SecretName.MayBeValue(name) ? "" : name;

    /// <summary>The name that was asked for; empty where the text may be a value.</summary>
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

/// <summary>The vault, or a shared store, can't be opened: a wrong key, a damaged file, or modes that let others read it.</summary>
public sealed class VaultOpenException(string problem, string remedy, Exception? innerException = null)
    : SecretsException(problem, remedy, innerException)
{
    /// <summary>Whether the right key opens it and what it holds is none of a vault.</summary>
    internal bool IsDamage { get; init; }
}

/// <summary>
/// The ledger can't record what happened, or is not what the vault says that it is. What was asked for was not done: no
/// value was handed out, nothing was changed.
/// </summary>
public sealed class LedgerException(string problem, string remedy, Exception? innerException = null)
    : SecretsException(problem, remedy, innerException)
{
    /// <summary>How to do without the ledger, for whoever may.</summary>
    internal const string NoLedger = "--no-ledger";

    internal const string WayOn =
        "see what happened: mallku audit verify; then put a backup in its place, or go on with a new ledger that says so: mallku audit restart";

    /// <summary>What follows where nothing was done before.</summary>
    internal const string NothingDone = ", so nothing was handed out or changed";

    /// <summary>What is wrong, without what follows from it, for who had done something before.</summary>
    internal string Fault => Problem.Replace(NothingDone, "", StringComparison.Ordinal);

    /// <summary>The end of a write that was begun and took too long for who waited; null where it will not be written.</summary>
    internal Task? Late { get; init; }

    /// <summary>Whether another process may have begun a new ledger since the vault was read.</summary>
    internal bool MayBeReplaced { get; init; }

    /// <summary>Whether the ledger has the entries all the same: it is the witness that does not know of them.</summary>
    internal bool IsRecorded { get; init; }
}
