using System.Globalization;
using System.Text.Json;

namespace Mallku.Secrets.Storage;

/// <summary>What a vault or a shared store says of one secret and its versions, for the reader.</summary>
/// <param name="plaintext">The JSON, which the records go on to use.</param>
/// <param name="valuesLieApart">Whether it only says which versions have values.</param>
internal abstract partial class SecretReader(ReadOnlyMemory<byte> plaintext, bool valuesLieApart)
{
    /// <summary>What to throw where a member is not as this program writes it.</summary>
    protected abstract VaultOpenException Misunderstood(string member);

    /// <summary>Reads the object that the reader stands at.</summary>
    /// <exception cref="VaultOpenException">It is not what this program writes.</exception>
    protected void ReadSecret(ref Utf8JsonReader json, SecretRecord record)
    {
        bool hasNext = false, hasVersions = false;
        var rotation = default(RawMember);
        while (ReadMember(ref json, out var nameToken, out var name))
        {
            switch (name)
            {
                case "next":
                    hasNext = true;
                    record.Next = (int)ReadNumber(ref json, "next", int.MaxValue / 2);
                    break;
                case "removed":
                    record.Removed = ReadTime(ref json, "removed");
                    break;
                case "policy" or "rotation" or "lost":
                    var start = json.TokenStartIndex;
                    ReadOrLeave(ref json, record, nameToken, name);
                    rotation = name == "rotation" ? new RawMember(nameToken, Slice(start, json.BytesConsumed)) : rotation;
                    break;
                case "versions":
                    hasVersions = true;
                    RequireToken(json, JsonTokenType.StartArray, "versions");
                    while (json.Read() && json.TokenType == JsonTokenType.StartObject)
                    {
                        record.Versions.Add(ReadVersion(ref json));
                    }

                    RequireToken(json, JsonTokenType.EndArray, "versions");
                    break;
                default:
                    record.Others.Add(new RawMember(nameToken, SkipValue(ref json)));
                    break;
            }
        }

        Require(hasNext && record.Next > 0, "next");
        Require(hasVersions, "versions");
        var last = 0;
        var current = 0;
        foreach (var version in record.Versions)
        {
            current += version.State == SecretVersionState.Current ? 1 : 0;
            Require(version.Number > last && version.Number < record.Next, "versions");
            Require(version.State == SecretVersionState.Retired || version.HasValue, "versions");
            last = version.Number;
        }

        Require(current <= 1, "versions");
        Require(current == 0 || record.Removed is null, "removed");
        JudgeRotation(record, rotation);
        NameMakers(record);
    }

    private VersionRecord ReadVersion(ref Utf8JsonReader json)
    {
        long number = 0;
        string? id = null, state = null, source = null;
        string? token = null, keyId = null, revokeBy = null, account = null;
        List<string> command = [];
        ValueDigest? digest = null;
        DateTimeOffset? created = null, graceEnds = null, revokeAfter = null, revoking = null, revoked = null;
        ReadOnlyMemory<byte>? value = null;
        var isSealed = false;
        var others = new List<RawMember>();
        while (ReadMember(ref json, out var nameToken, out var name))
        {
            switch (name)
            {
                case "number":
                    number = ReadNumber(ref json, "number", int.MaxValue / 2);
                    break;
                case "id":
                    id = ReadString(ref json, "id");
                    break;
                case "state":
                    state = ReadString(ref json, "state");
                    break;
                case "created":
                    created = ReadTime(ref json, "created");
                    break;
                case "source":
                    source = ReadString(ref json, "source");
                    break;
                case "value" when !valuesLieApart:
                    value = SkipValue(ref json);
                    break;
                case "sealed" when valuesLieApart:
                    Require(json.TokenType == JsonTokenType.True, "versions");
                    isSealed = true;
                    break;
                case "graceEnds":
                    graceEnds = ReadTime(ref json, "graceEnds");
                    break;
                case "token":
                    token = ReadString(ref json, "token");
                    break;
                case "keyId":
                    keyId = ReadString(ref json, "keyId");
                    break;
                case "revokeBy":
                    revokeBy = ReadString(ref json, "revokeBy");
                    break;
                case "account":
                    account = ReadString(ref json, "account");
                    break;
                case "command":
                    command = ReadStrings(ref json, "command");
                    break;
                case "digest":
                    Require(ValueDigest.TryParse(ReadString(ref json, "digest"), out digest), "digest");
                    break;
                case "revokeAfter":
                    revokeAfter = ReadTime(ref json, "revokeAfter");
                    break;
                case "revoking":
                    revoking = ReadTime(ref json, "revoking");
                    break;
                case "revoked":
                    revoked = ReadTime(ref json, "revoked");
                    break;
                default:
                    others.Add(new RawMember(nameToken, SkipValue(ref json)));
                    break;
            }
        }

        if (number < 1 || id is null || source is null || created is null || !SecretFormat.TryParseState(state, out var parsed))
        {
            throw Misunderstood("versions");
        }

        return new VersionRecord
        {
            Number = (int)number,
            Id = id,
            State = parsed,
            Created = created.Value,
            Source = source,
            Value = value,
            HasValue = isSealed || value is not null,
            GraceEnds = graceEnds,
            Key = (token ?? keyId ?? revokeBy) is null
                ? null
                : new ProviderKey { Token = token, Id = keyId, RevokeBy = revokeBy, Account = account, Command = command },
            Digest = digest,
            RevokeAfter = revokeAfter,
            Revoking = revoking,
            Revoked = revoked,
            Others = others,
        };
    }

    protected ReadOnlyMemory<byte> SkipValue(ref Utf8JsonReader json)
    {
        var start = json.TokenStartIndex;
        json.Skip();
        return Slice(start, json.BytesConsumed);
    }

    // the reader has consumed the colon with the name, and white space may stand before it
    /// <summary>Goes on to the value of an object's next member; false at its end.</summary>
    /// <param name="json">The object, at its beginning or at the end of a member's value.</param>
    /// <param name="nameToken">The member's name as it is written.</param>
    /// <param name="name">The same as a text; null where it is none.</param>
    protected bool ReadMember(ref Utf8JsonReader json, out ReadOnlyMemory<byte> nameToken, out string? name)
    {
        if (!json.Read() || json.TokenType != JsonTokenType.PropertyName)
        {
            (nameToken, name) = (default, null);
            return false;
        }

        nameToken = SliceName(json);
        name = ReadText(ref json);
        json.Read();
        return true;
    }

    private ReadOnlyMemory<byte> SliceName(in Utf8JsonReader json)
    {
        var slice = Slice(json.TokenStartIndex, json.BytesConsumed);
        return slice[..(slice.Span.LastIndexOf((byte)'"') + 1)];
    }

    protected ReadOnlyMemory<byte> Slice(long start, long end) => plaintext[(int)start..(int)end];

    protected static string? ReadText(ref Utf8JsonReader json)
    {
        try
        {
            return json.GetString();
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }

    protected string ReadString(ref Utf8JsonReader json, string member)
    {
        RequireToken(json, JsonTokenType.String, member);
        return ReadText(ref json) ?? throw Misunderstood(member);
    }

    protected long ReadNumber(ref Utf8JsonReader json, string member, long most)
    {
        RequireToken(json, JsonTokenType.Number, member);
        return json.TryGetInt64(out var number) && number >= 0 && number <= most ? number : throw Misunderstood(member);
    }

    protected DateTimeOffset ReadTime(ref Utf8JsonReader json, string member) =>
        DateTimeOffset.TryParse(
            ReadString(ref json, member), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var time)
            ? time
            : throw Misunderstood(member);

    protected void RequireToken(in Utf8JsonReader json, JsonTokenType expected, string member)
    {
        if (json.TokenType != expected)
        {
            throw Misunderstood(member);
        }
    }

    protected void Require(bool isAsWritten, string member)
    {
        if (!isAsWritten)
        {
            throw Misunderstood(member);
        }
    }
}
