using Mallku.Secrets.Storage;

namespace Mallku.Cli.Transfer;

/// <summary>What an import does with one entry.</summary>
internal enum ImportStep
{
    /// <summary>Nothing has it.</summary>
    New,

    /// <summary>There is another value, which stays.</summary>
    Keep,

    /// <summary>There is another value, which becomes the previous version.</summary>
    Overwrite,

    /// <summary>There is the same value.</summary>
    Same,

    /// <summary>It has no value.</summary>
    Skip,

    /// <summary>It can't be a secret.</summary>
    Refused,
}

/// <summary>One entry of a file and what becomes of it.</summary>
/// <param name="Entry">What the file has.</param>
/// <param name="Target">The secret that it is or becomes.</param>
/// <param name="Step">What is done.</param>
/// <param name="Reason">Why it is skipped or refused.</param>
internal sealed record PlannedEntry(Entry Entry, string Target, ImportStep Step, string? Reason = null)
{
    /// <summary>Whether its name may be a value, and so is not to be shown.</summary>
    internal bool IsHidden { get; init; }

    /// <summary>Where it is stored now; null where it is new.</summary>
    internal string? Place { get; init; }
}

/// <summary>Decides what an import does, before anything is written.</summary>
internal static class ImportPlan
{
    /// <param name="entries">What the file has.</param>
    /// <param name="stored">What they are compared with; the environment plays no part.</param>
    /// <param name="overwrite">Whether another value replaces the one that is there.</param>
    /// <param name="cancellationToken">Ends the comparison.</param>
    /// <exception cref="SecretsException">Two entries would be the same secret, or what is stored can't be read.</exception>
    internal static async ValueTask<List<PlannedEntry>> MakeAsync(
        IReadOnlyList<Entry> entries, SecretsManager stored, bool overwrite, CancellationToken cancellationToken)
    {
        var plan = new List<PlannedEntry>();
        var taken = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var entry in entries)
        {
            var planned = await MakeAsync(entry, stored, overwrite, cancellationToken);
            plan.Add(planned);
            if (planned.Step is not (ImportStep.Skip or ImportStep.Refused) && !taken.TryAdd(SecretName.Parse(planned.Target).Fold(), entry.Name))
            {
                var (first, second) = (SecretsException.Show(taken[SecretName.Parse(planned.Target).Fold()]), SecretsException.Show(entry.Name));
                throw new SecretsException(
                    first == second ? $"the file has '{first}' twice" : $"'{first}' and '{second}' of the file would be the same secret",
                    "leave one of them in the file; nothing is stored");
            }
        }

        return plan;
    }

    /// <summary>The secret's name for a name in a file: the section separators of .NET and of variables become <c>_</c>.</summary>
    internal static string ToSecretName(Entry entry)
    {
        var flat = entry.Name.Replace("__", "_", StringComparison.Ordinal).Replace(':', '_');

        // by convention a variable is upper case, and the secret that becomes this variable is not
        return entry.IsVariable && !flat.Any(char.IsAsciiLetterLower) ? flat.ToLowerInvariant() : flat;
    }

    private static async ValueTask<PlannedEntry> MakeAsync(
        Entry entry, SecretsManager stored, bool overwrite, CancellationToken cancellationToken)
    {
        var target = ToSecretName(entry);
        var isName = SecretName.TryParse(target, out _);
        if ((SecretName.MayBeValue(target) || SecretName.MayBeValue(entry.Name)) && (!isName || await stored.FindAsync(target, cancellationToken) is null))
        {
            return new PlannedEntry(entry, target, ImportStep.Refused, "its name looks like a value") { IsHidden = true };
        }

        var refusal = entry switch
        {
            { Value: null } => entry.Refusal,
            _ when !isName => "it is no name for a secret",
            { Value.Length: > SecretChanges.MaxValueLength } => "its value is longer than 1 MiB",
            _ => null,
        };
        if (entry.IsEmpty)
        {
            return new PlannedEntry(entry, target, ImportStep.Skip, "it has no value");
        }

        if (refusal is not null)
        {
            return new PlannedEntry(entry, target, ImportStep.Refused, refusal);
        }

        var existing = await stored.FindAsync(target, cancellationToken);
        var step = existing switch
        {
            null => ImportStep.New,
            _ when existing.Value == entry.Value => ImportStep.Same,
            _ => overwrite ? ImportStep.Overwrite : ImportStep.Keep,
        };
        return new PlannedEntry(entry, existing?.Name ?? target, step) { Place = existing?.Source };
    }
}
