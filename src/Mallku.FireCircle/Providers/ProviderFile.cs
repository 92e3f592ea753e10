using System.Text.Json;
using System.Text.Json.Serialization;

namespace Mallku.FireCircle.Providers;

/// <summary>The catalogue as it is written: the embedded one and a user's have the same shape.</summary>
internal sealed record ProviderFile
{
    public required IReadOnlyList<Provider> Providers { get; init; }

    /// <exception cref="SecretsException">It is none, or one of its entries breaks a rule. <paramref name="path"/> is named.</exception>
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
            var where = e.Path is { Length: > 0 } at && at != "$" ? $" at '{at}'" : "";
            throw new SecretsException(
                $"the providers in '{path}' can't be read: line {(e.LineNumber ?? 0) + 1}{where} is not as described",
                "write it as docs/guide/adapters.md shows");
        }

        foreach (var provider in file.Providers)
        {
            if (ProviderRules.FindFault(provider) is { } fault)
            {
                throw new SecretsException($"the provider '{provider.Id}' in '{path}' {fault}", "mend that entry");
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
    ReadCommentHandling = JsonCommentHandling.Skip,
    AllowTrailingCommas = true)]
[JsonSerializable(typeof(ProviderFile))]
internal sealed partial class ProviderJson : JsonSerializerContext;
