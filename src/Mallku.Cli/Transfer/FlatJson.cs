using System.Text.Json;

namespace Mallku.Cli.Transfer;

/// <summary>
/// A JSON object of names and values: an export, the Python system's <c>api_keys.json</c>, or the
/// <c>secrets.json</c> of <c>dotnet user-secrets</c>.
/// </summary>
internal static class FlatJson
{
    private static readonly JsonDocumentOptions Lenient = new() { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip };

    /// <exception cref="SecretsException">It is no JSON object.</exception>
    internal static List<Entry> Parse(ReadOnlyMemory<byte> utf8)
    {
        try
        {
            using var document = JsonDocument.Parse(utf8, Lenient);
            return document.RootElement.ValueKind == JsonValueKind.Object
                ? [.. document.RootElement.EnumerateObject().Select(ToEntry)]
                : throw new SecretsException("the file's JSON is no object", """give it the form {"name": "value"}""");
        }
        catch (JsonException e)
        {
            // its message may quote a character of a value
            throw new SecretsException($"the file is no valid JSON: line {e.LineNumber + 1}, byte {e.BytePositionInLine + 1}", "mend it there; nothing is stored");
        }
    }

    private static Entry ToEntry(JsonProperty property) => property.Value.ValueKind switch
    {
        JsonValueKind.String => FromString(property),
        JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False =>
            new Entry(property.Name, SecretValue.FromString(property.Value.GetRawText())),
        JsonValueKind.Null => new Entry(property.Name, null),
        _ => new Entry(property.Name, null, "it is no text"),
    };

    private static Entry FromString(JsonProperty property)
    {
        try
        {
            return new Entry(property.Name, SecretValue.FromString(property.Value.GetString()!));
        }
        catch (Exception e) when (e is InvalidOperationException or ArgumentException)
        {
            return new Entry(property.Name, null, "it is no valid text");
        }
    }
}
