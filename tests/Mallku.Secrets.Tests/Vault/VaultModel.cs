using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;

namespace Mallku.Secrets.Tests.Vault;

/// <summary>A version as the format's page describes it; the value as JSON text.</summary>
internal sealed record ModelVersion(int Number, string State, string Source, DateTimeOffset Created, string? Value)
{
    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"{Number} {State} {Source} {Created:o} {(Value is null ? "-" : VaultModel.Normalize(Value))}");
}

/// <summary>A secret as the format's page describes it.</summary>
internal sealed record ModelSecret(int Next, DateTimeOffset? Removed, ImmutableList<ModelVersion> Versions)
{
    public static readonly ModelSecret Unknown = new(1, Removed: null, []);

    public ModelVersion? Current => Versions.Find(version => version.State == "current");

    public ModelSecret Add(string value, string source, DateTimeOffset created) => new(
        Next + 1,
        Removed: null,
        Versions.ConvertAll(version => version.State switch
        {
            "current" => version with { State = "previous" },
            "previous" => version with { State = "retired" },
            _ => version,
        }).Add(new ModelVersion(Next, "current", source, created, value)));

    public ModelSecret Remove(DateTimeOffset now) =>
        new(Next, now, Versions.ConvertAll(version => version with { State = "retired", Value = null }));

    public ModelSecret Prune(int keep)
    {
        var kept = Versions;
        while (kept.Count > keep && kept.Find(version => version.State == "retired") is { } oldest)
        {
            kept = kept.Remove(oldest);
        }

        return this with { Versions = kept };
    }

    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture, $"next {Next}, removed {(Removed is { } time ? time.ToString("o", CultureInfo.InvariantCulture) : "-")}: {string.Join("; ", Versions)}");
}

/// <summary>What a vault must hold and answer after any changes to it, in plain collections and nothing encrypted.</summary>
internal sealed class VaultModel(int keepVersions)
{
    private SortedDictionary<string, ModelSecret> _recorded = new(StringComparer.Ordinal);
    private DateTimeOffset _written;

    /// <summary>The flat members, as any program may have written them.</summary>
    public SortedDictionary<string, string> Flat { get; private set; } = new(StringComparer.Ordinal);

    /// <summary>1 when the vault was made.</summary>
    public long Generation { get; private set; } = 1;

    /// <summary>What a reader must see now: what is recorded, and what other programs changed since.</summary>
    public SortedDictionary<string, ModelSecret> Secrets
    {
        get
        {
            var secrets = new SortedDictionary<string, ModelSecret>(_recorded, StringComparer.Ordinal);
            foreach (var (name, value) in Flat)
            {
                var secret = secrets.GetValueOrDefault(name, ModelSecret.Unknown);
                secrets[name] = secret.Current is { } current && Normalize(current.Value!) == Normalize(value)
                    ? secret
                    : secret.Add(value, "external", _written);
            }

            foreach (var (name, secret) in _recorded)
            {
                if (secret.Current is not null && !Flat.ContainsKey(name))
                {
                    secrets[name] = secret.Remove(_written);
                }
            }

            return secrets;
        }
    }

    /// <summary>The name under which a secret is there, else the loose match, else null.</summary>
    public (string? Stored, bool IsAmbiguous) Match(string name)
    {
        var existing = Secrets.Where(pair => pair.Value.Current is not null).Select(pair => pair.Key).ToList();
        if (existing.Contains(name))
        {
            return (name, false);
        }

        var loose = existing.FindAll(other => string.Equals(other.Replace('-', '_'), name.Replace('-', '_'), StringComparison.OrdinalIgnoreCase));
        return (loose.Count == 1 ? loose[0] : null, loose.Count > 1);
    }

    public string Set(string name, string text, DateTimeOffset now)
    {
        var (match, isAmbiguous) = Match(name);
        if (isAmbiguous)
        {
            return nameof(AmbiguousSecretNameException);
        }

        var stored = match ?? name;
        var secrets = Secrets;
        var secret = secrets.GetValueOrDefault(stored, ModelSecret.Unknown);
        secrets[stored] = secret.Add(JsonSerializer.Serialize(text), "set", now);
        Write(secrets);
        return $"{stored} {secret.Next} {match is null}";
    }

    public string Remove(string name, DateTimeOffset now)
    {
        var (stored, isAmbiguous) = Match(name);
        if (stored is null)
        {
            return isAmbiguous ? nameof(AmbiguousSecretNameException) : nameof(SecretNotFoundException);
        }

        var secrets = Secrets;
        var number = secrets[stored].Current!.Number;
        secrets[stored] = secrets[stored].Remove(now);
        Write(secrets);
        return $"{stored} {number} {false}";
    }

    public string RotateKey()
    {
        Write(Secrets);
        return "rotated";
    }

    /// <summary>What a program does that knows only flat members; null removes one.</summary>
    public void Edit(string name, string? value, DateTimeOffset now)
    {
        _written = DateTimeOffset.FromUnixTimeSeconds(now.ToUnixTimeSeconds());
        if (value is null)
        {
            Flat.Remove(name);
        }
        else
        {
            Flat[name] = value;
        }
    }

    /// <summary>One text per secret, to be compared with what a file says.</summary>
    public IEnumerable<string> Describe() => _recorded.Select(pair => $"{pair.Key}: {pair.Value}");

    /// <summary>The same from a file's plaintext, read as the format's page says.</summary>
    public static IEnumerable<string> Describe(JsonElement reserved) => reserved.GetProperty("secrets").EnumerateObject()
        .OrderBy(secret => secret.Name, StringComparer.Ordinal)
        .Select(secret => $"{secret.Name}: {Parse(secret.Value)}");

    /// <summary>A string by its text, whichever way it is escaped; anything else as it is.</summary>
    public static string Normalize(string value) => value.StartsWith('"') ? "\"" + Text(value) : value;

    /// <summary>What a lookup hands out for a JSON value.</summary>
    public static string Text(string value) => value.StartsWith('"') ? JsonSerializer.Deserialize<string>(value)! : value;

    private static ModelSecret Parse(JsonElement secret) => new(
        secret.GetProperty("next").GetInt32(),
        secret.TryGetProperty("removed", out var removed) ? ParseTime(removed) : null,
        [.. secret.GetProperty("versions").EnumerateArray().Select(version => new ModelVersion(
            version.GetProperty("number").GetInt32(),
            version.GetProperty("state").GetString()!,
            version.GetProperty("source").GetString()!,
            ParseTime(version.GetProperty("created")),
            version.TryGetProperty("value", out var value) ? value.GetRawText() : null))]);

    private static DateTimeOffset ParseTime(JsonElement time) => DateTimeOffset.ParseExact(
        time.GetString()!, "yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal);

    private void Write(SortedDictionary<string, ModelSecret> secrets)
    {
        _recorded = new(StringComparer.Ordinal);
        foreach (var (name, secret) in secrets)
        {
            _recorded[name] = secret.Prune(keepVersions);
            if (secret.Current is null)
            {
                Flat.Remove(name);
            }
            else if (!Flat.TryGetValue(name, out var flat) || Normalize(flat) != Normalize(secret.Current.Value!))
            {
                Flat[name] = secret.Current.Value!;
            }
        }

        // the first change to a vault is written after a state that is like the one before it
        Generation += Generation == 1 ? 2 : 1;
    }
}
