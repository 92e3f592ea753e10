using System.CommandLine;
using Mallku.Cli.Terminal;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Storage;

namespace Mallku.Cli.Commands;

internal sealed class AuditLogVerb : Verb
{
    private const int RowsAtOnce = 1000;

    private readonly Option<string?> _secret = new("--secret") { HelpName = "NAME", Description = "of this secret alone" };
    private readonly Option<string?> _actor = new("--actor") { HelpName = "WHO", Description = "by this user, user@host, host, program or voice alone" };
    private readonly Option<string?> _since = new("--since") { HelpName = "TIME", Description = "not before: a date, a time in UTC, or such as 12h or 7d" };
    private readonly Option<string?> _kind = new("--kind") { HelpName = "KIND", Description = "of this kind alone, such as read or updated" };
    private readonly Option<bool> _all = Invocation.OfAll();
    private readonly Option<bool> _json = new("--json") { Description = "as a JSON array; with --follow, an object a line" };
    private readonly Option<bool> _follow = new("--follow", "-f") { Description = "go on with what is added, until interrupted" };

    internal AuditLogVerb() => Understand(_secret, _actor, _since, _kind, _all, _json, _follow);

    internal override string? Notes =>
        $"The newest entry comes last. The kinds: {string.Join(", ", EntryLine.Kinds)}. It does not check whether somebody altered the entries: "
        + "that is what 'mallku audit verify' is for. With --all, indexes are those of each machine's own ledger, and what a machine has not signed is left out, and said. In a pipe: no header, columns separated by tabs, times in UTC.";

    internal override string[] Examples =>
        ["mallku audit log --since 7d", "mallku audit log --all --kind read", "mallku audit log --secret openai_api_key --kind read", "mallku audit log --follow --json | jq -r .secret"];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var now = invocation.Options.TimeProvider.GetUtcNow();
        var filter = ReadFilter(invocation.Parsed, now);
        var (json, follows) = (invocation.Parsed.GetValue(_json), invocation.Parsed.GetValue(_follow));
        if (invocation.Parsed.GetValue(_all))
        {
            await WriteAllAsync(invocation, filter, now, follows ? throw new UsageException("--all and --follow exclude each other", "follow one machine's ledger there") : json, cancellationToken);
            return ExitCode.Done;
        }

        var ledger = await invocation.OpenLedgerAsync(cancellationToken);
        if (follows)
        {
            await new LedgerFollower(ledger).FollowAsync((of, added) => WriteAdded([.. added.Where(filter.For(of).Takes)], json), cancellationToken);
        }

        var entries = ledger.ReadEntries().Where(filter.For(ledger).Takes);
        if (json)
        {
            Json.WriteArray(entries, EntryWords.WriteJson);
        }
        else
        {
            Write(entries, now);
        }

        return ExitCode.Done;
    }

    private static async ValueTask WriteAllAsync(Invocation invocation, EntryFilter filter, DateTimeOffset now, bool json, CancellationToken cancellationToken)
    {
        var told = new List<StoreLedgerEntry>();
        await foreach (var one in (await invocation.OpenStoreLedgerAsync(cancellationToken)).ReadAsync(filter.Since, new LeftOut(), cancellationToken))
        {
            if (filter.Takes(one.Entry))
            {
                told.Add(one);
            }
        }

        if (json)
        {
            Json.WriteArray(told, static (writer, one) => EntryWords.WriteJson(writer, one.Entry, one.Instance.Id));
        }
        else
        {
            Write(told.Select(static one => one.Entry), now);
        }
    }

    private static void Write(IEnumerable<LedgerEntry> entries, DateTimeOffset now)
    {
        if (Channel.Output.IsTerminal)
        {
            WriteForPeople([.. entries], now);
        }
        else
        {
            foreach (var some in entries.Chunk(RowsAtOnce))
            {
                WriteForPrograms(some, now);
            }
        }
    }

    private EntryFilter ReadFilter(ParseResult parsed, DateTimeOffset now)
    {
        LedgerKind? kind = null;
        if (parsed.GetValue(_kind) is { } text)
        {
            kind = EntryLine.ParseKind(text) is var known and not LedgerKind.Unknown
                ? known
                : throw new UsageException("there is no such kind of entry", $"take one of: {string.Join(", ", EntryLine.Kinds)}");
        }

        var since = parsed.GetValue(_since);
        return new EntryFilter(parsed.GetValue(_secret), parsed.GetValue(_actor), since is null ? null : EntryFilter.ParseSince(since, now), kind);
    }

    private static void WriteAdded(LedgerEntry[] entries, bool json)
    {
        if (json)
        {
            Json.WriteLines(entries, EntryWords.WriteJson);
        }
        else if (Channel.Output.IsTerminal)
        {
            Channel.Output.Write(string.Concat(entries.Select(entry => EntryWords.Describe(entry) + "\n")));
        }
        else
        {
            WriteForPrograms(entries, default);
        }
    }

    private static void WriteForPeople(List<LedgerEntry> entries, DateTimeOffset now)
    {
        if (entries.Count == 0)
        {
            Notice.Done("there is no such entry");
            return;
        }

        var table = new Table("INDEX", "TIME", "KIND", "SECRET", "ACTOR", "FOR");
        foreach (var entry in entries)
        {
            table.Add(
                entry.Index.ToString(),
                Moment.Show(entry.Time, now, Channel.Output),
                EntryWords.Show(entry.KindText) + (entry.Count == 1 ? "" : $" ×{entry.Count}"),
                EntryWords.Show(entry.Secret) + (entry.Version is null ? "" : $" v{entry.Version}"),
                EntryWords.Actor(entry.Actor),
                EntryWords.Show(entry.Note ?? entry.Purpose));
        }

        table.Write(Channel.Output);
    }

    private static void WriteForPrograms(LedgerEntry[] entries, DateTimeOffset now)
    {
        var table = new Table("INDEX", "TIME", "KIND", "SECRET", "VERSION", "SOURCE", "COUNT", "ACTOR", "PROCESS", "PURPOSE", "NOTE");
        foreach (var entry in entries)
        {
            table.Add(
                entry.Index.ToString(),
                Moment.Show(entry.Time, now, Channel.Output),
                EntryWords.Show(entry.KindText),
                EntryWords.Show(entry.Secret),
                entry.Version?.ToString() ?? "-",
                EntryWords.Show(entry.Source),
                entry.Count.ToString(),
                EntryWords.Actor(entry.Actor),
                $"{EntryWords.Show(entry.Actor.Process)} {entry.Actor.ProcessId}",
                EntryWords.Show(entry.Purpose),
                EntryWords.Show(entry.Note));
        }

        table.Write(Channel.Output);
    }
}
