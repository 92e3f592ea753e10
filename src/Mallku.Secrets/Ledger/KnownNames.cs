namespace Mallku.Secrets.Ledger;

/// <summary>Puts the names that a vault knows in the place of their pseudonyms. Not for several threads.</summary>
/// <param name="pseudonyms">The ledger's.</param>
/// <param name="names">The names, also of secrets that were removed.</param>
internal sealed class KnownNames(NamePseudonyms pseudonyms, IEnumerable<string> names)
{
    private Dictionary<string, string>? _names;

    /// <summary>The entry with its secret's name; with the pseudonym where nobody knows the name.</summary>
    internal LedgerEntry Reveal(LedgerEntry entry)
    {
        if (entry.Secret is not { } pseudonym || !NamePseudonyms.IsPseudonym(pseudonym))
        {
            return entry;
        }

        _names ??= names.ToDictionary(pseudonyms.Of, StringComparer.Ordinal);
        return entry with { Secret = _names.GetValueOrDefault(pseudonym, pseudonym), Pseudonym = pseudonym };
    }
}
