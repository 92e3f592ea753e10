using System.CommandLine;
using Mallku.Cli.Terminal;
using Mallku.FireCircle.Adapters;

namespace Mallku.Cli.Commands;

internal sealed class AdaptersVerb : Verb
{
    private readonly Option<bool> _json = new("--json") { Description = "as a JSON array" };

    internal AdaptersVerb() => Understand(_json);

    internal override string? Notes =>
        "Says from where each provider's key would come, and hands none out. Providers of your own are entries of the file that "
        + "MALLKU_PROVIDERS names, else of ~/.config/mallku/providers.json. In a pipe: no header, columns separated by tabs.";

    internal override string[] Examples => ["mallku adapters", "mallku adapters --json", "mallku adapters test"];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var secrets = invocation.OpenManager();
        var locations = new List<KeyLocation>();
        foreach (var provider in (await KnownProviders.LoadAsync(cancellationToken)).All)
        {
            locations.Add(await KeyLocation.FindAsync(secrets, provider, cancellationToken));
        }

        if (invocation.Parsed.GetValue(_json))
        {
            Json.WriteArray(locations, static (writer, location) =>
            {
                writer.WriteStartObject();
                writer.WriteString("provider", location.Provider.Id);
                writer.WriteString("name", location.Provider.Name);
                writer.WriteString("server", location.Provider.BaseUrl.AbsoluteUri);
                writer.WriteString("secret", location.Secret);
                writer.WriteString("source", location.Source);
                writer.WriteNumberOrNull("version", location.Version);
                writer.WriteBoolean("optional", location.Provider.Key.IsOptional);
                writer.WriteString("model", location.Provider.Model);
                writer.WriteEndObject();
            });
        }
        else
        {
            var table = new Table("PROVIDER", "KEY", "SOURCE", "VERSION", "MODEL");
            foreach (var location in locations)
            {
                table.Add(
                    location.Provider.Id,
                    location.Secret is { } secret ? SecretsException.Show(secret) : "-",
                    location.Source ?? "-",
                    location.Version?.ToString() ?? "-",
                    location.Provider.Model ?? "-");
            }

            table.Write(Channel.Output);
        }

        return ExitCode.Done;
    }
}
