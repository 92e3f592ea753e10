using Mallku.Cli.Terminal;

namespace Mallku.Cli.Commands;

internal sealed class InitVerb : Verb
{
    internal InitVerb() => Understand();

    internal override string? Notes =>
        "Creates ./.secrets, or the folder that --dir or MALLKU_SECRETS_DIR names, with a new key in it. Git does not see the folder.";

    internal override string[] Examples => ["mallku init", "mallku init --dir ~/.secrets"];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var vault = invocation.OpenVault();
        await vault.CreateAsync(cancellationToken);
        Notice.Done($"created the vault {vault.Settings.Directory}");
        Notice.Done("next: mallku set NAME");
        return ExitCode.Done;
    }
}
