namespace Mallku.Secrets.Vault;

/// <summary>
/// The plaintext of format 1 (docs/formats/vault-v1.md): a flat JSON object as the Python system reads and writes it,
/// and in one reserved member everything else.
/// </summary>
internal static class VaultFormat
{
    internal const int Version = 1;
    internal const int MaxDepth = 1000;
    internal const int FewestKept = 2, UsuallyKept = 10, MostKept = 1000;
    internal const string ReservedMember = "$mallku";
    internal const string Pseudonyms = "pseudonyms";

    private static readonly string[] States = ["pending", "current", "previous", "retired"];

    internal static string ToText(SecretVersionState state) => States[(int)state];

    internal static bool TryParseState(string? text, out SecretVersionState state)
    {
        var index = Array.IndexOf(States, text);
        state = (SecretVersionState)index;
        return index >= 0;
    }

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

        Write(json, document.Unreadable);
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
            Write(json, record);
        }

        json.Raw("}"u8);
        Write(json, document.Others);
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
        }

        if (usesPseudonyms)
        {
            json.Name("names"u8);
            json.Text(Pseudonyms);
        }

        Write(json, ledger.Others);
        json.Raw("}"u8);
    }

    private static void Write(PlaintextWriter json, SecretRecord record)
    {
        json.Raw("{"u8);
        json.Name("next"u8);
        json.Number(record.Next);
        if (record.Removed is { } removed)
        {
            json.Name("removed"u8);
            json.Text(VaultDocument.Format(removed));
        }

        if (record.Policy is { } policy)
        {
            RotationFormat.Write(json, policy, record.PolicyOthers);
        }

        if (record.Rotation is { } rotation)
        {
            RotationFormat.Write(json, rotation);
        }

        json.Name("versions"u8);
        json.Raw("["u8);
        foreach (var version in record.Versions)
        {
            json.Separate();
            Write(json, version);
        }

        json.Raw("]"u8);
        Write(json, record.Unread);
        Write(json, record.Others);
        json.Raw("}"u8);
    }

    private static void Write(PlaintextWriter json, VersionRecord version)
    {
        json.Raw("{"u8);
        json.Name("number"u8);
        json.Number(version.Number);
        json.Name("id"u8);
        json.Text(version.Id);
        json.Name("state"u8);
        json.Text(ToText(version.State));
        json.Name("created"u8);
        json.Text(VaultDocument.Format(version.Created));
        json.Name("source"u8);
        json.Text(version.Source);
        if (version.Value is { } value)
        {
            json.Name("value"u8);
            json.Raw(value.Span);
        }

        WriteTime(json, "graceEnds"u8, version.GraceEnds);
        if (version.Key is { } key)
        {
            RotationFormat.Write(json, key);
        }

        WriteTime(json, "revokeAfter"u8, version.RevokeAfter);
        WriteTime(json, "revoked"u8, version.Revoked);
        Write(json, version.Others);
        json.Raw("}"u8);
    }

    internal static void WriteText(PlaintextWriter json, ReadOnlySpan<byte> name, string? text)
    {
        if (text is not null)
        {
            json.Name(name);
            json.Text(text);
        }
    }

    internal static void WriteTime(PlaintextWriter json, ReadOnlySpan<byte> name, DateTimeOffset? time) =>
        WriteText(json, name, time is { } known ? VaultDocument.Format(known) : null);

    internal static void Write(PlaintextWriter json, List<RawMember> members)
    {
        foreach (var member in members)
        {
            json.Separate();
            json.Raw(member.NameToken.Span);
            json.Raw(":"u8);
            json.Raw(member.Value.Span);
        }
    }
}
