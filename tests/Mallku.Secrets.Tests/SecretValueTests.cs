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

    private sealed record Holder(string Name, SecretValue Value);
}
