using System.Buffers;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Mallku.Secrets.Models;

/// <summary>
/// Records of one type as documents for a medium that may see neither their names nor their values, by what the type's
/// properties declare with <see cref="SecuredAttribute"/>: docs/formats/secured-model-v1.md. Safe for concurrent use.
/// </summary>
/// <remarks>
/// What a document has and the type does not is kept in the type's extension data, where it has such a property, and written
/// back: a newer program wrote it.
/// </remarks>
internal sealed class SecuredModel<T>
    where T : class
{
    // before the name of an encrypted member, in the extension data
    private const string Decrypted = "$encrypted:";
    private readonly JsonTypeInfo<T> _contract;
    private readonly Deployment _deployment;
    private readonly List<SecuredField> _fields;
    private readonly Dictionary<string, SecuredField> _byMember, _byStored;
    private readonly bool _keepsUnknown;

    /// <summary>Reads what the type declares.</summary>
    /// <param name="name">The model's name, which its fields' UUIDs depend on: it never changes.</param>
    /// <param name="contract">The type's JSON, from a source generator.</param>
    /// <param name="deployment">The store's keys.</param>
    /// <exception cref="ArgumentException">The type does not say how each property is kept, or contradicts itself.</exception>
    internal SecuredModel(string name, JsonTypeInfo<T> contract, Deployment deployment)
    {
        if (contract.Kind != JsonTypeInfoKind.Object || contract.PolymorphismOptions is not null)
        {
            throw new ArgumentException($"{typeof(T).Name} is no plain object in JSON.", nameof(contract));
        }

        _contract = contract;
        _deployment = deployment;
        _keepsUnknown = contract.Properties.Any(static property => property.IsExtensionData);
        _fields = [.. contract.Properties.Where(SecuredRules.IsField).Select(property => new SecuredField(property, name, deployment.Index))];
        SecuredRules.RequireTogether(typeof(T), _fields);
        _byMember = _fields.ToDictionary(static field => field.Member, StringComparer.Ordinal);
        _byStored = _fields.ToDictionary(static field => field.Stored, StringComparer.Ordinal);
        contract.MakeReadOnly();
    }

    /// <summary>Seals a record under the current data key.</summary>
    /// <exception cref="SecretsException">A value can't be indexed or written.</exception>
    internal SecuredDocument Seal(T model, SealContext context)
    {
        var terms = _fields.Select(field => field.TermOf(model)).OfType<string>().ToList();
        var seal = new DocumentSeal(_deployment.Keys.Current, _deployment.StoreId, context);
        var document = new ArrayBufferWriter<byte>();
        using var writer = new Utf8JsonWriter(document);
        writer.WriteStartObject();
        seal.WriteHead(writer);
        var json = Serialize(model, context);
        try
        {
            using var plain = JsonDocument.Parse(json);
            foreach (var member in plain.RootElement.EnumerateObject())
            {
                Write(writer, member, _byMember.GetValueOrDefault(member.Name), seal);
            }
        }
        finally
        {
            CryptographicOperations.ZeroMemory(json);
        }

        WriteNames(writer);
        writer.WriteEndObject();
        writer.Flush();
        return new(seal.Finish(document.WrittenMemory), terms);
    }

    /// <summary>Opens a document where it belongs.</summary>
    /// <exception cref="RecordOpenException">It does not authenticate.</exception>
    /// <exception cref="SecretsException">Another version of the program wrote it, and this one can't read it, or not without a loss.</exception>
    internal T Open(ReadOnlyMemory<byte> document, SealContext context)
    {
        var (seal, parsed) = DocumentSeal.Authenticate(document, _deployment, context);
        using (parsed)
        {
            using var json = new PlainObject(document.Length + _fields.Sum(static field => field.MostAdded));
            try
            {
                foreach (var member in parsed.RootElement.EnumerateObject())
                {
                    // it is made anew each time
                    var name = member.Name;
                    if (!DocumentSeal.IsOwn(name))
                    {
                        Read(json, name, member.Value, _byStored.GetValueOrDefault(name), seal);
                    }
                }

                return JsonSerializer.Deserialize(json.Finish(), _contract)!;
            }
            catch (JsonException)
            {
                // whose text may quote a value
                throw new SecretsException(
                    $"the record '{SecretsException.Show(context.Id)}' ({context.Kind}) was written by another version of this program, which this one does not understand",
                    "use the newest mallku");
            }
        }
    }

    /// <summary>The term of all records whose field, named as in the program, has a value; of buckets also of others.</summary>
    internal string Term(string field, IndexValue value) => Find(field).Term(value);

    /// <summary>The terms of all records whose field has a value from one to another, both within; of buckets also of some around them.</summary>
    internal IReadOnlyList<TermRange> TermRange(string field, IndexValue from, IndexValue to) => Find(field).Range(from, to);

    private byte[] Serialize(T model, SealContext context)
    {
        try
        {
            return JsonSerializer.SerializeToUtf8Bytes(model, _contract);
        }
        catch (JsonException)
        {
            // whose text may quote a value
            throw new SecretsException(
                $"the record '{SecretsException.Show(context.Id)}' ({context.Kind}) holds a text that no program can write anew; nothing was changed", "put a backup of the record in its place");
        }
    }

    private SecuredField Find(string field) => _fields.Find(one => one.Name == field)
        ?? throw new ArgumentException($"{typeof(T).Name} has no field '{field}'.", nameof(field));

    private static void Write(Utf8JsonWriter writer, JsonProperty member, SecuredField? field, DocumentSeal seal)
    {
        var isDecrypted = field is null && member.Name.StartsWith(Decrypted, StringComparison.Ordinal);
        var name = field?.Stored ?? (isDecrypted ? member.Name[Decrypted.Length..] : member.Name);
        if (field is null && name.StartsWith('$'))
        {
            throw new ArgumentException($"'{name}' is a name of the format's own.", nameof(member));
        }

        writer.WritePropertyName(name);
        if (isDecrypted || field is { Declared.Obfuscation: Obfuscation.Encrypted })
        {
            writer.WriteBase64StringValue(seal.Encrypt(name, JsonMarshal.GetRawUtf8Value(member.Value)));
        }
        else if (field is { IsShifted: true } && member.Value.ValueKind == JsonValueKind.String)
        {
            writer.WriteStringValue(field.Shift(member.Value.GetDateTimeOffset()));
        }
        else
        {
            member.Value.WriteTo(writer);
        }
    }

    private void Read(PlainObject json, string stored, JsonElement value, SecuredField? field, DocumentSeal seal)
    {
        if (field is null)
        {
            ReadUnknown(json, stored, value, seal);
        }
        else if (field.Declared.Obfuscation == Obfuscation.Encrypted)
        {
            if (!json.TryAddEncrypted(field.Encoded, seal, stored, value))
            {
                throw new JsonException();
            }
        }
        else if (field.IsShifted && value.ValueKind == JsonValueKind.String)
        {
            json.Add(field.Encoded, Encoding.UTF8.GetBytes($"\"{field.ShiftBack(value.GetString()!):O}\""));
        }
        else
        {
            json.Add(field.Encoded, JsonMarshal.GetRawUtf8Value(value));
        }
    }

    // of what another version wrote, only a trial tells whether it is encrypted: the member's UUID says nothing
    private void ReadUnknown(PlainObject json, string stored, JsonElement value, DocumentSeal seal)
    {
        if (!_keepsUnknown || stored.StartsWith('$'))
        {
            throw new JsonException();
        }

        if (!json.TryAddEncrypted(JsonEncodedText.Encode(Decrypted + stored), seal, stored, value))
        {
            json.Add(JsonEncodedText.Encode(stored), JsonMarshal.GetRawUtf8Value(value));
        }
    }

    private void WriteNames(Utf8JsonWriter writer)
    {
        if (_deployment.ShowNames)
        {
            writer.WriteStartObject(DocumentSeal.NamesMember);
            foreach (var field in _fields.Where(static field => field.Declared.Obfuscation != Obfuscation.None))
            {
                writer.WriteString(field.Stored, field.Encoded);
            }

            writer.WriteEndObject();
        }
    }
}
