using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Vault;

/// <summary>How the ledger has the secrets' names: in clear or as pseudonyms. The vault says which, for whoever shares it.</summary>
internal static class VaultNames
{
    /// <summary>
    /// Says how the ledger has them from now on; its entry says that it was switched, and older entries stay. Written to the
    /// former file too: a recovery from that must not bring names in clear back.
    /// </summary>
    /// <returns>Whether anything was changed.</returns>
    /// <exception cref="SecretsException">There is no ledger and none is to be begun, or the vault can't be opened or written.</exception>
    internal static ValueTask<bool> SwitchAsync(FileVault vault, bool toPseudonyms, CancellationToken cancellationToken) => vault.WriteAsync(
        async opened =>
        {
            var document = opened.Document;
            if (document.Ledger is null && !vault.Settings.UsesLedger)
            {
                throw new SecretsException($"{vault.Describe()} has no ledger yet, and it is switched off", "begin one: the same without --no-ledger and MALLKU_NO_LEDGER");
            }

            if (document.Ledger is not null && document.UsesPseudonyms == toPseudonyms)
            {
                return false;
            }

            document.UsesPseudonyms = toPseudonyms;
            var note = $"the secrets' names are {(toPseudonyms ? "pseudonyms" : "in clear")} from here on";
            IReadOnlyList<LedgerEvent> events = [new(LedgerKind.NamesSwitched, Purpose: vault.Settings.Purpose, Note: note), .. VaultEvents.OfOutside(document)];
            using var plaintext = await vault.Writer.CommitAsync(document, document.Generation, events, writes: 2).ConfigureAwait(false);
            vault.Writer.ReplaceBoth(plaintext, document, opened.Key!);
            opened.RemoveAbsorbed();
            return true;
        },
        cancellationToken);
}
