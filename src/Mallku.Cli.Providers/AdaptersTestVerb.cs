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
        "Makes a cheap request to each at the same time, and waits at most 10 seconds: works, refused, unreachable, no key, or a fault of its entry or its secret. "
        + "Ends with 0 if all work. In a pipe: no header, columns separated by tabs.";

    internal override string[] Examples => ["mallku adapters test", "mallku adapters test openai anthropic"];

    internal override bool LooksUpSeveral => true;

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var secrets = await invocation.OpenManagerAsync(cancellationToken);
        var providers = await KnownProviders.LoadWithFaultsAsync(cancellationToken);
        var wanted = await ChooseAsync(secrets, providers, invocation.Parsed.GetValue(_names) ?? [], cancellationToken);
        using var factory = new AdapterFactory(secrets, providers);
        var results = await Task.WhenAll(wanted.Select(id => CheckAsync(factory, id, cancellationToken)));
        if (invocation.Parsed.GetValue(_json))
        {
            Json.WriteArray(results, static (writer, result) =>
            {
                writer.WriteStartObject();
                writer.WriteString("provider", result.Provider);
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
                table.Add(result.Provider, result.Word, result.Reason);
            }

            table.Write(Channel.Output);
        }

        return results.All(static result => result.Word == Works) ? ExitCode.Done : ExitCode.Failed;
    }

    private const string Works = "works", Fault = "fault";

    private static async ValueTask<IReadOnlyList<string>> ChooseAsync(
        SecretsManager secrets, ProviderCatalogue providers, string[] names, CancellationToken cancellationToken)
    {
        if (names.Length > 0)
        {
            return [.. names.Select(name => providers.Faults.ContainsKey(name) ? name.ToLowerInvariant() : providers.Find(name).Id).Distinct(StringComparer.Ordinal)];
        }

        var chosen = new List<string>();
        foreach (var provider in providers.All)
        {
            if (await HasKeyAsync(secrets, provider, cancellationToken))
            {
                chosen.Add(provider.Id);
            }
        }

        chosen.AddRange(providers.Faults.Keys);
        return chosen.Count > 0
            ? chosen
            : throw new SecretsException("no provider has a key", "set one, such as: mallku set openai_api_key; see all by: mallku adapters");
    }

    private static async ValueTask<bool> HasKeyAsync(SecretsManager secrets, Provider provider, CancellationToken cancellationToken)
    {
        try
        {
            return await KeyLocation.FindAsync(secrets, provider, cancellationToken) is { Source: not null };
        }
        catch (AmbiguousSecretNameException)
        {
            // it has several, which the check says
            return true;
        }
    }

    // what is wrong with one provider keeps no other from its check; a vault that can't be read is wrong for all
    private static async Task<Result> CheckAsync(AdapterFactory factory, string id, CancellationToken cancellationToken)
    {
        if (factory.Providers.Faults.TryGetValue(id, out var fault))
        {
            return new Result(id, Fault, Status: null, fault.Problem);
        }

        try
        {
            var verdict = await factory.CheckAsync(id, options: null, cancellationToken);
            var word = verdict.Outcome switch
            {
                KeyOutcome.Works => Works,
                KeyOutcome.Refused => "refused",
                _ => "unreachable",
            };
            return new Result(id, word, verdict.Status, verdict.Reason);
        }
        catch (MissingKeyException e)
        {
            return new Result(id, "no key", Status: null, $"none of {string.Join(", ", e.Names)} is set");
        }
        catch (SecretsException e) when (e is AmbiguousSecretNameException or UnusableKeyException)
        {
            return new Result(id, Fault, Status: null, e.Problem);
        }
    }

    private sealed record Result(string Provider, string Word, int? Status, string Reason);
}
