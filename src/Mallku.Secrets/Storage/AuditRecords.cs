using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Serialization;
using Mallku.Secrets.Crypto;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Models;

namespace Mallku.Secrets.Storage;

/// <summary>What a shared store knows of an instance that tells it its ledger.</summary>
internal sealed record InstanceHead
{
    /// <summary>The public key of its ledger.</summary>
    [Secured(Obfuscation.Encrypted)]
    public required string Key { get; init; }

    [Secured(Obfuscation.Encrypted)]
    public required string Host { get; init; }

    [Secured(Obfuscation.Encrypted)]
    public required string User { get; init; }

    /// <summary>When it told the store something for the first time, by its clock.</summary>
    [Secured(Obfuscation.Encrypted)]
    public required DateTimeOffset Began { get; init; }

    /// <summary>The same for the last time.</summary>
    [Secured(Obfuscation.Encrypted)]
    public required DateTimeOffset Told { get; init; }

    /// <summary>How many of its entries the store has.</summary>
    [Secured(Obfuscation.Encrypted)]
    public required long Size { get; init; }

    /// <summary>The newest checkpoint of its ledger that covers no entry which the store does not have; null before the first. Whoever has the store's key may have written it, and the rest.</summary>
    [Secured(Obfuscation.Encrypted)]
    public required string? Checkpoint { get; init; }

    /// <summary>What its ledger's pseudonyms are made with; null where names were in clear there whenever it told something.</summary>
    [Secured(Obfuscation.Encrypted)]
    public byte[]? Pseudonyms { get; init; }
}

/// <summary>Entries of one instance's ledger that follow each other.</summary>
internal sealed record AuditBatch
{
    /// <summary>Lines: an entry as the ledger has it, or <c>#</c> and its leaf hash where it is none of the store's business.</summary>
    [Secured(Obfuscation.Encrypted)]
    public required byte[] Lines { get; init; }

    /// <summary>
    /// What the ledger's key has signed of the ledger up to the last of them: its checkpoint, or, where more follow, the same
    /// without what only a writer needs. Null where more follow and an older program wrote it.
    /// </summary>
    [Secured(Obfuscation.Encrypted)]
    public required string? Checkpoint { get; init; }
}

/// <summary>
/// Seals what instances tell a shared store (docs/formats/store-v1.md): under a key of each instance that is derived from the
/// root key, and not under a data key, since what is only ever added can't be sealed anew. Safe for concurrent use.
/// </summary>
internal sealed class AuditRecords(StoreKey key, IndexKey index)
{
    internal const byte HashMark = (byte)'#';
    private const int FirstDigits = 20;
    private readonly ConcurrentDictionary<string, Models> _models = new(StringComparer.Ordinal);

    /// <summary>The id of an instance, by the name of its ledger.</summary>
    internal string IdOf(string origin) => index.Hash("mallku/v1/instance-id", origin);

    /// <summary>The key that an instance's ledger says it has; null where that is of another ledger, or none.</summary>
    internal NoteVerifier? VerifierOf(string instance, InstanceHead head) => NoteVerifier.Parse(head.Key) is { } verifier && IdOf(verifier.Name) == instance ? verifier : null;

    internal static RecordKey KeyOf(string instance) => new(RecordKind.Instance, instance);

    internal static RecordKey KeyOf(string instance, long first) => new(RecordKind.Audit, BatchId(instance, first));

    /// <summary>Where a batch lies whose place somebody else has taken: nobody can take all of these.</summary>
    internal static RecordKey MakeOtherKeyOf(string instance, long first) =>
        new(RecordKind.Audit, $"{BatchId(instance, first)}.{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8))}");

    /// <summary>The index of the first entry of a batch, by its key; null where it is none's of the instance.</summary>
    internal static long? FirstOf(string instance, RecordKey batch)
    {
        var prefix = instance.Length + 1;
        return batch.Id.Length >= prefix + FirstDigits
            && long.TryParse(batch.Id.AsSpan(prefix, FirstDigits), NumberStyles.None, CultureInfo.InvariantCulture, out var first)
            && (batch.Id.Length == prefix + FirstDigits || batch.Id[prefix + FirstDigits] == '.')
                ? first
                : null;
    }

    /// <summary>The ids of an instance's batches lie between these two.</summary>
    internal static (string From, string Before) BatchesOf(string instance) => (instance + ".", instance + "/");

    internal RecordWrite Seal(string instance, InstanceHead head, string? revision) =>
        new(KeyOf(instance), revision, ModelsOf(instance).Heads.Seal(head, new SealContext("instance", instance)).Json);

    /// <exception cref="SecretsException">It does not authenticate, or is not what this program writes.</exception>
    internal InstanceHead OpenHead(StoredRecord found)
    {
        var context = new SealContext("instance", found.Key.Id);
        var head = ModelsOf(found.Key.Id).Heads.Open(found.Data, context);
        return StoreSealing.IsCount(head.Size) ? head : throw new RecordOpenException(context);
    }

    internal RecordWrite Seal(string instance, RecordKey key, AuditBatch batch) =>
        new(key, Expected: null, ModelsOf(instance).Batches.Seal(batch, new SealContext("audit", key.Id)).Json);

    /// <exception cref="SecretsException">It does not authenticate, or is not what this program writes.</exception>
    internal AuditBatch OpenBatch(string instance, StoredRecord found) => ModelsOf(instance).Batches.Open(found.Data, new SealContext("audit", found.Key.Id));

    private static string BatchId(string instance, long first) => string.Create(CultureInfo.InvariantCulture, $"{instance}.{first:D20}");

    private Models ModelsOf(string instance) => _models.GetOrAdd(instance, MakeModels);

    private Models MakeModels(string instance)
    {
        var derived = key.Derive(Encoding.ASCII.GetBytes("mallku/v1/store-audit " + instance));
        var ring = new DataKeyRing(new SealingKey("audit", new AesGcmSealing(derived)));
        CryptographicOperations.ZeroMemory(derived);
        var deployment = new Deployment(key.StoreId, index, ring);
        return new Models(
            new SecuredModel<InstanceHead>("instance", AuditJson.Default.InstanceHead, deployment),
            new SecuredModel<AuditBatch>("audit", AuditJson.Default.AuditBatch, deployment));
    }

    private sealed record Models(SecuredModel<InstanceHead> Heads, SecuredModel<AuditBatch> Batches);
}

/// <summary>The JSON of what instances tell a shared store.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(InstanceHead))]
[JsonSerializable(typeof(AuditBatch))]
internal sealed partial class AuditJson : JsonSerializerContext;
