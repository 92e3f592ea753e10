using System.Text.Json;

namespace Mallku.FireCircle.Rotators;

/// <summary>How a provider's list of keys is turned over. Immutable.</summary>
/// <param name="Items">The member of a page that has the keys.</param>
/// <param name="Size">The parameter that says how many are wanted at once.</param>
/// <param name="Cursor">The parameter that says where a page begins.</param>
/// <param name="FindNext">Where the page after a page begins; null or empty where it was the last.</param>
internal sealed record KeyPages(string Items, string Size, string Cursor, Func<JsonElement, string?> FindNext)
{
    internal static readonly KeyPages OpenAI = new("data", "limit", "after", FindLast);
    internal static readonly KeyPages Anthropic = new("data", "limit", "after_id", FindLast);

    internal static readonly KeyPages Xai = new(
        "apiKeys", "pageSize", "paginationToken", static page => page.TryGetProperty("paginationToken", out var token) ? token.GetString() : null);

    // whoever says that there is more and not where has told only a part
    private static string? FindLast(JsonElement page) =>
        page.TryGetProperty("has_more", out var more) && more.GetBoolean()
            ? page.GetProperty("last_id").GetString() is { Length: > 0 } last ? last : throw new JsonException()
            : null;
}
