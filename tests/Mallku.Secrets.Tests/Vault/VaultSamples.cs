using System.Text.Encodings.Web;
using System.Text.Json;
using CsCheck;

namespace Mallku.Secrets.Tests.Vault;

/// <summary>Texts and JSON values as users and other programs write them.</summary>
internal static class VaultSamples
{
    private static readonly JsonSerializerOptions Relaxed = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Text with what JSON must escape, what it may, and characters of every length in UTF-8.</summary>
    public static Gen<string> Texts { get; } = Gen.Frequency(
        (3, Gen.Char[' ', '~'].Select(c => c.ToString())),
        (3, Gen.OneOf("\"", "\\", "\0", "\n", "\u001f", "\u007f", "\u0085", "\u2028", "\ufeff", "\uffff", "NaN", "\\u0041", "🦙")),
        (1, Gen.Int[0xA0, 0x10FFFF].Where(c => c is < 0xD800 or > 0xDFFF).Select(char.ConvertFromUtf32)))
        .Array[1, 12].Select(string.Concat);

    /// <summary>A string as a program that escapes all but ASCII writes it, or one that escapes little.</summary>
    public static Gen<string> Strings { get; } = Gen.Select(Texts, Gen.Bool, (text, relaxed) => JsonSerializer.Serialize(text, relaxed ? Relaxed : null));

    /// <summary>Values that differ wherever their texts differ, and that a strict reader knows.</summary>
    public static Gen<string> StrictValues { get; } = Gen.Frequency(
        (3, Strings),
        (2, Gen.OneOf("0", "1.50", "-1e-9", "123456789012345678901234567890", "1e99999999999", "2e99999999999", "true", "null", "[]", "{}")),
        (1, Strings.Select(text => $"{{\"b\" : [1, {text}, {{}}], \"a\":null}}")));

    /// <summary>Those, and what only Python takes for JSON.</summary>
    public static Gen<string> Values { get; } = Gen.Frequency(
        (3, StrictValues),
        (2, Gen.OneOf("NaN", "Infinity", "-Infinity", "\"\\ud800\"", "{\"d\": 1, \"d\": 2}", "{\"\\udc00\": \"NaN\"}", "[\"\\\\\\\"NaN\", NaN]")),
        (1, Strings.Select(text => $"[NaN, {{{text}: [-Infinity, {text}]}}]")));
}
