using System.CommandLine;
using Mallku.Cli.Terminal;

namespace Mallku.Cli.Commands;

internal sealed class ListVerb : Verb
{
    private readonly Option<bool> _json = new("--json") { Description = "as a JSON array" };

    internal ListVerb() => Understand(_json);

    internal override string? Notes =>
        "The source is the one whose value a lookup takes; an environment variable is shown only where the vault knows the name. "
        + "In a pipe: no header, columns separated by tabs, times in UTC.";

    internal override string[] Examples => ["mallku list", "mallku list | cut -f1", "mallku list --json"];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var secrets = await invocation.OpenManager().ListAsync(cancellationToken);
        if (invocation.Parsed.GetValue(_json))
        {
            WriteJson(secrets);
        }
        else if (secrets.Count > 0 || !Channel.Output.IsTerminal)
        {
            WriteTable(secrets, invocation.Options.TimeProvider.GetUtcNow());
        }
        else
        {
            Notice.Done("there are no secrets yet: mallku set NAME");
        }

        return ExitCode.Done;
    }

    private static void WriteTable(IReadOnlyList<SecretFacts> secrets, DateTimeOffset now)
    {
        var table = new Table("NAME", "VERSION", "SOURCE", "CREATED", "SHADOWS");
        foreach (var secret in secrets)
        {
            table.Add(
                SecretsException.Show(secret.Name),
                secret.Version?.ToString() ?? "-",
                secret.Source,
                Moment.Show(secret.Created, now, Channel.Output),
                secret.Shadowed.Count == 0 ? "-" : string.Join(", ", secret.Shadowed));
        }

        table.Write(Channel.Output);
    }

    private static void WriteJson(IReadOnlyList<SecretFacts> secrets) => Json.Write(writer =>
    {
        writer.WriteStartArray();
        foreach (var secret in secrets)
        {
            writer.WriteStartObject();
            writer.WriteString("name", secret.Name);
            writer.WriteNumberOrNull("version", secret.Version);
            writer.WriteString("source", secret.Source);
            writer.WriteTimeOrNull("created", secret.Created);
            writer.WriteStrings("shadowed", secret.Shadowed);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    });
}
