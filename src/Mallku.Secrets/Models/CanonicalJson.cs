using System.Globalization;
using System.Text.Json;

namespace Mallku.Secrets.Models;

/// <summary>
/// A JSON value as parts that stay the same when a medium writes it anew: with other white space, escapes and order of
/// members, and numbers with other zeros and exponents.
/// </summary>
internal static class CanonicalJson
{
    /// <exception cref="InvalidOperationException">A text has half of a surrogate pair.</exception>
    /// <exception cref="JsonException">A number's exponent is beyond all measure.</exception>
    internal static void Add(LengthPrefixed parts, JsonElement value)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                AddMembers(parts, value.EnumerateObject());
                break;
            case JsonValueKind.Array:
                parts.Add($"[{value.GetArrayLength()}");
                foreach (var item in value.EnumerateArray())
                {
                    Add(parts, item);
                }

                break;
            case JsonValueKind.String:
                parts.Add("\"" + value.GetString());
                break;
            case JsonValueKind.Number:
                parts.Add("#" + ToNormal(value.GetRawText()));
                break;
            default:
                parts.Add(value.GetRawText());
                break;
        }
    }

    internal static void AddMembers(LengthPrefixed parts, IEnumerable<JsonProperty> members)
    {
        var ordered = members.OrderBy(static member => member.Name, StringComparer.Ordinal).ToList();
        parts.Add($"{{{ordered.Count}");
        foreach (var member in ordered)
        {
            parts.Add(member.Name);
            Add(parts, member.Value);
        }
    }

    // an integer without zeros at its end, and a power of ten: 1.50E3 is 15e2
    private static string ToNormal(string number)
    {
        var e = number.IndexOfAny(['e', 'E']);
        var mantissa = e < 0 ? number : number[..e];
        var exponent = 0;
        if (e >= 0 && !int.TryParse(number.AsSpan(e + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out exponent))
        {
            throw new JsonException();
        }

        var point = mantissa.IndexOf('.', StringComparison.Ordinal);
        var decimals = point < 0 ? 0 : mantissa.Length - point - 1;
        var digits = mantissa.Replace("-", "", StringComparison.Ordinal).Replace(".", "", StringComparison.Ordinal).TrimStart('0');
        var significant = digits.TrimEnd('0');
        var power = (long)exponent + digits.Length - significant.Length - decimals;
        return significant.Length == 0 ? "0" : $"{(mantissa[0] == '-' ? "-" : "")}{significant}e{power}";
    }
}
