using System.CommandLine;
using Mallku.Cli.Terminal;

namespace Mallku.Cli.Commands;

internal sealed class ExplainVerb : Verb
{
    private readonly Argument<string> _name = new("NAME") { Description = "the secret" };
    private readonly Option<bool> _json = new("--json") { Description = "as a JSON object" };

    internal ExplainVerb() => Understand(_name, _json);

    internal override string? Notes =>
        "Ends with 0 where a lookup would find the secret, with 3 where it would not, and otherwise with the exit code of the lookup's error.";

    internal override string[] Examples => ["mallku explain openai_api_key", "mallku explain openai_api_key --json"];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var name = invocation.Parsed.GetRequiredValue(_name);
        var explanation = await (await invocation.OpenManagerAsync(cancellationToken)).ExplainAsync(name, cancellationToken);
        if (explanation.Winner is null && !SecretName.TryParse(name, out _))
        {
            // the answers repeat what was asked for
            throw explanation.Error is null or SecretNameException ? UsageErrors.NoName() : explanation.Error;
        }

        if (explanation is { Winner: null, Error: null } && SecretName.MayBeValue(name))
        {
            throw NotFound(explanation);
        }

        if (invocation.Parsed.GetValue(_json))
        {
            WriteJson(explanation);
        }
        else
        {
            WriteTable(explanation, invocation.Options.TimeProvider.GetUtcNow());
        }

        return explanation switch
        {
            { Error: { } error } => Notice.Report(error),
            { Winner: null } => Notice.Report(NotFound(explanation)),
            _ => ExitCode.Done,
        };
    }

    private static SecretNotFoundException NotFound(SecretExplanation explanation) =>
        new(explanation.Name, string.Join(" or ", explanation.Answers.Select(answer => answer.Source)));

    private static void WriteTable(SecretExplanation explanation, DateTimeOffset now)
    {
        var table = new Table("SOURCE", "ANSWER", "NAME", "VERSION", "CREATED", "LOOKED FOR");
        for (var i = 0; i < explanation.Answers.Count; i++)
        {
            var answer = explanation.Answers[i];
            table.Add(
                answer.Source,
                i == explanation.Winner ? "wins" : Describe(answer.Outcome),
                answer.Names.Count == 0 ? "-" : string.Join(", ", answer.Names.Select(SecretsException.Show)),
                answer.Version?.ToString() ?? "-",
                Moment.Show(answer.Created, now, Channel.Output),
                answer.LookedFor);
        }

        table.Write(Channel.Output);
    }

    private static string Describe(SourceOutcome outcome) => outcome switch
    {
        SourceOutcome.Found => "found",
        SourceOutcome.FoundLoosely => "found loosely",
        SourceOutcome.NotFound => "not found",
        _ => "failed",
    };

    private static void WriteJson(SecretExplanation explanation) => Json.Write(writer =>
    {
        writer.WriteStartObject();
        writer.WriteString("name", explanation.Name);
        writer.WriteString("winner", explanation.Winner is { } winner ? explanation.Answers[winner].Source : null);
        writer.WriteStartArray("answers");
        foreach (var answer in explanation.Answers)
        {
            writer.WriteStartObject();
            writer.WriteString("source", answer.Source);
            writer.WriteString("outcome", Describe(answer.Outcome));
            writer.WriteString("lookedFor", answer.LookedFor);
            writer.WriteStrings("names", answer.Names);
            writer.WriteNumberOrNull("version", answer.Version);
            writer.WriteTimeOrNull("created", answer.Created);
            writer.WriteErrorOrNull("error", answer.Error);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteErrorOrNull("error", explanation.Error);
        writer.WriteEndObject();
    });
}
