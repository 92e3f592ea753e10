using System.CommandLine;
using Mallku.Cli.Terminal;
using Mallku.Secrets.Ledger;

namespace Mallku.Cli.Commands;

internal sealed class AuditUnusualVerb : Verb
{
    private readonly Option<string?> _since = new("--since") { HelpName = "TIME", Description = "not before: a date, a time in UTC, or such as 12h or 7d" };
    private readonly Option<bool> _json = new("--json") { Description = "as a JSON array" };

    internal AuditUnusualVerb() => Understand(_since, _json);

    internal override string? Notes =>
        "Named are: an actor who is new to a secret, a burst of five times what an hour ever had, a time of the day that was never used, "
        + "a version that was replaced more than an hour before and has no grace, and a use after 90 days of silence. For the first 14 days, and until it was used on 7 of them or later ones, a secret only teaches. "
        + "All entries are read, and --since says which findings are shown. In a pipe: time, secret, rule, index and reason, separated by tabs.";

    internal override string[] Examples => ["mallku audit unusual --since 7d", "mallku audit unusual --json"];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var now = invocation.Options.TimeProvider.GetUtcNow();
        DateTimeOffset? since = invocation.Parsed.GetValue(_since) is { } text ? EntryFilter.ParseSince(text, now) : null;
        var found = (await invocation.OpenLedgerAsync(cancellationToken)).FindUnusualUses(since);
        if (invocation.Parsed.GetValue(_json))
        {
            Json.WriteArray(found, static (writer, unusual) =>
            {
                writer.WriteStartObject();
                writer.WriteString("rule", unusual.Rule);
                writer.WriteString("reason", unusual.Reason);
                writer.WritePropertyName("entry");
                EntryWords.WriteJson(writer, unusual.Entry);
                writer.WriteEndObject();
            });
            return ExitCode.Done;
        }

        var list = found.ToList();
        foreach (var unusual in list)
        {
            Channel.Output.Write(Channel.Output.IsTerminal ? ForPeople(unusual, now) : ForPrograms(unusual, now));
        }

        if (list.Count == 0)
        {
            Notice.Done("nothing is unusual");
        }

        return ExitCode.Done;
    }

    private static string ForPeople(UnusualUse unusual, DateTimeOffset now) =>
        $"{Moment.Show(unusual.Entry.Time, now, Channel.Output)}  {Channel.Output.Bold(EntryWords.Show(unusual.Entry.Secret))}  "
        + $"by {EntryWords.Actor(unusual.Entry.Actor)} (entry {unusual.Entry.Index})\n  {SecretsException.Show(unusual.Reason)}\n";

    private static string ForPrograms(UnusualUse unusual, DateTimeOffset now) =>
        $"{Moment.Show(unusual.Entry.Time, now, Channel.Output)}\t{EntryWords.Show(unusual.Entry.Secret)}\t{unusual.Rule}\t{unusual.Entry.Index}\t{SecretsException.Show(unusual.Reason)}\n";
}
