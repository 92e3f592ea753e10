using System.Buffers.Binary;
using System.Text.Json;
using System.Text.Json.Serialization;
using CsCheck;
using Mallku.Secrets.Crypto;
using Mallku.Secrets.Models;

namespace Mallku.Secrets.Tests.Models;

internal sealed record Head
{
    [Secured(Obfuscation.Encrypted, IndexStrategy.Blind)]
    public required string Name { get; init; }

    [Secured(Obfuscation.Encrypted, IndexStrategy.Deterministic, Group = "people")]
    public string? Owner { get; init; }

    [Secured(Obfuscation.Encrypted, IndexStrategy.Deterministic, Group = "people")]
    public string? Reviewer { get; init; }

    [Secured(Obfuscation.UuidOnly, IndexStrategy.Identity)]
    public long Generation { get; init; }

    [Secured(Obfuscation.UuidOnly, IndexStrategy.TemporalOffset, Searchable = Search.Range)]
    public DateTimeOffset Created { get; init; }

    [Secured(Obfuscation.Encrypted, IndexStrategy.Bucketed, BucketWidth = 86400, Searchable = Search.Range)]
    public DateTimeOffset? Due { get; init; }

    [Secured(Obfuscation.Encrypted, IndexStrategy.Bucketed, BucketWidth = 10)]
    public int? Size { get; init; }

    [Secured(Obfuscation.None)]
    public string Engine { get; init; } = "";

    [Secured(Obfuscation.None)]
    public double Share { get; init; }

    [Secured(Obfuscation.Encrypted)]
    public Plan? Plan { get; init; }

    [JsonExtensionData]
    public Dictionary<string, JsonElement>? More { get; set; }
}

internal sealed record Plan(string Rotator, int Grace);

/// <summary>The same model, in a newer program.</summary>
internal sealed record NewHead
{
    [Secured(Obfuscation.Encrypted, IndexStrategy.Blind)]
    public required string Name { get; init; }

    [Secured(Obfuscation.UuidOnly, IndexStrategy.Identity)]
    public long Generation { get; init; }

    [Secured(Obfuscation.Encrypted)]
    public Plan? Purpose { get; init; }

    [Secured(Obfuscation.UuidOnly)]
    public string Region { get; init; } = "";

    [Secured(Obfuscation.None)]
    public Plan? Zone { get; init; }

    [Secured(Obfuscation.UuidOnly, IndexStrategy.TemporalOffset)]
    public DateTimeOffset Seen { get; init; }

    [JsonExtensionData]
    public Dictionary<string, JsonElement>? More { get; set; }
}

/// <summary>The same model, in a program that keeps nothing that it does not know.</summary>
internal sealed record BareHead
{
    [Secured(Obfuscation.Encrypted, IndexStrategy.Blind)]
    public required string Name { get; init; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(Head))]
[JsonSerializable(typeof(NewHead))]
[JsonSerializable(typeof(BareHead))]
internal sealed partial class SampleJson : JsonSerializerContext;

internal static class SampleModels
{
    internal static readonly SealContext Place = new("secret", "0a1b2c", new byte[] { 1, 2, 3 });

    internal static readonly Head Ana = new()
    {
        Name = "openai_api_key",
        Owner = "ana ☂",
        Reviewer = "ana ☂",
        Generation = 7,
        Created = new(2026, 11, 24, 10, 0, 0, TimeSpan.Zero),
        Due = new(2026, 12, 24, 0, 0, 0, TimeSpan.Zero),
        Size = -3,
        Engine = "postgres ü",
        Share = 1500,
        Plan = new("generate", 86400),
    };

    private static readonly Gen<string> Texts = Gen.OneOf(
        Gen.String[0, 40].Select(text => new string([.. text.Select(c => char.IsSurrogate(c) ? '"' : c)])),
        Gen.OneOf("", "null", "\u0000", "☂ 🌂", "\\", "</script>"));

    internal static readonly Gen<Head> Heads = Gen.Select(
        Gen.Select(Texts, Texts, Texts), Gen.Select(Gen.Long, Gen.Int, Gen.Double[-1e9, 1e9]), Gen.Select(Gen.DateTimeOffset, Gen.DateTimeOffset), Gen.Int[0, 15],
        (texts, numbers, times, absent) => new Head
        {
            Name = texts.Item1,
            Owner = (absent & 1) == 0 ? texts.Item2 : null,
            Reviewer = (absent & 1) == 0 ? texts.Item1 : texts.Item3,
            Generation = numbers.Item1,
            Created = times.Item1,
            Due = (absent & 2) == 0 ? times.Item2 : null,
            Size = (absent & 4) == 0 ? numbers.Item2 : null,
            Engine = texts.Item3,
            Share = numbers.Item3,
            Plan = (absent & 8) == 0 ? new(texts.Item2, numbers.Item2) : null,
        });

    /// <summary>A deployment whose index key has the bytes 0 to 31 and whose data key the bytes 32 to 63; its nonces are 1, 2, …</summary>
    internal static Deployment Known()
    {
        var count = 0L;
        void Next(Span<byte> nonce) => BinaryPrimitives.WriteInt64BigEndian(nonce[4..], ++count);
        return new("store-1", new IndexKey(Bytes(0)), new(new("k1", new AesGcmSealing(Bytes(32), Next))));
    }

    internal static Deployment Fresh(string store = "store-1", byte index = 0, byte key = 32) => new(store, new IndexKey(Bytes(index)), new(Key("k1", key)));

    internal static SealingKey Key(string id, byte first) => new(id, new AesGcmSealing(Bytes(first)));

    internal static SecuredModel<Head> Open(Deployment deployment) => new("head", SampleJson.Default.Head, deployment);

    private static byte[] Bytes(byte first) => [.. Enumerable.Range(first, 32).Select(i => (byte)i)];
}
