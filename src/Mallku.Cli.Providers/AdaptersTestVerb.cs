using System.CommandLine;
using Mallku.Cli.Terminal;
using Mallku.FireCircle.Adapters;
using Mallku.FireCircle.Providers;

namespace Mallku.Cli.Commands;

internal sealed class AdaptersTestVerb : Verb
{
    private readonly Argument<string[]> _names = new("NAME") { Description = "a provider; all that have a key by default", Arity = ArgumentArity.ZeroOrMore };
    private readonly Option<bool> _json = new("--json") { Description = "as a JSON array" };

    internal AdaptersTestVerb() => Understand(_names, _json);

    internal override string? Notes =>
        "Makes a cheap request to each at the same time, and waits at most 10 seconds: works, refused, unreachable, or no key. "
        + "Ends with 0 if all work. In a pipe: no header, columns separated by tabs.";

    internal override string[] Examples => ["mallku adapters test", "mallku adapters test openai anthropic"];

    internal override bool LooksUpSeveral => true;

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var secrets = invocation.OpenManager();
        var providers = await KnownProviders.LoadAsync(cancellationToken);
        var wanted = await ChooseAsync(secrets, providers, invocation.Parsed.GetValue(_names) ?? [], cancellationToken);
        using var factory = new AdapterFactory(secrets, providers);
        var results = await Task.WhenAll(wanted.Select(provider => CheckAsync(factory, provider, cancellationToken)));
        if (invocation.Parsed.GetValue(_json))
        {
            Json.WriteArray(results, static (writer, result) =>
            {
                writer.WriteStartObject();
                writer.WriteString("provider", result.Provider.Id);
                writer.WriteString("result", result.Word);
                writer.WriteNumberOrNull("status", result.Status);
                writer.WriteString("reason", result.Reason);
                writer.WriteEndObject();
            });
        }
        else
        {
            var table = new Table("PROVIDER", "RESULT", "WHY");
            foreach (var result in results)
            {
                table.Add(result.Provider.Id, result.Word, result.Reason);
            }

            table.Write(Channel.Output);
        }

        return results.All(static result => result.Word == Works) ? ExitCode.Done : ExitCode.Failed;
    }

    private const string Works = "works";

    private static async ValueTask<IReadOnlyList<Provider>> ChooseAsync(
        SecretsManager secrets, ProviderCatalogue providers, string[] names, CancellationToken cancellationToken)
    {
        if (names.Length > 0)
        {
            return [.. names.Select(providers.Find).Distinct()];
        }

        var chosen = new List<Provider>();
        foreach (var provider in providers.All)
        {
            if (await KeyLocation.FindAsync(secrets, provider, cancellationToken) is { Source: not null })
            {
                chosen.Add(provider);
            }
        }

        return chosen.Count > 0
            ? chosen
            : throw new SecretsException("no provider has a key", "set one, such as: mallku set openai_api_key; see all by: mallku adapters");
    }

    private static async Task<Result> CheckAsync(AdapterFactory factory, Provider provider, CancellationToken cancellationToken)
    {
        try
        {
            var verdict = await factory.CheckAsync(provider.Id, options: null, cancellationToken);
            var word = verdict.Outcome switch
            {
                KeyOutcome.Works => Works,
                KeyOutcome.Refused => "refused",
                _ => "unreachable",
            };
            return new Result(provider, word, verdict.Status, verdict.Reason);
        }
        catch (MissingKeyException e)
        {
            return new Result(provider, "no key", Status: null, $"none of {string.Join(", ", e.Names)} is set");
        }
    }

    private sealed record Result(Provider Provider, string Word, int? Status, string Reason);
}
