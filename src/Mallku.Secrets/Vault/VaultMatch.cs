namespace Mallku.Secrets.Vault;

/// <summary>How a name is matched with the names that a vault holds.</summary>
internal static class VaultMatch
{
    /// <summary>The name under which the vault has it: exactly, else loosely; null for none.</summary>
    /// <exception cref="AmbiguousSecretNameException">Several match loosely.</exception>
    internal static string? FindStored(OpenedVault opened, SecretName name)
    {
        if (opened.Document.Find(name.ToString()) is not null || opened.FindFileError(name.ToString()) is not null)
        {
            return name.ToString();
        }

        var loose = FindLoosely(opened, name);
        return loose.Count switch
        {
            0 => null,
            1 => loose[0],
            _ => throw new AmbiguousSecretNameException(name.ToString(), loose),
        };
    }

    /// <summary>The names that match when case is ignored and <c>-</c> is read as <c>_</c>.</summary>
    internal static IReadOnlyList<string> FindLoosely(OpenedVault opened, SecretName name) => opened.LooseNames.GetValueOrDefault(name.Fold()) ?? [];

    /// <summary>The names of a vault by what loose matching compares.</summary>
    internal static Dictionary<string, List<string>> Index(VaultDocument document, IEnumerable<SecretFile> files)
    {
        var index = new Dictionary<string, List<string>>(StringComparer.Ordinal);
        foreach (var record in document.Existing)
        {
            Add(index, record.Name);
        }

        foreach (var file in files)
        {
            if (file.Error is not null)
            {
                Add(index, file.Name);
            }
        }

        return index;
    }

    internal static void Add(Dictionary<string, List<string>> index, string name)
    {
        var folded = SecretName.Existing(name).Fold();
        if (!index.TryGetValue(folded, out var names))
        {
            index.Add(folded, names = []);
        }

        if (!names.Contains(name))
        {
            names.Add(name);
        }
    }
}
