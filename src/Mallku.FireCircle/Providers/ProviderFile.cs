using System.Text.Json;
using System.Text.Json.Serialization;

namespace Mallku.FireCircle.Providers;

/// <summary>The catalogue as it is written: the embedded one and a user's have the same shape.</summary>
internal sealed record ProviderFile
{
    public required IReadOnlyList<Provider> Providers { get; init; }

    /// <exception cref="SecretsException">It is none, or an entry has no id of its own. <paramref name="path"/> is named.</exception>
    internal static ProviderFile Parse(ReadOnlySpan<byte> utf8, string path)
    {
        ProviderFile file;
        try
        {
            // a mark at the beginning is what some editors write
            ReadOnlySpan<byte> mark = [0xEF, 0xBB, 0xBF];
            file = JsonSerializer.Deserialize(utf8.StartsWith(mark) ? utf8[mark.Length..] : utf8, ProviderJson.Default.ProviderFile)
                ?? throw new JsonException();
        }
        catch (JsonException e)
        {
            // its text may quote the file; where it stands is enough
            var where = e.Path is { Length: > 0 } at && at != "$" ? $" at '{SecretsException.Show(at)}'" : "";
            throw new SecretsException(
                $"the providers in '{path}' can't be read: line {(e.LineNumber ?? 0) + 1}{where} is not as described",
                "write it as docs/guide/adapters.md shows");
        }

        var known = new HashSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < file.Providers.Count; i++)
        {
            var id = file.Providers[i]?.Id;
            var fault = id is null ? "is null" : !ProviderRules.IsId(id) ? $"has an id that is none: {ProviderRules.IdShape}" : !known.Add(id) ? $"has the id '{id}' of another entry" : null;
            if (fault is not null)
            {
                throw new SecretsException($"'$.providers[{i}]' in '{path}' {fault}", "mend that entry");
            }
        }

        return file;
    }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UseStringEnumConverter = true,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    RespectNullableAnnotations = true,
    AllowDuplicateProperties = false,
    ReadCommentHandling = JsonCommentHandling.Skip,
    AllowTrailingCommas = true)]
[JsonSerializable(typeof(ProviderFile))]
internal sealed partial class ProviderJson : JsonSerializerContext;
