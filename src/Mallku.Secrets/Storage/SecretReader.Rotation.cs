using System.Diagnostics.CodeAnalysis;
using System.Text.Json;

namespace Mallku.Secrets.Storage;

/// <summary>What is said of rotations, for the reader.</summary>
internal abstract partial class SecretReader
{
    private const string GenerateSource = "generate";
    private const int LongestName = 100;
    private const long MostSeconds = int.MaxValue;

    // What another program wrote here concerns this secret's rotation alone: its value, and all else, can be used.
    private void ReadOrLeave(ref Utf8JsonReader json, SecretRecord record, ReadOnlyMemory<byte> nameToken, string name)
    {
        var before = json;
        try
        {
            if (name == "policy")
            {
                ReadPolicy(ref json, record);
            }
            else if (name == "rotation")
            {
                ReadRotation(ref json, record);
            }
            else
            {
                ReadLost(ref json, record);
            }
        }
        catch (VaultOpenException)
        {
            json = before;
            Leave(record, new RawMember(nameToken, SkipValue(ref json)), name);
        }
    }

    private static void Leave(SecretRecord record, RawMember member, string name)
    {
        record.Misread = record.Misread == "rotation" ? record.Misread : name;
        record.Unread.Add(member);
    }

    // whether the rotation that is under way is that of the pending version, and at a step that fits it
    private static void JudgeRotation(SecretRecord record, RawMember member)
    {
        var pending = record.Versions.FindAll(version => version.State == SecretVersionState.Pending);
        if (record.Rotation is not { } rotation)
        {
            record.Misread = pending.Count > 0 ? "rotation" : record.Misread;
        }
        else if (!Fits(record, rotation, pending))
        {
            record.Rotation = null;
            Leave(record, member, "rotation");
        }
    }

    private static bool Fits(SecretRecord record, RotationRecord rotation, List<VersionRecord> pending)
    {
        var isMade = rotation.Step != RotationStep.Create;
        return rotation.Number < record.Next
            && record.Get(rotation.Number) is not null == isMade
            && pending.TrueForAll(version => version.Number == rotation.Number && version.Id == rotation.Id)
            && (record.Current is not { } current || current.Id != rotation.From || (current.Number < rotation.Number && pending.Count == (isMade ? 1 : 0)));
    }

    // before its maker was written down with a version, it was known from who wrote the version
    private static void NameMakers(SecretRecord record)
    {
        foreach (var version in record.Versions)
        {
            if (version is { Key: { Token: not null, RevokeBy: null } key, State: not SecretVersionState.Retired, Source: not GenerateSource }
                && (version.Source == VersionSources.Rollback ? record.Policy?.Rotator : version.Source) is { } maker)
            {
                version.Key = ProviderKey.Of(maker, record.Policy, key.Token, key.Id);
            }
        }
    }

    private void ReadPolicy(ref Utf8JsonReader json, SecretRecord record)
    {
        RequireToken(json, JsonTokenType.StartObject, "policy");
        var policy = new RotationPolicy { Rotator = "" };
        var others = new List<RawMember>();
        while (ReadMember(ref json, out var nameToken, out var name))
        {
            switch (name)
            {
                case "rotator":
                    policy = policy with { Rotator = ReadString(ref json, "policy") };
                    break;
                case "grace":
                    policy = policy with { Grace = ReadSeconds(ref json) };
                    break;
                case "every":
                    policy = policy with { Every = ReadSeconds(ref json) };
                    break;
                case "cron":
                    policy = policy with { Cron = ReadString(ref json, "policy") };
                    break;
                case "command":
                    policy = policy with { Command = ReadStrings(ref json, "policy") };
                    break;
                case "length":
                    policy = policy with { Length = (int)ReadNumber(ref json, "policy", int.MaxValue) };
                    break;
                case "alphabet":
                    policy = policy with { Alphabet = ReadString(ref json, "policy") };
                    break;
                case "prefix":
                    policy = policy with { Prefix = ReadString(ref json, "policy") };
                    break;
                case "account":
                    policy = policy with { Account = ReadString(ref json, "policy") };
                    break;
                case "tell":
                    policy = policy with { Tell = ReadString(ref json, "policy") };
                    break;
                default:
                    others.Add(new RawMember(nameToken, SkipValue(ref json)));
                    break;
            }
        }

        Require(IsName(policy.Rotator), "policy");
        record.Policy = policy;
        record.PolicyOthers.AddRange(others);
    }

    private void ReadRotation(ref Utf8JsonReader json, SecretRecord record)
    {
        RequireToken(json, JsonTokenType.StartObject, "rotation");
        string? token = null, rotator = null, id = null, from = null, step = null, failure = null;
        DateTimeOffset? begun = null;
        TimeSpan? grace = null;
        var number = 0;
        var others = new List<RawMember>();
        while (ReadMember(ref json, out var nameToken, out var name))
        {
            switch (name)
            {
                case "token":
                    token = ReadString(ref json, "rotation");
                    break;
                case "rotator":
                    rotator = ReadString(ref json, "rotation");
                    break;
                case "number":
                    number = (int)ReadNumber(ref json, "rotation", int.MaxValue / 2);
                    break;
                case "id":
                    id = ReadString(ref json, "rotation");
                    break;
                case "from":
                    from = ReadString(ref json, "rotation");
                    break;
                case "begun":
                    begun = ReadTime(ref json, "rotation");
                    break;
                case "step":
                    step = ReadString(ref json, "rotation");
                    break;
                case "grace":
                    grace = ReadSeconds(ref json);
                    break;
                case "failure":
                    failure = ReadString(ref json, "rotation");
                    break;
                default:
                    others.Add(new RawMember(nameToken, SkipValue(ref json)));
                    break;
            }
        }

        if (!IsId(token) || !IsId(id) || !IsName(rotator) || from is null || begun is null || number < 1 || !RotationFormat.TryParseStep(step, out var next))
        {
            throw Misunderstood("rotation");
        }

        record.Rotation = new RotationRecord
        {
            Token = token,
            Rotator = rotator,
            Number = number,
            Id = id,
            From = from,
            Begun = begun.Value,
            Step = next,
            Grace = grace,
            Failure = failure,
            Others = others,
        };
    }

    private void ReadLost(ref Utf8JsonReader json, SecretRecord record)
    {
        RequireToken(json, JsonTokenType.StartArray, "lost");
        var lost = new List<LostKey>();
        while (json.Read() && json.TokenType == JsonTokenType.StartObject)
        {
            lost.Add(ReadLostKey(ref json));
        }

        RequireToken(json, JsonTokenType.EndArray, "lost");
        record.Lost.AddRange(lost);
    }

    private LostKey ReadLostKey(ref Utf8JsonReader json)
    {
        string? token = null, revokeBy = null, id = null, account = null;
        DateTimeOffset? asked = null, looked = null;
        List<string> command = [];
        var number = 0;
        var others = new List<RawMember>();
        while (ReadMember(ref json, out var nameToken, out var name))
        {
            switch (name)
            {
                case "number":
                    number = (int)ReadNumber(ref json, "lost", int.MaxValue / 2);
                    break;
                case "id":
                    id = ReadString(ref json, "lost");
                    break;
                case "asked":
                    asked = ReadTime(ref json, "lost");
                    break;
                case "looked":
                    looked = ReadTime(ref json, "lost");
                    break;
                case "token":
                    token = ReadString(ref json, "lost");
                    break;
                case "revokeBy":
                    revokeBy = ReadString(ref json, "lost");
                    break;
                case "account":
                    account = ReadString(ref json, "lost");
                    break;
                case "command":
                    command = ReadStrings(ref json, "lost");
                    break;
                default:
                    others.Add(new RawMember(nameToken, SkipValue(ref json)));
                    break;
            }
        }

        if (!IsId(token) || !IsId(id) || !IsName(revokeBy) || asked is null || number < 1)
        {
            throw Misunderstood("lost");
        }

        return new LostKey
        {
            Number = number,
            Id = id,
            Key = new ProviderKey { Token = token, RevokeBy = revokeBy, Account = account, Command = command },
            Asked = asked.Value,
            Looked = looked,
            Others = others,
        };
    }

    private TimeSpan ReadSeconds(ref Utf8JsonReader json) => TimeSpan.FromSeconds(ReadNumber(ref json, "policy", MostSeconds));

    private List<string> ReadStrings(ref Utf8JsonReader json, string member)
    {
        RequireToken(json, JsonTokenType.StartArray, member);
        var texts = new List<string>();
        while (json.Read() && json.TokenType == JsonTokenType.String)
        {
            texts.Add(ReadString(ref json, member));
        }

        RequireToken(json, JsonTokenType.EndArray, member);
        return texts;
    }

    // it is shown, and stands in the ledger
    private static bool IsName([NotNullWhen(true)] string? rotator) =>
        rotator is { Length: > 0 and <= LongestName } && rotator.All(static c => c is > ' ' and <= '~');

    private static bool IsId([NotNullWhen(true)] string? text) => text is { Length: 32 } && text.All(char.IsAsciiHexDigitLower);
}
