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

    private static Entry ToEntry(JsonProperty property) => TryRead(() => property.Name) is not { } name
        ? new Entry("?", null, "its name is no valid text")
        : property.Value.ValueKind switch
        {
            JsonValueKind.String => TryRead(() => SecretValue.FromString(property.Value.GetString()!)) is { } value
                ? new Entry(name, value)
                : new Entry(name, null, "it is no valid text"),
            JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False => new Entry(name, SecretValue.FromString(property.Value.GetRawText())),
            JsonValueKind.Null => new Entry(name, null),
            _ => new Entry(name, null, "it is no text"),
        };

    // half of a surrogate pair, which Python writes, is no text
    private static T? TryRead<T>(Func<T> read)
        where T : class
    {
        try
        {
            return read();
        }
        catch (Exception e) when (e is InvalidOperationException or ArgumentException)
        {
            return null;
        }
    }
}
