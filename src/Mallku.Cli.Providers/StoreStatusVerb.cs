using System.CommandLine;
using System.Security.Authentication;
using System.Text.Json;
using Mallku.Cli.Terminal;
using Mallku.Secrets.Sources;
using Mallku.Secrets.Storage;
using Mallku.Secrets.Vault;

namespace Mallku.Cli.Commands;

internal sealed class StoreStatusVerb : Verb
{
    private readonly Option<bool> _json = new("--json") { Description = "as a JSON object" };

    internal StoreStatusVerb() => Understand(_json);

    internal override string? Notes =>
        "Counts what there is, and reads no value. Ends with 4 where the store does not answer, or the key is not its own. "
        + "In a pipe: what and how it is, separated by tabs, times in UTC.";

    internal override string[] Examples => ["mallku store status", "mallku store status --json"];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var looked = await LookAsync(invocation, cancellationToken);
        if (invocation.Parsed.GetValue(_json))
        {
            Json.Write(writer => WriteJson(writer, looked));
        }
        else
        {
            WriteTable(looked, invocation.Options.TimeProvider.GetUtcNow());
        }

        foreach (var fault in looked.Status?.Faults.Skip(1) ?? [])
        {
            Notice.Warn(fault.Problem);
        }

        return looked.Problem is null ? ExitCode.Done : Notice.Report(looked.Problem);
    }

    private static async ValueTask<Looked> LookAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        invocation.RequireStore();
        SealedStore? store = null;
        try
        {
            store = (await invocation.OpenManagerAsync(cancellationToken)).Store!;
            var status = await StoreStatus.ReadAsync(store, cancellationToken);
            var telling = await StoreInspection.InspectTellingAsync(store, cancellationToken);
            var notTold = telling.Level == FindingLevel.Ok ? null : new SecretsException(telling.What, telling.Remedy!);
            return new Looked(store.Records.Description, store, status, notTold, status.Faults is [var first, ..] ? first : null);
        }
        catch (SecretsException e)
        {
            return new Looked(store?.Records.Description ?? await DescribeAsync(invocation, cancellationToken), store, Status: null, NotTold: null, e);
        }
    }

    private static async ValueTask<string> DescribeAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        await using var records = await OpenedStore.OpenRecordsAsync(invocation.RequireStore(), invocation.Options, cancellationToken);
        return records.Description;
    }

    private static void WriteTable(Looked looked, DateTimeOffset now)
    {
        var table = new Table("WHAT", "HOW IT IS");
        table.Add("store", looked.Where);
        table.Add("id", looked.Id ?? "-");
        table.Add("answers", looked.Answers switch { true => "yes", false => "no", null => "-" });
        if (looked.Status is { } status)
        {
            table.Add("secrets", status.Secrets.ToString());
            table.Add("versions", status.Versions.ToString());
            table.Add("changes", status.Changes.ToString());
            table.Add("newest version", Moment.Show(status.Newest, now, Channel.Output));
            table.Add("instances", status.Instances.Count.ToString());
            table.Add("data keys", status.Keys.Count.ToString());
            table.Add("sealing key", $"{status.Keys[^1].Id}, of {Moment.Show(status.Keys[^1].Created, now, Channel.Output)}");
            foreach (var instance in status.Instances)
            {
                table.Add("instance", $"{instance.User}@{instance.Host}, {instance.Entries} entries, told {Moment.Show(instance.Told, now, Channel.Output)}");
            }

            foreach (var silent in status.Silent)
            {
                table.Add("not told yet", $"{silent.By}, which has changed secrets since {Moment.Show(silent.Since, now, Channel.Output)}");
            }

            table.Add("reseal", status.IsResealing ? "begun, and not ended: mallku store reseal" : "-");
            table.Add("ledger here", looked.NotTold is { } notTold ? $"can't be told to the store: {notTold.Problem}; {notTold.Remedy}" : "is told to the store");
        }

        table.Write(Channel.Output);
    }

    private static void WriteJson(Utf8JsonWriter writer, Looked looked)
    {
        var status = looked.Status;
        writer.WriteStartObject();
        writer.WriteString("store", looked.Where);
        writer.WriteString("id", looked.Id);
        if (looked.Answers is { } answers)
        {
            writer.WriteBoolean("answers", answers);
        }
        else
        {
            writer.WriteNull("answers");
        }

        writer.WriteNumberOrNull("secrets", status?.Secrets);
        writer.WriteNumberOrNull("versions", status?.Versions);
        writer.WriteNumberOrNull("changes", status?.Changes);
        writer.WriteTimeOrNull("newestVersion", status?.Newest);
        writer.WriteStartArray("instances");
        foreach (var instance in status?.Instances ?? [])
        {
            writer.WriteStartObject();
            writer.WriteString("id", instance.Id);
            writer.WriteString("host", instance.Host);
            writer.WriteString("user", instance.User);
            writer.WriteTimeOrNull("began", instance.Began);
            writer.WriteTimeOrNull("told", instance.Told);
            writer.WriteNumber("entries", instance.Entries);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteStartArray("silent");
        foreach (var silent in status?.Silent ?? [])
        {
            writer.WriteStartObject();
            writer.WriteString("id", silent.Id);
            writer.WriteString("by", silent.By);
            writer.WriteTimeOrNull("since", silent.Since);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteStartArray("dataKeys");
        foreach (var one in status?.Keys ?? [])
        {
            writer.WriteStartObject();
            writer.WriteString("id", one.Id);
            writer.WriteTimeOrNull("created", one.Created);
            writer.WriteBoolean("seals", one == status!.Keys[^1]);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        if (status is null)
        {
            writer.WriteNull("resealing");
        }
        else
        {
            writer.WriteBoolean("resealing", status.IsResealing);
        }

        writer.WriteErrorOrNull("notTold", looked.NotTold);
        writer.WriteErrorOrNull("error", looked.Problem);
        writer.WriteEndObject();
    }

    /// <summary>What was found of a store.</summary>
    /// <param name="Where">The medium.</param>
    /// <param name="Store">Null where there is nothing to open it with, so that it was not asked.</param>
    /// <param name="Status">Null where it does not open.</param>
    /// <param name="NotTold">Why it can't be told what this machine's ledger has; null where it can.</param>
    /// <param name="Problem">Why it does not open, or one of its secrets.</param>
    private sealed record Looked(string Where, SealedStore? Store, StoreStatus? Status, SecretsException? NotTold, SecretsException? Problem)
    {
        // null where it did not answer when it was to tell which key opens it
        internal string? Id => Store is null or { Records: SilentRecords } ? null : Store.Root.StoreId;

        // who can't be known by its certificate was asked nothing
        internal bool? Answers => Problem is StoreUnreachableException || IsOfCertificates(Problem) ? false : Store is null ? null : true;

        private static bool IsOfCertificates(Exception? fault) => fault is AuthenticationException || (fault is not null && IsOfCertificates(fault.InnerException));
    }
}
