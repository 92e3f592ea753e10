using System.Text.Json;

namespace Mallku.Secrets.Vault;

/// <summary>What the vault says of rotations, for the reader.</summary>
internal sealed partial class VaultReader
{
    private const long MostSeconds = (long)int.MaxValue;

    private void ReadPolicy(ref Utf8JsonReader json, SecretRecord record)
    {
        RequireToken(json, JsonTokenType.StartObject, "policy");
        var policy = new RotationPolicy { Rotator = "" };
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            var nameToken = SliceName(json);
            var name = ReadText(ref json);
            json.Read();
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
                    policy = policy with { Command = ReadStrings(ref json) };
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
                    record.PolicyOthers.Add(new RawMember(nameToken, SkipValue(ref json)));
                    break;
            }
        }

        Require(policy.Rotator.Length > 0, "policy");
        record.Policy = policy;
    }

    private void ReadRotation(ref Utf8JsonReader json, SecretRecord record)
    {
        RequireToken(json, JsonTokenType.StartObject, "rotation");
        string? token = null, rotator = null, id = null, from = null, step = null, failure = null;
        DateTimeOffset? begun = null;
        var number = 0;
        var others = new List<RawMember>();
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            var nameToken = SliceName(json);
            var name = ReadText(ref json);
            json.Read();
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
                case "failure":
                    failure = ReadString(ref json, "rotation");
                    break;
                default:
                    others.Add(new RawMember(nameToken, SkipValue(ref json)));
                    break;
            }
        }

        if (token is null || rotator is null || id is null || from is null || begun is null || number < 1 || !RotationFormat.TryParseStep(step, out var next))
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
            Failure = failure,
            Others = others,
        };
    }

    private TimeSpan ReadSeconds(ref Utf8JsonReader json) => TimeSpan.FromSeconds(ReadNumber(ref json, "policy", MostSeconds));

    private List<string> ReadStrings(ref Utf8JsonReader json)
    {
        RequireToken(json, JsonTokenType.StartArray, "policy");
        var texts = new List<string>();
        while (json.Read() && json.TokenType == JsonTokenType.String)
        {
            texts.Add(ReadString(ref json, "policy"));
        }

        RequireToken(json, JsonTokenType.EndArray, "policy");
        return texts;
    }
}
