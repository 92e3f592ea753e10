using System.Collections;
using System.Diagnostics;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using CsCheck;

namespace Mallku.Secrets.Tests;

/// <summary>A value does not show itself, and is gone when its owner is done with it.</summary>
public sealed class SecretValueTests
{
    private const string Text = "sk-geheim-0123";

    [Fact]
    public void It_prints_as_stars()
    {
        using var value = SecretValue.FromString(Text);
        Assert.Equal("***", $"{value}");
        Assert.Equal("key: ***", string.Format("key: {0}", value));
        Assert.Equal("***", new StringBuilder().Append(value).ToString());
        Assert.DoesNotContain(Text, new Holder("api", value).ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void It_is_not_written_to_json()
    {
        using var value = SecretValue.FromString(Text);
        object[] attempts = [value, new Holder("api", value), new[] { value }, new Dictionary<string, SecretValue>(StringComparer.Ordinal) { ["api"] = value }];
        foreach (var attempt in attempts)
        {
            var error = Assert.Throws<NotSupportedException>(() => JsonSerializer.Serialize(attempt));
            Assert.DoesNotContain(Text, error.ToString(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void It_is_not_read_from_json()
    {
        var error = Assert.Throws<NotSupportedException>(() => JsonSerializer.Deserialize<Holder>($$"""{"Name":"api","Value":"{{Text}}"}"""));
        Assert.DoesNotContain(Text, error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_debugger_shows_the_length_and_unfolds_nothing_else()
    {
        const BindingFlags all = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic;
        var shown = typeof(SecretValue).GetMembers(all)
            .Where(member => member is FieldInfo or PropertyInfo)
            .Where(member => member.GetCustomAttribute<DebuggerBrowsableAttribute>()?.State != DebuggerBrowsableState.Never)
            .Select(member => member.Name);

        Assert.Equivalent(new[] { "Length", "_borrowed" }, shown, strict: true);
        Assert.Equal("*** ({Length} bytes)", typeof(SecretValue).GetCustomAttribute<DebuggerDisplayAttribute>()!.Value);
    }

    [Fact]
    public void Values_of_the_same_bytes_are_equal() => Gen.Select(Gen.Byte[97, 99].Array[0, 3], Gen.Byte[97, 99].Array[0, 3]).Sample((left, right) =>
    {
        using SecretValue first = SecretValue.FromUtf8(left), second = SecretValue.FromUtf8(right);
        var same = left.AsSpan().SequenceEqual(right);

        Assert.Equal(same, first == second);
        Assert.Equal(same, !(first != second));
        Assert.Equal(same, first.Equals((object)second));
        Assert.True(!same || first.GetHashCode() == second.GetHashCode());
        Assert.False(first == null);
    });

    [Fact]
    public void Disposing_wipes_the_callers_own()
    {
        var value = SecretValue.FromString(Text);
        var copy = value.Copy();
        var bytes = value.Bytes;
        value.Dispose();
        value.Dispose();

        Assert.False(bytes.ContainsAnyExcept((byte)0));
        Assert.Throws<ObjectDisposedException>(value.RevealString);
        Assert.Throws<ObjectDisposedException>(() => value.Equals(copy));
        Assert.Equal(Text, copy.RevealString());
        Assert.Equal("***", value.ToString());
    }

    [Fact]
    public void Disposing_leaves_a_borrowed_one_to_its_owner()
    {
        var value = SecretValue.Borrowed("borrowed"u8);
        var copy = value.Copy();
        value.Dispose();
        copy.Dispose();

        Assert.Equal("borrowed", value.RevealString());
        Assert.Throws<ObjectDisposedException>(copy.RevealString);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_forgotten_one_is_wiped_when_its_last_reader_is_gone(bool borrowed)
    {
        var bytes = SecretValue.Allocate(8);
        AdoptAndForget(bytes, borrowed);
        GC.Collect();
        GC.WaitForPendingFinalizers();

        Assert.All(bytes, value => Assert.Equal(0, value));

        [MethodImpl(MethodImplOptions.NoInlining)]
        static void AdoptAndForget(byte[] bytes, bool borrowed)
        {
            bytes.AsSpan().Fill((byte)'x');
            Assert.Equal("xxxxxxxx", SecretValue.Adopt(bytes, borrowed).RevealString());
        }
    }

    [Fact]
    public void Whoever_gave_the_bytes_may_wipe_them()
    {
        var source = Encoding.UTF8.GetBytes(Text);
        using var value = SecretValue.FromUtf8(source);
        Array.Clear(source);
        value.RevealUtf8().AsSpan().Clear();

        Assert.Equal(Text, value.RevealString());
    }

    // every text that the strict encoder of the platform takes, and no other
    [Fact]
    public void Only_half_a_surrogate_pair_is_no_text() => Gen.String[Gen.Char, 0, 6].Sample(text =>
    {
        var strict = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);
        byte[]? expected = null;
        try
        {
            expected = strict.GetBytes(text);
        }
        catch (EncoderFallbackException)
        {
            Assert.Throws<ArgumentException>(() => SecretValue.FromString(text));
            return;
        }

        using var value = SecretValue.FromString(text);
        Assert.Equal(expected, value.RevealUtf8());
        Assert.Equal(text, value.RevealString());
    });

    [Fact]
    public void What_is_refused_is_not_repeated()
    {
        var errors = new[]
        {
            Assert.Throws<ArgumentException>(() => SecretValue.FromString(Text + "\ud83d")),
            Assert.Throws<ArgumentException>(() => SecretValue.FromUtf8([.. Encoding.UTF8.GetBytes(Text), 0xff])),
            Assert.Throws<ArgumentException>(() => SecretValue.FromUtf8([.. Encoding.UTF8.GetBytes(Text), 0xed, 0xa0, 0x80])),
        };

        Assert.All(errors, error => Assert.DoesNotContain(Text, error.ToString(), StringComparison.Ordinal));
    }

    [Fact]
    public void A_short_buffer_is_left_as_it_was()
    {
        using var value = SecretValue.FromString(Text);
        var buffer = new byte[Text.Length - 1];

        Assert.Throws<ArgumentException>(() => value.CopyUtf8To(buffer));
        Assert.All(buffer, b => Assert.Equal(0, b));
    }

    [Fact]
    public void A_record_that_holds_a_value_prints_stars_for_it()
    {
        using var value = SecretValue.FromString(Text);
        var found = new FoundSecret("name", value, "vault", 1, DateTimeOffset.UnixEpoch);
        Assert.Contains("Value = ***", found.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain(Text, found.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void What_holds_it_is_not_written_either_and_leaves_no_part_behind()
    {
        using var value = SecretValue.FromString(Text);
        Assert.All(
            new object[]
            {
                new { Name = "a", Inner = new { Value = value } },
                new object[] { "a", value },
                new Dictionary<SecretValue, int> { [value] = 1 },
                new FoundSecret("name", value, "vault", 1, Created: null),
            },
            holder =>
            {
                using var written = new MemoryStream();
                var error = Assert.Throws<NotSupportedException>(() => JsonSerializer.Serialize(written, holder));
                Assert.DoesNotContain(Text, error.ToString() + Encoding.UTF8.GetString(written.ToArray()), StringComparison.Ordinal);
            });
    }

    [Theory]
    [InlineData("\"text\"")]
    [InlineData("{}")]
    [InlineData("{\"Length\":1}")]
    [InlineData("[1]")]
    [InlineData("1")]
    public void No_JSON_is_read_into_it(string json)
    {
        Assert.Throws<NotSupportedException>(() => JsonSerializer.Deserialize<SecretValue>(json));
        Assert.Throws<NotSupportedException>(() => JsonSerializer.Deserialize<SecretValue[]>($"[{json}]"));
        Assert.Throws<NotSupportedException>(() => JsonSerializer.Deserialize<Dictionary<string, SecretValue>>($"{{\"a\":{json}}}"));
    }

    [Fact]
    public void Nothing_public_gives_the_text_away_but_by_a_name_that_says_so()
    {
        // an enumerable, a span or a conversion would be found by a logger or a serializer
        Assert.False(typeof(IEnumerable).IsAssignableFrom(typeof(SecretValue)));
        Assert.False(typeof(IConvertible).IsAssignableFrom(typeof(SecretValue)));
        Assert.False(typeof(IFormattable).IsAssignableFrom(typeof(SecretValue)));
        var telling = typeof(SecretValue).GetMembers(BindingFlags.Public | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly)
            .Where(member => member is MethodInfo method && method.ReturnType != typeof(void) && method.ReturnType != typeof(bool)
                && method.ReturnType != typeof(int) && method.ReturnType != typeof(SecretValue))
            .Select(member => member.Name);
        Assert.Equal(["RevealString", "RevealUtf8", "ToString"], [.. telling.Order(StringComparer.Ordinal)]);
    }

    [Fact]
    public void A_value_is_not_null_nor_its_text()
    {
        using var value = SecretValue.FromString(Text);
        SecretValue? none = null, nothing = null;
        Assert.False(value.Equals(none));
        Assert.False(value.Equals((object?)null));
        Assert.False(value.Equals((object)Text));
        Assert.False(value == none);
        Assert.False(none == value);
        Assert.True(value != none);
        Assert.True(none != value);
        Assert.True(none == nothing);
        Assert.False(none != nothing);
    }

    [Fact]
    public void A_hash_tells_the_length_alone()
    {
        using var one = SecretValue.FromString("abcd");
        using var other = SecretValue.FromString("wxyz");
        Assert.Equal(one.GetHashCode(), other.GetHashCode());
    }

    [Theory]
    [InlineData("80")]
    [InlineData("C0 80")]
    [InlineData("C3")]
    [InlineData("E2 82")]
    [InlineData("ED A0 80")]
    [InlineData("F0 9F 97")]
    [InlineData("F4 90 80 80")]
    [InlineData("FF")]
    public void Bytes_that_are_not_UTF_8_are_misuse_and_are_not_told(string hex)
    {
        byte[] bytes = [.. "my-passw0rd"u8, .. Convert.FromHexString(hex.Replace(" ", "", StringComparison.Ordinal)), .. "my-passw0rd"u8];
        AssertTellsNothing(Assert.Throws<ArgumentException>(() => SecretValue.FromUtf8(bytes)));
        AssertTellsNothing(Assert.Throws<ArgumentException>(() => SecretValue.Borrowed(bytes)));
    }

    // an attribute could not carry these
    [Fact]
    public void Half_of_a_surrogate_pair_anywhere_is_misuse_and_the_text_is_not_told() => Assert.All(
        ["\ud83d", "\udd1d", "my-passw0rd\ud83d", "\ud83dmy-passw0rd", "my-\udd1d\ud83d-passw0rd"],
        text => AssertTellsNothing(Assert.Throws<ArgumentException>(() => SecretValue.FromString(text))));

    [Fact]
    public void What_was_disposed_can_not_be_used()
    {
        var value = SecretValue.FromString(Text);
        using var other = SecretValue.FromString(Text);
        value.Dispose();
        Action[] uses =
        [
            () => value.RevealUtf8(), () => value.CopyUtf8To(new byte[100]), () => value.Copy(), () => _ = value.Length, () => other.Equals(value),
        ];
        Assert.All(uses, use => Assert.Throws<ObjectDisposedException>(use));
    }

    private static void AssertTellsNothing(ArgumentException error)
    {
        Assert.Null(error.InnerException);
        Assert.DoesNotContain("passw0rd", error.ToString(), StringComparison.Ordinal);
        Assert.Equal(-1, error.Message.AsSpan().IndexOfAnyInRange('\ud800', '\udfff'));
    }

    private sealed record Holder(string Name, SecretValue Value);
}
