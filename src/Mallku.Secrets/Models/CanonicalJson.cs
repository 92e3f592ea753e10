using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Unicode;

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
                AddMembers(parts, value);
                break;
            case JsonValueKind.Array:
                parts.Add($"[{value.GetArrayLength()}");
                foreach (var item in value.EnumerateArray())
                {
                    Add(parts, item);
                }

                break;
            case JsonValueKind.String:
                AddText(parts, value);
                break;
            case JsonValueKind.Number:
                parts.Add("#" + ToNormal(value.GetRawText()));
                break;
            default:
                parts.Add(value.GetRawText());
                break;
        }
    }

    /// <summary>All members but one, where that is said.</summary>
    internal static void AddMembers(LengthPrefixed parts, JsonElement value, string? except = null)
    {
        var ordered = new List<(string Name, JsonElement Value)>();
        foreach (var member in value.EnumerateObject())
        {
            if (except is null || !member.NameEquals(except))
            {
                // it is made anew each time
                ordered.Add((member.Name, member.Value));
            }
        }

        ordered.Sort(static (one, other) => string.CompareOrdinal(one.Name, other.Name));
        parts.Add($"{{{ordered.Count}");
        foreach (var (name, member) in ordered)
        {
            parts.Add(name);
            Add(parts, member);
        }
    }

    // most texts are long and without escapes: these are taken as they stand, but for the quotation mark at the end
    private static void AddText(LengthPrefixed parts, JsonElement value)
    {
        var raw = JsonMarshal.GetRawUtf8Value(value);
        if (raw.Contains((byte)'\\') || !Utf8.IsValid(raw))
        {
            parts.Add("\"" + value.GetString());
        }
        else
        {
            parts.Add(raw[..^1]);
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
