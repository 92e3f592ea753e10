namespace Mallku.Secrets.Storage;

/// <summary>What the vault says of rotations, for the writer (docs/formats/vault-v1.md).</summary>
internal static class RotationFormat
{
    private static readonly string[] Steps = ["create", "set", "test", "finish"];

    internal static string ToText(RotationStep step) => Steps[(int)step];

    internal static bool TryParseStep(string? text, out RotationStep step)
    {
        var index = Array.IndexOf(Steps, text);
        step = (RotationStep)index;
        return index >= 0;
    }

    internal static void Write(PlaintextWriter json, RotationRecord rotation)
    {
        json.Name("rotation"u8);
        json.Raw("{"u8);
        SecretFormat.WriteText(json, "token"u8, rotation.Token);
        SecretFormat.WriteText(json, "rotator"u8, rotation.Rotator);
        json.Name("number"u8);
        json.Number(rotation.Number);
        SecretFormat.WriteText(json, "id"u8, rotation.Id);
        SecretFormat.WriteText(json, "from"u8, rotation.From);
        SecretFormat.WriteTime(json, "begun"u8, rotation.Begun);
        SecretFormat.WriteText(json, "step"u8, ToText(rotation.Step));
        if (rotation.Grace is { } grace)
        {
            json.Name("grace"u8);
            json.Number((long)grace.TotalSeconds);
        }

        SecretFormat.WriteText(json, "failure"u8, rotation.Failure);
        SecretFormat.Write(json, rotation.Others);
        json.Raw("}"u8);
    }

    internal static void Write(PlaintextWriter json, ProviderKey key)
    {
        SecretFormat.WriteText(json, "token"u8, key.Token);
        SecretFormat.WriteText(json, "keyId"u8, key.Id);
        SecretFormat.WriteText(json, "revokeBy"u8, key.RevokeBy);
        SecretFormat.WriteText(json, "account"u8, key.Account);
        WriteCommand(json, key.Command);
    }

    internal static void Write(PlaintextWriter json, RotationPolicy policy, List<RawMember> others)
    {
        json.Name("policy"u8);
        json.Raw("{"u8);
        SecretFormat.WriteText(json, "rotator"u8, policy.Rotator);
        json.Name("grace"u8);
        json.Number((long)policy.Grace.TotalSeconds);
        if (policy.Every is { } every)
        {
            json.Name("every"u8);
            json.Number((long)every.TotalSeconds);
        }

        SecretFormat.WriteText(json, "cron"u8, policy.Cron);
        WriteCommand(json, policy.Command);
        if (policy.Length != RotationPolicy.UsualLength)
        {
            json.Name("length"u8);
            json.Number(policy.Length);
        }

        SecretFormat.WriteText(json, "alphabet"u8, policy.Alphabet == RotationPolicy.UsualAlphabet ? null : policy.Alphabet);
        SecretFormat.WriteText(json, "prefix"u8, policy.Prefix.Length == 0 ? null : policy.Prefix);
        SecretFormat.WriteText(json, "account"u8, policy.Account);
        SecretFormat.WriteText(json, "tell"u8, policy.Tell);
        SecretFormat.Write(json, others);
        json.Raw("}"u8);
    }

    internal static void Write(PlaintextWriter json, List<LostKey> lost)
    {
        json.Name("lost"u8);
        json.Raw("["u8);
        foreach (var key in lost)
        {
            json.Separate();
            json.Raw("{"u8);
            json.Name("number"u8);
            json.Number(key.Number);
            SecretFormat.WriteText(json, "id"u8, key.Id);
            SecretFormat.WriteTime(json, "asked"u8, key.Asked);
            SecretFormat.WriteTime(json, "looked"u8, key.Looked);
            Write(json, key.Key);
            SecretFormat.Write(json, key.Others);
            json.Raw("}"u8);
        }

        json.Raw("]"u8);
    }

    private static void WriteCommand(PlaintextWriter json, IReadOnlyList<string> command)
    {
        if (command.Count > 0)
        {
            json.Name("command"u8);
            json.Raw("["u8);
            foreach (var part in command)
            {
                json.Separate();
                json.Text(part);
            }

            json.Raw("]"u8);
        }
    }
}
