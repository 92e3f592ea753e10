using System.CommandLine;
using System.Text.Json;
using Mallku.Cli.Terminal;
using Mallku.Secrets.Ledger;

namespace Mallku.Cli.Commands;

internal sealed class AuditReportVerb : Verb
{
    private const int Days = 30, MostActors = 6;
    private const string Blocks = "▁▂▃▄▅▆▇█";
    private readonly Option<bool> _all = Invocation.OfAll();
    private readonly Option<bool> _json = new("--json") { Description = "as a JSON array" };

    internal AuditReportVerb() => Understand(_all, _json);

    internal override string? Notes =>
        "Counts how often each value was handed out, as the entries say that were not archived; a secret of the vault that nobody used "
        + "is in it too. At a terminal, the blocks are the use on each of the last 30 days, today last. "
        + "In a pipe: name, source, count, first and last use, actors, version and when it was made, separated by tabs.";

    internal override string[] Examples => ["mallku audit report", "mallku audit report --all", "mallku audit report --json"];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var uses = invocation.Parsed.GetValue(_all)
            ? await (await invocation.OpenStoreLedgerAsync(cancellationToken)).ReportAsync(new LeftOut(), cancellationToken)
            : (await invocation.OpenLedgerAsync(cancellationToken)).Report();
        var now = invocation.Options.TimeProvider.GetUtcNow();
        if (invocation.Parsed.GetValue(_json))
        {
            Json.WriteArray(uses, (writer, use) => WriteJson(writer, use, now));
        }
        else if (Channel.Output.IsTerminal)
        {
            WriteForPeople(uses, now);
        }
        else
        {
            WriteForPrograms(uses, now);
        }

        return ExitCode.Done;
    }

    private static void WriteForPeople(IReadOnlyList<SecretUse> uses, DateTimeOffset now)
    {
        foreach (var use in uses)
        {
            var version = use.Version is null ? "not in the vault" : $"version {use.Version}, {Moment.Ago(use.Created!.Value, now)}";
            Channel.Output.WriteLine($"{Channel.Output.Bold(EntryWords.Show(use.Name))}  {version}");
            if (use.Count == 0)
            {
                Channel.Output.WriteLine($"  {Channel.Output.Yellow("never used")}");
                continue;
            }

            var times = use.Count == 1 ? "once" : $"{use.Count} times";
            Channel.Output.WriteLine(
                $"  used {times}, first {Moment.Ago(use.First!.Value, now)}, last {Moment.Ago(use.Last!.Value, now)}, from {EntryWords.Show(use.Source)}");
            Channel.Output.WriteLine($"  by {FewActors(use)}");
            Channel.Output.WriteLine($"  {Sparkline(use.GetDays(now, Days))}");
        }

        if (uses.Count == 0)
        {
            Notice.Done("there are no secrets yet: mallku set NAME");
        }
    }

    private static void WriteForPrograms(IReadOnlyList<SecretUse> uses, DateTimeOffset now)
    {
        var table = new Table("NAME", "SOURCE", "COUNT", "FIRST", "LAST", "ACTORS", "VERSION", "CREATED");
        foreach (var use in uses)
        {
            table.Add(
                EntryWords.Show(use.Name),
                EntryWords.Show(use.Source),
                use.Count.ToString(),
                Moment.Show(use.First, now, Channel.Output),
                Moment.Show(use.Last, now, Channel.Output),
                use.Count == 0 ? "-" : Actors(use),
                use.Version?.ToString() ?? "-",
                Moment.Show(use.Created, now, Channel.Output));
        }

        table.Write(Channel.Output);
    }

    // of those that come and go, as containers do, a few tell enough
    private static string FewActors(SecretUse use) => use.Actors.Count <= MostActors
        ? Actors(use)
        : $"{string.Join(", ", use.Actors.Take(MostActors - 1).Select(EntryWords.Show))} and {use.Actors.Count - MostActors + 1} others";

    private static string Actors(SecretUse use) => string.Join(", ", use.Actors.Select(EntryWords.Show));

    /// <summary>A block for each day, as high as its part of the busiest one; a day without use is a dot.</summary>
    private static string Sparkline(IReadOnlyList<long> days)
    {
        var most = days.Max();
        return string.Concat(days.Select(count => count == 0 ? '·' : Blocks[(int)((double)count / most * (Blocks.Length - 1))]));
    }

    private static void WriteJson(Utf8JsonWriter writer, SecretUse use, DateTimeOffset now)
    {
        writer.WriteStartObject();
        writer.WriteString("name", use.Name);
        writer.WriteString("source", use.Source);
        writer.WriteNumber("count", use.Count);
        writer.WriteTimeOrNull("first", use.First);
        writer.WriteTimeOrNull("last", use.Last);
        writer.WriteStrings("actors", use.Actors);
        writer.WriteNumberOrNull("version", use.Version);
        writer.WriteTimeOrNull("created", use.Created);
        writer.WriteStartArray("days");
        foreach (var count in use.GetDays(now, Days))
        {
            writer.WriteNumberValue(count);
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }
}
