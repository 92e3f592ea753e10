using System.Buffers;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Stores.ArangoDb;

/// <summary>
/// How a record lies in ArangoDB: a document in the collection of its kind, with the id as <c>_key</c>, the data as an object,
/// and what it is sorted and found by as texts of hexadecimal digits: <c>order</c> for the id, <c>t0</c> to <c>t7</c> for terms.
/// </summary>
/// <remarks>
/// ArangoDB compares texts by the language of its server, in queries and indexes. In Danish 'aa' comes after 'z', in Czech 'ch'
/// after 'h', and '-' and '.' where the language has them; no language's order is that of the bytes. Of the hexadecimal digits
/// of these ids' characters, no two letters ever stand side by side, so that nothing is contracted, and in every language
/// 0 to 9 come in this order before a to f. So that order is the ordinal one of the ids.
/// </remarks>
internal static class ArangoRecords
{
    /// <summary>Sorts after the digits of any id.</summary>
    internal const string AfterAll = "f";

    /// <summary>The attributes that have an index of their own. That of a term has no entry for a document without the term.</summary>
    internal static readonly (string Field, bool IsSparse)[] Indexed =
        [("order", false), ("t0", true), ("t1", true), ("t2", true), ("t3", true), ("t4", true), ("t5", true), ("t6", true), ("t7", true)];

    internal static readonly RecordKind[] Kinds = Enum.GetValues<RecordKind>();

    internal static string CollectionOf(RecordKind kind, string prefix) => prefix + kind switch
    {
        RecordKind.Store => "store",
        RecordKind.Secret => "secret",
        RecordKind.Version => "version",
        RecordKind.Instance => "instance",
        RecordKind.Audit => "audit",
        _ => throw new ArgumentOutOfRangeException(nameof(kind)),
    };

    // as a part of a path these two would mean another one
    internal static string KeyOf(string id) => id is "." or ".." ? "_" + id : id;

    internal static string OrderOf(string text) => Convert.ToHexStringLower(Encoding.UTF8.GetBytes(text));

    internal static StoredRecord Read(RecordKind kind, Document document, string where) => document.Data.ValueKind == JsonValueKind.Object
        ? new StoredRecord(new(kind, document.Key.TrimStart('_')), document.Revision, JsonMarshal.GetRawUtf8Value(document.Data).ToArray())
        : throw new SecretsException($"{where} holds a document that is no record, among those of kind {kind}", "remove what others have put there");

    /// <summary>What ArangoDB is sent for some records, as it takes several documents.</summary>
    /// <param name="writes">The records. Without data one has nothing but its key, and the revision that it must have.</param>
    /// <param name="withData">Whether their data and terms go along.</param>
    internal static byte[] Documents(IEnumerable<RecordWrite> writes, bool withData)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartArray();
            foreach (var write in writes)
            {
                json.WriteStartObject();
                json.WriteString("_key", KeyOf(write.Key.Id));
                if (write.Expected is { } revision)
                {
                    json.WriteString("_rev", revision);
                }

                if (withData && write.Data is { } data)
                {
                    WriteData(json, write, data.Span);
                }

                json.WriteEndObject();
            }

            json.WriteEndArray();
        }

        return buffer.WrittenSpan.ToArray();
    }

    private static void WriteData(Utf8JsonWriter json, RecordWrite write, ReadOnlySpan<byte> data)
    {
        json.WriteString("order", OrderOf(write.Key.Id));
        foreach (var (place, term) in write.Terms.Distinct(StringComparer.Ordinal).Index())
        {
            json.WriteString($"t{place}", OrderOf(term));
        }

        json.WritePropertyName("data");
        try
        {
            json.WriteRawValue(data);
        }
        catch (JsonException)
        {
            // its text would quote the data
            throw NoJson(write);
        }
    }

    private static ArgumentException NoJson(RecordWrite write) => new("The data of a record is JSON.", nameof(write));
}
