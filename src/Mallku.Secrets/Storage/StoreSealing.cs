using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using Mallku.Secrets.Crypto;
using Mallku.Secrets.Models;

namespace Mallku.Secrets.Storage;

/// <summary>What a shared store holds of a secret, without its values.</summary>
internal sealed record SecretHead
{
    [Secured(Obfuscation.Encrypted)]
    public required string Name { get; init; }

    /// <summary>One more at each change.</summary>
    [Secured(Obfuscation.Encrypted)]
    public required long Generation { get; init; }

    /// <summary>Random, of the change that wrote it: who got no answer finds out by it.</summary>
    [Secured(Obfuscation.Encrypted)]
    public required string Write { get; init; }

    /// <summary>Which ledger has the newest change that any has; null where none has, or an older program wrote it.</summary>
    [Secured(Obfuscation.Encrypted)]
    public RecordedChange? Recorded { get; init; }

    /// <summary>Versions, policy and rotation as a vault has them (docs/formats/vault-v1.md), with <c>sealed</c> where a version has a value.</summary>
    [Secured(Obfuscation.Encrypted)]
    public required RawJson Record { get; init; }
}

/// <summary>A head that was opened.</summary>
internal sealed record OpenedHead(SecretRecord Record, string Id, long Generation, string? Revision, string Write)
{
    internal RecordedChange? Recorded { get; init; }

    /// <summary>The data key that it is under.</summary>
    internal string? KeyId { get; init; }
}

/// <summary>A secret whose values were read too; they are wiped with it.</summary>
/// <param name="Head">What is known of it.</param>
/// <param name="Values">The records in the places of its values, by their revisions.</param>
internal sealed record OpenedSecret(OpenedHead Head, Dictionary<RecordKey, string> Values) : IDisposable
{
    /// <summary>Those of them that are what the head says.</summary>
    internal HashSet<RecordKey> Sound { get; } = [];

    // arrays that stay in place are dear: small values share one
    private const int Block = 1024;
    private readonly List<byte[]> _tokens = [];
    private Memory<byte> _room;

    ~OpenedSecret() => Wipe();

    /// <summary>Where a token of at most this length can be written, which is then kept by <see cref="Keep"/>.</summary>
    internal Span<byte> GetRoom(int most)
    {
        if (_room.Length < most)
        {
            _room = Own(SecretValue.Allocate(Math.Max(most, Block)));
        }

        return _room.Span;
    }

    internal ReadOnlyMemory<byte> Keep(int length)
    {
        var kept = _room[..length];
        _room = _room[length..];
        return kept;
    }

    internal byte[] Own(byte[] token)
    {
        _tokens.Add(token);
        return token;
    }

    public void Dispose()
    {
        Wipe();
        GC.SuppressFinalize(this);
    }

    private void Wipe() => _tokens.ForEach(static token => CryptographicOperations.ZeroMemory(token));
}

/// <summary>
/// Between secrets and what a medium gets of them (docs/formats/store-v1.md). A value is sealed apart from its secret's head,
/// and never with its state, which changes. Safe for concurrent use.
/// </summary>
/// <param name="deployment">The store's keys, but for the data keys that were replaced.</param>
/// <param name="replaced">The ids of those.</param>
internal sealed class StoreSealing(Deployment deployment, IReadOnlyList<string> replaced)
{
    private readonly SecuredModel<SecretHead> _heads = new("secret", StoreJson.Default.SecretHead, deployment);
    private readonly string _valueMember = deployment.Index.FieldId("version", "value").ToString();

    internal Deployment Deployment => deployment;

    /// <summary>The id of the data key that seals.</summary>
    internal string Newest => deployment.Keys.Current.Id;

    internal bool Knows(string keyId) => deployment.Keys.Find(keyId) is not null;

    /// <summary>Whether a record says that it is under a data key that was replaced.</summary>
    internal bool IsReplaced(StoredRecord found) => DocumentSeal.FindKeyId(found.Data) is { } id && replaced.Contains(id, StringComparer.Ordinal);

    /// <summary>The id of a secret's head: the same for all names that match loosely, so that a store has one of them at most.</summary>
    internal string IdOf(SecretName name) => deployment.Index.Hash("mallku/v1/secret-id", name.Fold());

    internal static RecordKey KeyOf(string id, int number) => new(RecordKind.Version, string.Create(CultureInfo.InvariantCulture, $"{id}.{number:D10}"));

    internal static string VersionsOf(string id) => id + ".";

    /// <summary>What comes after them all: the character after the point.</summary>
    internal static string AfterVersionsOf(string id) => id + "/";

    internal RecordWrite SealHead(OpenedHead head)
    {
        using var json = SecretFormat.WriteHead(head.Record);
        var model = new SecretHead { Name = head.Record.Name, Generation = head.Generation, Write = head.Write, Recorded = head.Recorded, Record = new RawJson(json.WrittenMemory) };
        var document = _heads.Seal(model, new SealContext("secret", head.Id));
        return new RecordWrite(new RecordKey(RecordKind.Secret, head.Id), head.Revision, document.Json) { Terms = document.Terms };
    }

    /// <summary>
    /// What a write of a head demands besides. What is there already is sealed anew by a reseal, or was since it was read; one
    /// that is new might come behind its end.
    /// </summary>
    internal IEnumerable<RecordWrite> DemandsOf(OpenedHead head) =>
        head.Revision is null ? [new RecordWrite(StoreRoot.ReplacementOf(Newest), Expected: null, Data: null)] : [];

    /// <exception cref="SecretsException">It does not authenticate, or is not what this program writes.</exception>
    internal OpenedHead OpenHead(StoredRecord found)
    {
        var model = OpenModel(found);
        var record = HeadReader.Read(model.Record, model.Name, $"the record '{found.Key.Id}'");
        return new OpenedHead(record, found.Key.Id, model.Generation, found.Revision, model.Write) { Recorded = model.Recorded, KeyId = DocumentSeal.FindKeyId(found.Data) };
    }

    /// <summary>A head without its versions, which a newer program may have written otherwise.</summary>
    /// <exception cref="RecordOpenException">It does not authenticate.</exception>
    internal SecretHead OpenModel(StoredRecord found)
    {
        var context = new SealContext("secret", found.Key.Id);
        var head = _heads.Open(found.Data, context);
        return IsCount(head.Generation) && IsCount(head.Recorded?.Entries ?? 0) ? head : throw new RecordOpenException(context);
    }

    /// <summary>Whether something can have been counted up to a number: such numbers are added without a thought.</summary>
    internal static bool IsCount(long number) => number is >= 0 and < 1L << 48;

    internal RecordWrite SealValue(string id, VersionRecord version, ReadOnlySpan<byte> token, string? revision)
    {
        var key = deployment.Keys.Current;
        var message = key.Sealing.Seal(token, Belonging(id, version, key.Id));
        var document = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(document))
        {
            json.WriteStartObject();
            json.WriteNumber(DocumentSeal.FormatMember, DocumentSeal.Format);
            json.WriteString(DocumentSeal.KeyMember, key.Id);
            json.WriteBase64String(_valueMember, message);
            json.WriteEndObject();
        }

        return new RecordWrite(KeyOf(id, version.Number), revision, document.WrittenMemory);
    }

    /// <summary>Writes a version's value as a JSON token, and returns its length.</summary>
    /// <param name="found">The record of the value.</param>
    /// <param name="id">The secret's.</param>
    /// <param name="version">What it must belong to.</param>
    /// <param name="token">As long as the record, at least.</param>
    /// <exception cref="RecordOpenException">It does not authenticate as this version's.</exception>
    internal int OpenValue(StoredRecord found, string id, VersionRecord version, Span<byte> token)
    {
        try
        {
            using var document = JsonDocument.Parse(found.Data, DocumentSeal.Strict);
            if (document.RootElement.ValueKind == JsonValueKind.Object
                && DocumentSeal.FindText(document.RootElement, DocumentSeal.KeyMember) is { } keyId
                && deployment.Keys.Find(keyId) is { } key
                && document.RootElement.TryGetProperty(_valueMember, out var value)
                && value.ValueKind == JsonValueKind.String
                && value.TryGetBytesFromBase64(out var message)
                && message.Length >= AesGcmSealing.Overhead)
            {
                var length = message.Length - AesGcmSealing.Overhead;
                if (key.Sealing.TryOpen(message, Belonging(id, version, keyId), token[..length]))
                {
                    return length;
                }
            }
        }
        catch (Exception e) when (DocumentSeal.IsDamage(e))
        {
            // the same failure as all others, below
        }

        throw new RecordOpenException(new SealContext("version", found.Key.Id));
    }

    /// <summary>What a use of a version's value gives, as a JSON token that is wiped after it.</summary>
    /// <exception cref="RecordOpenException">It does not authenticate as this version's.</exception>
    internal T UseValue<T>(StoredRecord found, string id, VersionRecord version, Func<ReadOnlyMemory<byte>, T> use)
    {
        var token = ScratchMemory.Rent(found.Data.Length);
        try
        {
            return use(token.AsMemory(0, OpenValue(found, id, version, token)));
        }
        finally
        {
            ScratchMemory.Return(token, token.Length);
        }
    }

    private ReadOnlySpan<byte> Belonging(string id, VersionRecord version, string keyId)
    {
        Span<byte> number = stackalloc byte[sizeof(int)];
        BinaryPrimitives.WriteInt32BigEndian(number, version.Number);
        return LengthPrefixed.Of("mallku/v1/secret-value", deployment.StoreId, id, version.Id).Add(number).Add(keyId).Bytes;
    }
}
