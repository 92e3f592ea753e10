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
    internal static List<string> FindLoosely(OpenedVault opened, SecretName name)
    {
        var matches = new List<string>();
        foreach (var record in opened.Document.Existing)
        {
            if (name.MatchesLoosely(SecretName.Existing(record.Name)))
            {
                matches.Add(record.Name);
            }
        }

        foreach (var file in opened.SecretFiles)
        {
            if (file.Error is not null && name.MatchesLoosely(SecretName.Existing(file.Name)) && !matches.Contains(file.Name))
            {
                matches.Add(file.Name);
            }
        }

        return matches;
    }
}
