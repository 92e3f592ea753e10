using Mallku.Cli.Terminal;

namespace Mallku.Cli.Commands;

/// <summary>Says what a change did, with what its author may not expect of it.</summary>
internal static class Changes
{
    internal static void Say(string asked, SecretChange change)
    {
        SayLooseMatch(asked, change);
        Notice.Done($"set {change.Name}, version {change.Version}{(change.Created ? ", new" : "")}");
        SayAbsorbed(change.Absorbed);
    }

    internal static void SayLooseMatch(string asked, SecretChange change)
    {
        if (!string.Equals(asked, change.Name, StringComparison.Ordinal))
        {
            Notice.Warn($"'{asked}' is stored as '{change.Name}'");
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
