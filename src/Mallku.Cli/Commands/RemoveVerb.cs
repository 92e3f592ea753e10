using System.CommandLine;
using Mallku.Cli.Terminal;
using Mallku.Secrets.Storage;

namespace Mallku.Cli.Commands;

internal sealed class RemoveVerb : Verb
{
    private readonly Argument<string> _name = new("NAME") { Description = "the secret" };
    private readonly Option<bool> _yes = new("--yes", "-y") { Description = "do not ask" };

    internal RemoveVerb() => Understand(_name, _yes);

    internal override string? Notes => "Asks first, and therefore needs --yes where nobody is there to answer.";

    internal override string[] Examples => ["mallku rm openai_api_key", "mallku rm openai_api_key --yes"];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var given = invocation.Parsed.GetRequiredValue(_name);
        var asks = !invocation.Parsed.GetValue(_yes);
        if (asks && !Prompt.IsPossible)
        {
            throw new UsageException("removing a secret asks first, and nobody is there to answer", "say it in so many words: mallku rm NAME --yes");
        }

        var manager = await invocation.OpenManagerAsync(cancellationToken);
        if (manager.Store is null)
        {
            await manager.Vault.RequireAsync(cancellationToken);
        }

        var (place, stored) = await SecretHome.FindAsync(manager.Stores, SecretName.Existing(given), cancellationToken)
            ?? throw UsageErrors.NotFound(given, Places.Describe(manager));
        Changes.SayLooseMatch(given, stored);
        if (asks && !Prompt.Confirm($"remove {Show(stored)} from the {(place == manager.Store ? "shared store, for every machine" : "vault")}?"))
        {
            Notice.Done("nothing was removed");
            return ExitCode.Failed;
        }

        var change = await manager.RemoveAsync(stored, cancellationToken);
        Notice.Done($"removed {Show(change.Name)}, which was at version {change.Version}{(place == manager.Store ? ", from the shared store" : "")}");
        Changes.SayAbsorbed(change.Absorbed);
        if (place != manager.Store && manager.Store is { } store)
        {
            await SayStoreAsync(store, change.Name, cancellationToken);
        }

        await Changes.SayKeysLeftAsync(manager, change, cancellationToken);
        await Changes.SayEnvironmentAsync(change.Name, cancellationToken);
        return ExitCode.Done;
    }

    private static async ValueTask SayStoreAsync(SealedStore store, string name, CancellationToken cancellationToken)
    {
        try
        {
            if (await store.FindAsync(SecretName.Existing(name), cancellationToken) is { Record.Current: not null })
            {
                Notice.Warn("the shared store has it too: from now on a lookup finds that value");
            }
        }
        catch (SecretsException e)
        {
            // the change is made; what fails is the next lookup
            Notice.Warn($"{e.Problem}: {e.Remedy}");
        }
    }

    // another program may have written one
    private static string Show(string name) => name.Length == 0 ? "the secret with the empty name" : SecretsException.Show(name);
}
