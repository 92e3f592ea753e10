using System.CommandLine;
using Mallku.Cli.Terminal;
using Mallku.Secrets.Storage;
using Mallku.Secrets.Vault;

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

        var vault = invocation.OpenVault();
        var stored = VaultMatch.FindStored(await vault.RequireAsync(cancellationToken), SecretName.Existing(given))
            ?? throw UsageErrors.NotFound(given, vault.Describe());
        Changes.SayLooseMatch(given, stored);
        if (asks && !Prompt.Confirm($"remove {Show(stored)} from the vault?"))
        {
            Notice.Done("nothing was removed");
            return ExitCode.Failed;
        }

        var change = await vault.RemoveAsync(SecretName.Existing(stored), cancellationToken);
        Notice.Done($"removed {Show(change.Name)}, which was at version {change.Version}");
        Changes.SayAbsorbed(change.Absorbed);
        await Changes.SayKeysLeftAsync(vault, change.Name, cancellationToken);
        await Changes.SayEnvironmentAsync(change.Name, cancellationToken);
        return ExitCode.Done;
    }

    // another program may have written one
    private static string Show(string name) => name.Length == 0 ? "the secret with the empty name" : SecretsException.Show(name);
}
