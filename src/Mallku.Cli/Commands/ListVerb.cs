using System.CommandLine;
using Mallku.Cli.Terminal;
using Mallku.Secrets.Rotation;

namespace Mallku.Cli.Commands;

internal sealed class ListVerb : Verb
{
    private readonly Option<bool> _json = new("--json") { Description = "as a JSON array" };

    internal ListVerb() => Understand(_json);

    internal override string? Notes =>
        "The source is the one whose value a lookup takes; an environment variable is shown only where the vault or the shared store knows the name. "
        + "The last column says what a rotation has to do: pending, faulty, overdue, due, unrevoked, planned, or never, where the value is the first one. "
        + "In a pipe: no header, columns separated by tabs, times in UTC.";

    internal override string[] Examples => ["mallku list", "mallku list | cut -f1", "mallku list --json"];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var manager = await invocation.OpenManagerAsync(cancellationToken);
        var secrets = await manager.ListAsync(cancellationToken);
        var statuses = await Places.GetRotationsAsync(manager, cancellationToken);
        var isJson = invocation.Parsed.GetValue(_json);
        if (isJson)
        {
            WriteJson(secrets, statuses);
        }
        else if (secrets.Count > 0 || !Channel.Output.IsTerminal)
        {
            WriteTable(secrets, statuses, invocation.Options.TimeProvider.GetUtcNow());
        }

        if (secrets.Count == 0 && (manager.Store is not null || !await AbsentVault.SayAsync(manager.Vault, cancellationToken)) && Channel.Output.IsTerminal && !isJson)
        {
            Notice.Done("there are no secrets yet: mallku set NAME");
        }

        return ExitCode.Done;
    }

    private static void WriteTable(IReadOnlyList<SecretFacts> secrets, Dictionary<string, RotationStatus> statuses, DateTimeOffset now)
    {
        var table = new Table("NAME", "VERSION", "SOURCE", "CREATED", "SHADOWS", "ROTATION");
        foreach (var secret in secrets)
        {
            table.Add(
                SecretsException.Show(secret.Name),
                secret.Version?.ToString() ?? "-",
                secret.Source,
                Moment.Show(secret.Created, now, Channel.Output),
                secret.Shadowed.Count == 0 ? "-" : string.Join(", ", secret.Shadowed),
                RotationWords.Describe(statuses.GetValueOrDefault(secret.Name)) ?? "-");
        }

        table.Write(Channel.Output);
    }

    private static void WriteJson(IReadOnlyList<SecretFacts> secrets, Dictionary<string, RotationStatus> statuses) => Json.Write(writer =>
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
            var status = statuses.GetValueOrDefault(secret.Name);
            writer.WriteString("rotation", RotationWords.Describe(status));
            writer.WriteTimeOrNull("due", status?.Due);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    });
}
