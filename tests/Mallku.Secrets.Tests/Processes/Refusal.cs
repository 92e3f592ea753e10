namespace Mallku.Secrets.Tests.Processes;

/// <summary>What an error must be: it names what it is about, helps, and holds no value.</summary>
internal static class Refusal
{
    internal const string NothingChanged = "nothing was changed";

    internal static void Require(SecretsException error, string subject, string problem, string remedy)
    {
        Assert.Contains(subject, error.Problem, StringComparison.Ordinal);
        Assert.Contains(problem, error.Problem, StringComparison.Ordinal);
        Assert.Contains(remedy, error.Remedy, StringComparison.Ordinal);
        Assert.DoesNotContain("value", error.Message + error.InnerException?.Message, StringComparison.Ordinal);
    }

    /// <summary>The error that the child told in its one line of answer.</summary>
    internal static SecretsException Parse(string answer)
    {
        const string start = "error SecretsException: ";
        Assert.StartsWith(start, answer, StringComparison.Ordinal);
        var parts = answer[start.Length..].Split(" | ");
        return new SecretsException(parts[0], parts[1]);
    }
}
