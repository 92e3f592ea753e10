using System.CommandLine;
using Mallku.Cli.Terminal;

namespace Mallku.Cli.Commands;

internal sealed class HistoryVerb : Verb
{
    private readonly Argument<string> _name = new("NAME") { Description = "the secret, also one that was removed" };
    private readonly Option<bool> _json = new("--json") { Description = "as a JSON object" };

    internal HistoryVerb() => Understand(_name, _json);

    internal override string? Notes =>
        "The newest version comes first. Its source tells who wrote it; 'external' is another program, the name of a rotator a rotation. "
        + "A previous version may still be used until its grace ends, a pending one is being made. "
        + "In a pipe: no header, columns separated by tabs, times in UTC.";

    internal override string[] Examples => ["mallku history openai_api_key", "mallku history openai_api_key --json"];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var given = invocation.Parsed.GetRequiredValue(_name);
        var manager = await invocation.OpenManagerAsync(cancellationToken);
        var history = await manager.GetHistoryAsync(given, cancellationToken)
            ?? throw await NotFoundAsync(given, manager, cancellationToken);
        if (history is { Versions.Count: 0, Removed: null })
        {
            throw new SecretNotFoundException(
                history.Name,
                $"{Places.Describe(manager)}, but what a copy that was cut off has left",
                $"copy it again, where it was copied: mallku store copy --from vault --to store --only {history.Name}");
        }

        if (invocation.Parsed.GetValue(_json))
        {
            WriteJson(history);
            return ExitCode.Done;
        }

        var now = invocation.Options.TimeProvider.GetUtcNow();
        ToTable(history, now).Write(Channel.Output);
        if (history.Removed is { } removed)
        {
            Notice.Done($"removed {Moment.Show(removed, now, Channel.Error)}");
        }

        return ExitCode.Done;
    }

    private static async ValueTask<SecretsException> NotFoundAsync(string given, SecretsManager manager, CancellationToken cancellationToken) =>
        SecretName.TryParse(given, out _) && manager.Store is null && await AbsentVault.IsAbsentAsync(manager.Vault, cancellationToken)
            ? new SecretNotFoundException(given, manager.Vault.Describe(), $"there is no vault there yet; make one: {manager.Vault.Settings.InitCommand}")
            : UsageErrors.NotFound(given, Places.Describe(manager));

    // at a terminal the id comes last, where it may be cut
    private static Table ToTable(SecretHistory history, DateTimeOffset now)
    {
        var isTerminal = Channel.Output.IsTerminal;
        var table = isTerminal
            ? new Table("VERSION", "STATE", "CREATED", "SOURCE", "GRACE ENDS", "ID")
            : new Table("VERSION", "STATE", "CREATED", "SOURCE", "ID", "GRACE ENDS");
        foreach (var version in history.Versions)
        {
            var graceEnds = version.GraceEnds is { } ends ? Moment.Iso(ends) : "-";
            var (former, last) = isTerminal ? (graceEnds, version.Id) : (version.Id, graceEnds);
            table.Add(version.Number.ToString(), Describe(version.State), Moment.Show(version.Created, now, Channel.Output), version.Source, former, last);
        }

        return table;
    }

    private static string Describe(SecretVersionState state) => state switch
    {
        SecretVersionState.Pending => "pending",
        SecretVersionState.Current => "current",
        SecretVersionState.Previous => "previous",
        _ => "retired",
    };

    private static void WriteJson(SecretHistory history) => Json.Write(writer =>
    {
        writer.WriteStartObject();
        writer.WriteString("name", history.Name);
        writer.WriteTimeOrNull("removed", history.Removed);
        writer.WriteStartArray("versions");
        foreach (var version in history.Versions)
        {
            writer.WriteStartObject();
            writer.WriteNumber("number", version.Number);
            writer.WriteString("id", version.Id);
            writer.WriteString("state", Describe(version.State));
            writer.WriteTimeOrNull("created", version.Created);
            writer.WriteString("source", version.Source);
            writer.WriteTimeOrNull("graceEnds", version.GraceEnds);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    });
}
