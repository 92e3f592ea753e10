namespace Mallku.Secrets.Tests.Processes;

/// <summary>What an error must be: it names what it is about, helps, and holds no value.</summary>
internal static class Refusal
{
    internal const string NothingChanged = "nothing was changed";

    /// <summary>What an error says where the ledger could not be written.</summary>
    internal const string NothingDone = "so nothing was handed out or changed";

    internal static void Require(SecretsException error, string subject, string problem, string remedy)
    {
        Assert.Contains(subject, error.Problem, StringComparison.Ordinal);
        Assert.Contains(problem, error.Problem, StringComparison.Ordinal);
        Assert.Contains(remedy, error.Remedy, StringComparison.Ordinal);
        Assert.DoesNotContain("value", error.Message + error.InnerException?.Message, StringComparison.Ordinal);
    }

    /// <summary>Requires an error of the ledger, which says that nothing came of what was asked for.</summary>
    internal static void RequireLedger(SecretsException error, string subject, string problem, string remedy)
    {
        Assert.IsType<LedgerException>(error);
        Require(error, subject, problem, remedy);
        Assert.EndsWith(NothingDone, error.Problem, StringComparison.Ordinal);
    }

    /// <summary>The error that the child told in its one line of answer.</summary>
    internal static SecretsException Parse(string answer)
    {
        const string start = "error ";
        Assert.StartsWith(start, answer, StringComparison.Ordinal);
        var (kind, text) = (answer[start.Length..answer.IndexOf(':', StringComparison.Ordinal)], answer[(answer.IndexOf(':', StringComparison.Ordinal) + 2)..]);
        var parts = text.Split(" | ");
        return kind switch
        {
            nameof(SecretsException) => new SecretsException(parts[0], parts[1]),
            nameof(LedgerException) => new LedgerException(parts[0], parts[1]),
            _ => throw new InvalidOperationException($"an error of another kind: {answer}"),
        };
    }
}
