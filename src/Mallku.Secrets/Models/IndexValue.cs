using System.Text;

namespace Mallku.Secrets.Models;

/// <summary>What an index can be made of.</summary>
internal enum IndexValueKind
{
    /// <summary>None of these.</summary>
    Other,

    /// <summary>A text.</summary>
    Text,

    /// <summary>A whole number.</summary>
    Number,

    /// <summary>A time.</summary>
    Time,
}

/// <summary>A field's value as its index has it: a text, or the number that a number or a time (in ticks of 100 ns, UTC) is.</summary>
internal readonly record struct IndexValue(IndexValueKind Kind, string Text, long Number)
{
    public static implicit operator IndexValue(string value) => new(IndexValueKind.Text, value, 0);

    public static implicit operator IndexValue(long value) => new(IndexValueKind.Number, "", value);

    public static implicit operator IndexValue(DateTimeOffset value) => new(IndexValueKind.Time, "", value.UtcTicks);

    internal string KindName => Kind switch
    {
        IndexValueKind.Text => "text",
        IndexValueKind.Number => "number",
        IndexValueKind.Time => "time",
        _ => "other",
    };

    /// <summary>What of it is hashed.</summary>
    internal string Hashed => Kind == IndexValueKind.Text ? Text : Ordered;

    /// <summary>Hexadecimal digits that have the order of the values.</summary>
    internal string Ordered => Kind == IndexValueKind.Text ? Convert.ToHexStringLower(Encoding.UTF8.GetBytes(Text)) : ToOrdered(Number);

    /// <summary>The value may be what nobody may see.</summary>
    public override string ToString() => KindName;

    internal static IndexValueKind KindOf(Type type) => (Nullable.GetUnderlyingType(type) ?? type) switch
    {
        var plain when plain == typeof(string) => IndexValueKind.Text,
        var plain when plain == typeof(int) || plain == typeof(long) => IndexValueKind.Number,
        var plain when plain == typeof(DateTimeOffset) => IndexValueKind.Time,
        _ => IndexValueKind.Other,
    };

    internal static IndexValue? Of(object? value) => value switch
    {
        string text => text,
        int number => number,
        long number => number,
        DateTimeOffset time => time,
        _ => null,
    };

    /// <summary>16 hexadecimal digits in the order of the numbers: two's complement with its sign turned.</summary>
    internal static string ToOrdered(long number) => (unchecked((ulong)number) ^ (1UL << 63)).ToString("x16");

    internal static long FromOrdered(string digits) =>
        unchecked((long)(ulong.Parse(digits, System.Globalization.NumberStyles.AllowHexSpecifier) ^ (1UL << 63)));
}
