namespace Mallku.Secrets;

/// <summary>What a source said about a secret.</summary>
public enum SourceOutcome
{
    /// <summary>It has the secret under exactly this name.</summary>
    Found,

    /// <summary>It has secrets whose names match loosely only.</summary>
    FoundLoosely,

    /// <summary>It does not have the secret.</summary>
    NotFound,

    /// <summary>It could not answer; a lookup ends here with its error.</summary>
    Failed,
}

/// <summary>One source's answer in an explanation. Immutable.</summary>
/// <param name="Source">The source's name, such as <c>environment</c>.</param>
/// <param name="Outcome">What it said.</param>
/// <param name="LookedFor">What exactly it looked for, such as the variable <c>OPENAI_API_KEY</c> or a folder.</param>
/// <param name="Names">The names under which it has the secret: one, or several loose matches.</param>
/// <param name="Version">The version it would hand out, where it has versions.</param>
/// <param name="Created">When that version was written, where it is known.</param>
/// <param name="Error">Why it failed, where it did.</param>
public sealed record SourceAnswer(
    string Source,
    SourceOutcome Outcome,
    string LookedFor,
    IReadOnlyList<string> Names,
    int? Version,
    DateTimeOffset? Created,
    SecretsException? Error);

/// <summary>What every source says about a secret, and which one wins. Immutable.</summary>
/// <param name="Name">The name that was asked for.</param>
/// <param name="Answers">One answer per source, in the order in which a lookup asks.</param>
/// <param name="Winner">The index in <paramref name="Answers"/> of the one that a lookup takes, or null for none.</param>
/// <param name="Error">
/// The error that a lookup would end with: a source that fails, several loose matches, or a ledger that can't record it.
/// </param>
public sealed record SecretExplanation(string Name, IReadOnlyList<SourceAnswer> Answers, int? Winner, SecretsException? Error);
