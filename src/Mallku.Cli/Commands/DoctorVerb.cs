using System.CommandLine;
using Mallku.Cli.Terminal;
using Mallku.Secrets.Rotation;
using Mallku.Secrets.Sources;
using Mallku.Secrets.Vault;

namespace Mallku.Cli.Commands;

internal sealed class DoctorVerb : Verb
{
    private readonly Option<bool> _json = new("--json") { Description = "as a JSON object" };

    internal DoctorVerb() => Understand(_json);

    internal override string? Notes =>
        "Ends with 1 if there is an error, and with 0 if there are only warnings. It changes nothing; a witness command gets the newest checkpoint once more. "
        + "In a pipe: level, check, finding and remedy, separated by tabs.";

    internal override string[] Examples => ["mallku doctor", "mallku doctor --json"];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var findings = await InspectAsync(invocation, cancellationToken);
        var healthy = findings.All(finding => finding.Level != FindingLevel.Error);
        if (invocation.Parsed.GetValue(_json))
        {
            WriteJson(findings, healthy);
        }
        else
        {
            foreach (var finding in findings)
            {
                // a path may hold anything
                var shown = finding with { What = SecretsException.ShowAll(finding.What), Remedy = finding.Remedy is null ? null : SecretsException.ShowAll(finding.Remedy) };
                Channel.Output.Write(Channel.Output.IsTerminal ? ForPeople(shown) : ForPrograms(shown));
            }
        }

        return healthy ? ExitCode.Done : ExitCode.Failed;
    }

    private static async ValueTask<List<Finding>> InspectAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var findings = new List<Finding>();
        SecretsManager manager;
        try
        {
            manager = await invocation.OpenManagerAsync(cancellationToken);
        }
        catch (SecretsException e) when (invocation.Store is not null)
        {
            // the store can't be used at all; what is here is looked at all the same
            manager = SecretsManager.Open(invocation.Options);
            findings.AddRange(StoreInspection.InspectKeys());
            if (!findings.Exists(finding => finding.What == e.Problem))
            {
                findings.Add(new(FindingLevel.Error, StoreInspection.Check, e.Problem, e.Remedy));
            }

            if (!manager.Vault.Settings.IsDirectoryNamed && !manager.Vault.IsMade)
            {
                return findings;
            }
        }

        findings.AddRange(manager.HasVault
            ? await VaultInspection.InspectAsync(manager.Vault, cancellationToken)
            : await StoreInspection.InspectLedgerAsync(manager.Vault, cancellationToken));
        if (manager.Store is { } store)
        {
            findings.AddRange(StoreInspection.InspectKeys());
            findings.AddRange(await StoreInspection.InspectAsync(store, cancellationToken));
        }

        var opened = manager.Stores.Where(place => findings.Exists(finding => finding.Check == place.Name && finding.Level == FindingLevel.Ok)).ToList();
        if (opened.Count > 0)
        {
            var statuses = new List<RotationStatus>();
            foreach (var place in opened)
            {
                statuses.AddRange(await RotationReview.ReadAsync(place, static _ => { }, cancellationToken));
            }

            findings.AddRange(RotationInspection.Inspect(statuses));
        }

        return findings;
    }

    private static string ForPeople(Finding finding)
    {
        const int indent = 9;
        var level = Describe(finding.Level).PadRight(indent - 2);
        var text = $"{Colour(finding.Level, level)}  {Fit(finding.What)}\n";
        return finding.Remedy is null ? text : $"{text}{new string(' ', indent)}{Fit("hint: " + finding.Remedy)}\n";

        static string Fit(string sentence) =>
            string.Join("\n" + new string(' ', indent), WordWrap.Lines(WordWrap.Words(sentence), Channel.Output.Width - indent));
    }

    private static string ForPrograms(Finding finding) =>
        $"{Describe(finding.Level)}\t{finding.Check}\t{finding.What}\t{finding.Remedy ?? "-"}\n";

    private static string Colour(FindingLevel level, string text) => level switch
    {
        FindingLevel.Ok => Channel.Output.Green(text),
        FindingLevel.Warning => Channel.Output.Yellow(text),
        _ => Channel.Output.Red(text),
    };

    private static string Describe(FindingLevel level) => level switch
    {
        FindingLevel.Ok => "ok",
        FindingLevel.Warning => "warning",
        _ => "error",
    };

    private static void WriteJson(IReadOnlyList<Finding> findings, bool healthy) => Json.Write(writer =>
    {
        writer.WriteStartObject();
        writer.WriteBoolean("ok", healthy);
        writer.WriteStartArray("findings");
        foreach (var finding in findings)
        {
            writer.WriteStartObject();
            writer.WriteString("level", Describe(finding.Level));
            writer.WriteString("check", finding.Check);
            writer.WriteString("what", finding.What);
            writer.WriteString("remedy", finding.Remedy);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    });
}
