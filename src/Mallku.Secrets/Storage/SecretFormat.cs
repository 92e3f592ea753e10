using System.Globalization;

namespace Mallku.Secrets.Storage;

/// <summary>What a vault or a shared store says of one secret and its versions, for the writer (docs/formats/vault-v1.md).</summary>
internal static class SecretFormat
{
    internal const int MaxDepth = 1000;
    internal const int FewestKept = 2, UsuallyKept = 10, MostKept = 1000;

    private static readonly string[] States = ["pending", "current", "previous", "retired"];

    internal static string ToText(SecretVersionState state) => States[(int)state];

    internal static bool TryParseState(string? text, out SecretVersionState state)
    {
        var index = Array.IndexOf(States, text);
        state = (SecretVersionState)index;
        return index >= 0;
    }

    internal static string Format(DateTimeOffset time) =>
        time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

    /// <summary>What is known of one secret, without its values, which are kept apart; the caller disposes of it.</summary>
    internal static PlaintextWriter WriteHead(SecretRecord record)
    {
        var json = new PlaintextWriter(capacity: 1024);
        Write(json, record, withValues: false);
        return json;
    }

    /// <summary>What is known of one secret.</summary>
    internal static void Write(PlaintextWriter json, SecretRecord record, bool withValues)
    {
        json.Raw("{"u8);
        json.Name("next"u8);
        json.Number(record.Next);
        if (record.Removed is { } removed)
        {
            json.Name("removed"u8);
            json.Text(SecretFormat.Format(removed));
        }

        if (record.Policy is { } policy)
        {
            RotationFormat.Write(json, policy, record.PolicyOthers);
        }

        if (record.Rotation is { } rotation)
        {
            RotationFormat.Write(json, rotation);
        }

        if (record.Lost.Count > 0)
        {
            RotationFormat.Write(json, record.Lost);
        }

        json.Name("versions"u8);
        json.Raw("["u8);
        foreach (var version in record.Versions)
        {
            json.Separate();
            Write(json, version, withValues);
        }

        json.Raw("]"u8);
        Write(json, record.Unread);
        Write(json, record.Others);
        json.Raw("}"u8);
    }

    private static void Write(PlaintextWriter json, VersionRecord version, bool withValues)
    {
        json.Raw("{"u8);
        json.Name("number"u8);
        json.Number(version.Number);
        json.Name("id"u8);
        json.Text(version.Id);
        json.Name("state"u8);
        json.Text(ToText(version.State));
        json.Name("created"u8);
        json.Text(SecretFormat.Format(version.Created));
        json.Name("source"u8);
        json.Text(version.Source);
        if (withValues && version.Value is { } value)
        {
            json.Name("value"u8);
            json.Raw(value.Span);
        }
        else if (!withValues && version.HasValue)
        {
            json.Name("sealed"u8);
            json.Raw("true"u8);
        }

        WriteTime(json, "graceEnds"u8, version.GraceEnds);
        if (version.Key is { } key)
        {
            RotationFormat.Write(json, key);
        }

        if (version is { HasKeyToRevoke: true, HasValue: false })
        {
            WriteText(json, "digest"u8, version.Digest?.Text);
        }

        WriteTime(json, "revokeAfter"u8, version.RevokeAfter);
        WriteTime(json, "revoking"u8, version.HasKeyToRevoke ? version.Revoking : null);
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
        WriteText(json, name, time is { } known ? SecretFormat.Format(known) : null);

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
