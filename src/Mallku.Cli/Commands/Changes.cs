using Mallku.Cli.Terminal;
using Mallku.Secrets.Sources;
using Mallku.Secrets.Storage;

namespace Mallku.Cli.Commands;

/// <summary>Says what a change did, with what its author may not expect of it.</summary>
internal static class Changes
{
    internal static void Say(string asked, SecretChange change)
    {
        SayLooseMatch(asked, change.Name);
        Notice.Done($"set {change.Name}, version {change.Version}{(change.Created ? ", new" : "")}{(change.Store is Places.Store ? ", in the shared store" : "")}");
        SayAbsorbed(change.Absorbed);
    }

    internal static void SayLooseMatch(string asked, string stored)
    {
        if (!string.Equals(asked, stored, StringComparison.Ordinal))
        {
            Notice.Warn($"'{SecretsException.Show(asked)}' is stored as '{SecretsException.Show(stored)}'");
        }
    }

    /// <summary>Says that a lookup takes the environment's value, whatever is stored now.</summary>
    internal static async ValueTask SayEnvironmentAsync(string name, CancellationToken cancellationToken)
    {
        try
        {
            var environment = new EnvironmentSource();
            var existing = SecretName.Existing(name);
            if (await environment.FindAsync(existing, cancellationToken) is not null)
            {
                Notice.Warn($"{environment.DescribeLookup(existing)} in the environment wins over what is stored: a lookup finds that value");
            }
        }
        catch (SecretsException e)
        {
            // the change is made; what fails is the next lookup
            Notice.Warn($"{e.Problem}: {e.Remedy}");
        }
    }

    /// <summary>Says what becomes of keys that were taken out of use without a grace.</summary>
    internal static async ValueTask SayKeysLeftAsync(SecretsManager manager, SecretChange change, CancellationToken cancellationToken)
    {
        try
        {
            var name = change.Name;
            ISecretStore place = change.Store is Places.Store ? manager.Store! : manager.Vault;
            var found = await place.FindAsync(SecretName.Existing(name), cancellationToken);
            foreach (var version in found?.Record.Versions.Where(static version => version is { HasKeyToRevoke: true, RevokeAfter: not null }) ?? [])
            {
                Notice.Warn($"the key of version {version.Number} is live at its provider; from {Moment.Iso(version.RevokeAfter!.Value)} on, mallku rotate --due revokes it, unless you say: mallku rotate {name} --abandon");
            }
        }
        catch (SecretsException e)
        {
            // the change is made
            Notice.Warn($"{e.Problem}: {e.Remedy}");
        }
    }

    internal static void SayAbsorbed(IReadOnlyList<string> names)
    {
        foreach (var name in names)
        {
            Notice.Warn($"the file {name} was taken into the vault and removed");
        }
    }
}
