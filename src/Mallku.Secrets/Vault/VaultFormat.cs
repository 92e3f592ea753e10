using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Vault;

/// <summary>
/// The plaintext of format 1 (docs/formats/vault-v1.md): a flat JSON object as the Python system reads and writes it,
/// and in one reserved member everything else.
/// </summary>
internal static class VaultFormat
{
    internal const int Version = 1;
    internal const string ReservedMember = "$mallku";
    internal const string Pseudonyms = "pseudonyms";

    /// <summary>The plaintext of a document; the caller disposes of it.</summary>
    internal static PlaintextWriter Write(VaultDocument document, int capacity)
    {
        var json = new PlaintextWriter(capacity);
        json.Raw("{"u8);
        foreach (var record in document.Existing)
        {
            json.Name(record.Name);
            json.Raw(record.Current!.Value!.Value.Span);
        }

        SecretFormat.Write(json, document.Unreadable);
        json.Name(ReservedMember);
        json.Raw("{"u8);
        json.Name("format"u8);
        json.Number(Version);
        json.Name("generation"u8);
        json.Number(document.Generation);
        if (document.First > 1)
        {
            json.Name("first"u8);
            json.Number(document.First);
        }

        if (document.Keep is { } keep)
        {
            json.Name("keep"u8);
            json.Number(keep);
        }

        if (document.Ledger is { } ledger)
        {
            json.Name("ledger"u8);
            Write(json, ledger, document.UsesPseudonyms);
        }

        json.Name("secrets"u8);
        json.Raw("{"u8);
        foreach (var record in document.Secrets.Values)
        {
            json.Name(record.Name);
            SecretFormat.Write(json, record, withValues: true);
        }

        json.Raw("}"u8);
        SecretFormat.Write(json, document.Others);
        json.Raw("}}"u8);
        GC.KeepAlive(document);
        return json;
    }

    private static void Write(PlaintextWriter json, LedgerLink ledger, bool usesPseudonyms)
    {
        json.Raw("{"u8);
        json.Name("origin"u8);
        json.Text(ledger.Origin);
        json.Name("seed"u8);
        json.Raw("\""u8);
        json.Raw(ledger.Seed.Span);
        json.Raw("\""u8);
        json.Name("checkpoint"u8);
        json.Text(ledger.Checkpoint);
        if (ledger.IsSuspended)
        {
            json.Name("suspended"u8);
            json.Raw("true"u8);
            if (ledger.SuspendedAt is { } generation)
            {
                json.Name("suspendedAt"u8);
                json.Number(generation);
            }
        }

        if (usesPseudonyms)
        {
            json.Name("names"u8);
            json.Text(Pseudonyms);
        }

        SecretFormat.Write(json, ledger.Others);
        json.Raw("}"u8);
    }
}
