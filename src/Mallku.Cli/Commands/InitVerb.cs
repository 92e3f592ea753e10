using System.CommandLine;
using Mallku.Cli.Terminal;
using Mallku.Secrets.Vault;

namespace Mallku.Cli.Commands;

internal sealed class InitVerb : Verb
{
    private readonly Option<bool> _pseudonyms = new("--pseudonyms") { Description = "let the ledger have pseudonyms in the place of names" };

    internal InitVerb() => Understand(_pseudonyms);

    internal override string? Notes =>
        "Creates ./.secrets, or the folder that --dir or MALLKU_SECRETS_DIR names, with a new key in it. Git does not see the folder.";

    internal override bool UsesStore => false;

    internal override string[] Examples => ["mallku init", "mallku init --dir ~/.secrets", "mallku init --pseudonyms"];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        invocation = invocation with { Options = invocation.Options with { UsePseudonyms = invocation.Parsed.GetValue(_pseudonyms) } };
        var found = invocation.OpenVault();
        var vault = found;
        if (!found.Settings.IsDirectoryNamed)
        {
            var here = Path.Combine(Environment.CurrentDirectory, VaultSettings.FolderName);
            vault = found.Settings.Directory == here ? found : (invocation with { Options = invocation.Options with { Directory = here } }).OpenVault();
        }

        await VaultCreation.CreateAsync(vault, cancellationToken);
        Notice.Done($"created the vault {vault.Settings.Directory}");
        if (vault != found)
        {
            Notice.Warn($"from this folder on down it is used instead of {found.Settings.Directory}");
        }

        Notice.Done("next: mallku set NAME");
        return ExitCode.Done;
    }
}
