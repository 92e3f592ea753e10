using System.CommandLine;
using Mallku.Cli.Terminal;
using Mallku.FireCircle.Adapters;
using Mallku.FireCircle.Providers;

namespace Mallku.Cli.Commands;

internal sealed class AdaptersVerb : Verb
{
    private readonly Option<bool> _json = new("--json") { Description = "as a JSON array" };

    internal AdaptersVerb() => Understand(_json);

    internal override string? Notes =>
        "Says from where each provider's key would come, and hands none out. Providers of your own are entries of the file that "
        + "MALLKU_PROVIDERS names, else of ~/.config/mallku/providers.json. Ends with 1 if one has a fault. In a pipe: no header, columns separated by tabs.";

    internal override string[] Examples => ["mallku adapters", "mallku adapters --json", "mallku adapters test"];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var secrets = await invocation.OpenManagerAsync(cancellationToken);
        var known = await KnownProviders.LoadWithFaultsAsync(cancellationToken);
        var rows = new List<Row>();
        foreach (var provider in known.All)
        {
            rows.Add(await LookAsync(secrets, provider, cancellationToken));
        }

        rows.AddRange(known.Faults.Select(static fault => new Row(fault.Key, Location: null, fault.Value)));
        if (invocation.Parsed.GetValue(_json))
        {
            Json.WriteArray(rows, static (writer, row) =>
            {
                var provider = row.Location?.Provider;
                writer.WriteStartObject();
                writer.WriteString("provider", row.Id);
                writer.WriteString("name", provider?.Name);
                writer.WriteString("server", provider?.BaseUrl.AbsoluteUri);
                writer.WriteString("secret", row.Location?.Secret);
                writer.WriteString("source", row.Location?.Source);
                writer.WriteNumberOrNull("version", row.Location?.Version);
                writer.WriteBoolean("optional", provider?.Key.IsOptional ?? false);
                writer.WriteString("model", provider?.Model);
                writer.WriteErrorOrNull("error", row.Error);
                writer.WriteEndObject();
            });
        }
        else
        {
            var table = new Table("PROVIDER", "KEY", "SOURCE", "VERSION", "MODEL", "FAULT");
            foreach (var row in rows)
            {
                table.Add(
                    row.Id,
                    row.Location?.Secret is { } secret ? SecretsException.Show(secret) : "-",
                    row.Location?.Source ?? "-",
                    row.Location?.Version?.ToString() ?? "-",
                    row.Location?.Provider.Model ?? "-",
                    row.Error?.Problem ?? "-");
            }

            table.Write(Channel.Output);
        }

        return rows.TrueForAll(static row => row.Error is null) ? ExitCode.Done : ExitCode.Failed;
    }

    private static async ValueTask<Row> LookAsync(SecretsManager secrets, Provider provider, CancellationToken cancellationToken)
    {
        try
        {
            return new Row(provider.Id, await KeyLocation.FindAsync(secrets, provider, cancellationToken), Error: null);
        }
        catch (AmbiguousSecretNameException e)
        {
            return new Row(provider.Id, new KeyLocation(provider, Source: null, Secret: null, Version: null), e);
        }
    }

    private sealed record Row(string Id, KeyLocation? Location, SecretsException? Error);
}
