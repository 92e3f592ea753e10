using System.Text;
using System.Text.Json;
using Mallku.Secrets.Crypto;

namespace Mallku.Secrets.Models;

/// <summary>
/// What authenticates one document: each encrypted member, bound to where it belongs, and all members together, so that none
/// is altered, left out, or taken from another writing of the same record.
/// </summary>
internal sealed class DocumentSeal(SealingKey key, string storeId, SealContext context)
{
    internal const int Format = 1;
    internal const string FormatMember = "$format", KeyMember = "$key", SealMember = "$seal", NamesMember = "$names";
    internal static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false };

    /// <summary>The id of the data key under which a document says that it was sealed; null where it says nothing.</summary>
    internal static string? FindKeyId(ReadOnlyMemory<byte> document)
    {
        try
        {
            // it stands near the beginning, and whoever opens the document looks at all of it
            var json = new Utf8JsonReader(document.Span);
            if (json.Read() && json.TokenType == JsonTokenType.StartObject)
            {
                while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
                {
                    var isKey = json.ValueTextEquals(KeyMember);
                    json.Read();
                    if (isKey)
                    {
                        return json.TokenType == JsonTokenType.String ? json.GetString() : null;
                    }

                    json.Skip();
                }
            }
        }
        catch (Exception e) when (IsDamage(e))
        {
            // the same as one that says nothing
        }

        return null;
    }

    /// <summary>Looks at the seal of a document before at anything else in it.</summary>
    /// <returns>What decrypts its members, and these, to be disposed by the caller.</returns>
    /// <exception cref="RecordOpenException">It does not authenticate.</exception>
    /// <exception cref="SecretsException">It is of a newer format.</exception>
    internal static (DocumentSeal Seal, JsonDocument Document) Authenticate(ReadOnlyMemory<byte> document, Deployment deployment, SealContext context)
    {
        JsonDocument? parsed = null;
        try
        {
            parsed = JsonDocument.Parse(document, Strict);
            var root = parsed.RootElement;
            RequireKnownFormat(root, context);
            if (FindText(root, KeyMember) is { } id && deployment.Keys.Find(id) is { } key && FindText(root, SealMember) is not null
                && root.GetProperty(SealMember).TryGetBytesFromBase64(out var message) && message.Length == AesGcmSealing.Overhead)
            {
                var seal = new DocumentSeal(key, deployment.StoreId, context);
                if (key.Sealing.TryOpen(message, seal.Whole(root), []))
                {
                    return (seal, parsed);
                }
            }
        }
        catch (Exception e) when (IsDamage(e))
        {
            // the same failure as all others, below
        }

        parsed?.Dispose();
        throw new RecordOpenException(context);
    }

    /// <summary>Begins a document.</summary>
    internal void WriteHead(Utf8JsonWriter writer)
    {
        writer.WriteNumber(FormatMember, Format);
        writer.WriteString(KeyMember, key.Id);
    }

    /// <summary>Ends a document: the object with its seal.</summary>
    internal byte[] Finish(ReadOnlyMemory<byte> document)
    {
        using var parsed = JsonDocument.Parse(document, Strict);
        var seal = Convert.ToBase64String(key.Sealing.Seal([], Whole(parsed.RootElement)));
        return [.. document.Span[..^1], .. Encoding.ASCII.GetBytes($",\"{SealMember}\":\"{seal}\"}}")];
    }

    internal byte[] Encrypt(string member, ReadOnlySpan<byte> json) => key.Sealing.Seal(json, Belonging("mallku/v1/secured-field", member).Bytes);

    /// <summary>Writes a member's JSON to where it fits; false where it is not encrypted.</summary>
    internal bool TryDecrypt(string member, JsonElement value, Span<byte> json, out int length)
    {
        length = 0;
        if (value.ValueKind != JsonValueKind.String || !value.TryGetBytesFromBase64(out var message) || message.Length < AesGcmSealing.Overhead)
        {
            return false;
        }

        length = message.Length - AesGcmSealing.Overhead;
        return key.Sealing.TryOpen(message, Belonging("mallku/v1/secured-field", member).Bytes, json[..length]);
    }

    internal static bool IsOwn(string member) => member is FormatMember or KeyMember or SealMember or NamesMember;

    private ReadOnlySpan<byte> Whole(JsonElement document)
    {
        var parts = Belonging("mallku/v1/secured-document", "");
        CanonicalJson.AddMembers(parts, document, except: SealMember);
        return parts.Bytes;
    }

    private LengthPrefixed Belonging(string label, string member) =>
        LengthPrefixed.Of(label, storeId, context.Kind, context.Id).Add(context.Bound.Span).Add(member).Add(key.Id);

    private static void RequireKnownFormat(JsonElement root, SealContext context)
    {
        if (root.TryGetProperty(FormatMember, out var format) && !(format.TryGetInt32(out var number) && number <= Format))
        {
            throw new SecretsException($"the record '{SecretsException.Show(context.Id)}' ({context.Kind}) is of a newer format than {Format}", "use a newer mallku");
        }
    }

    /// <summary>A member that is a text; null where it is not there, or no text.</summary>
    internal static string? FindText(JsonElement root, string member) =>
        root.TryGetProperty(member, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    /// <summary>Whether an exception says that something is no JSON, no object, or has texts that are none.</summary>
    internal static bool IsDamage(Exception e) => e is JsonException or InvalidOperationException;
}
