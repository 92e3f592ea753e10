using System.CommandLine;
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
        invocation.RequireStore();
        var store = (await invocation.OpenManagerAsync(cancellationToken)).Store!;
        StoreStatus? status = null;
        Finding? notTold = null;
        SecretsException? problem = null;
        try
        {
            status = await StoreStatus.ReadAsync(store, cancellationToken);
            notTold = await StoreInspection.InspectTellingAsync(store, cancellationToken) is { Level: FindingLevel.Error } told ? told : null;
        }
        catch (SecretsException e)
        {
            problem = e;
        }

        problem ??= status!.Faults is [var first, ..] ? first : null;

        if (invocation.Parsed.GetValue(_json))
        {
            Json.Write(writer => WriteJson(writer, store, status, notTold, problem));
        }
        else
        {
            WriteTable(store, status, notTold, problem, invocation.Options.TimeProvider.GetUtcNow());
        }

        foreach (var fault in status?.Faults.Skip(1) ?? [])
        {
            Notice.Warn(fault.Problem);
        }

        return problem is null ? ExitCode.Done : Notice.Report(problem);
    }

    private static void WriteTable(SealedStore store, StoreStatus? status, Finding? notTold, SecretsException? problem, DateTimeOffset now)
    {
        var table = new Table("WHAT", "HOW IT IS");
        table.Add("store", store.Records.Description);
        table.Add("id", FindId(store) ?? "-");
        table.Add("answers", problem is StoreUnreachableException ? "no" : "yes");
        if (status is not null)
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
            table.Add("ledger here", notTold is null ? "is told to the store" : $"can't be told to the store: {notTold.What}; {notTold.Remedy}");
        }

        table.Write(Channel.Output);
    }

    // null where it did not answer when it was to tell which key opens it
    private static string? FindId(SealedStore store) => store.Records is SilentRecords ? null : store.Root.StoreId;

    private static void WriteJson(Utf8JsonWriter writer, SealedStore store, StoreStatus? status, Finding? notTold, SecretsException? problem)
    {
        writer.WriteStartObject();
        writer.WriteString("store", store.Records.Description);
        writer.WriteString("id", FindId(store));
        writer.WriteBoolean("answers", problem is not StoreUnreachableException);
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

        writer.WriteErrorOrNull("notTold", notTold is null ? null : new SecretsException(notTold.What, notTold.Remedy!));
        writer.WriteErrorOrNull("error", problem);
        writer.WriteEndObject();
    }
}
