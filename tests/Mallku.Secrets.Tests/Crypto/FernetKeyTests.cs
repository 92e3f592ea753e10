using System.Text;
using CsCheck;
using Mallku.Secrets.Crypto;

namespace Mallku.Secrets.Tests.Crypto;

public sealed class FernetKeyTests
{
    public static TheoryData<string> Malformed =>
    [
        "",
        " ",
        // one character less or more, no padding, other padding
        FernetSamples.Key[1..],
        "b" + FernetSamples.Key,
        FernetSamples.Key.TrimEnd('='),
        FernetSamples.Key[..^1] + "A",
        FernetSamples.Key[..^2] + "==",
        FernetSamples.Key + "\n",
        " " + FernetSamples.Key[1..],
        "%" + FernetSamples.Key[1..],
        "=" + FernetSamples.Key[1..],
        // plain base64, and bits that stand for no byte
        "+" + FernetSamples.Key[1..],
        "/" + FernetSamples.Key[1..],
        FernetSamples.Key[..^2] + "F=",
        FernetSamples.Key[..^2] + "G=",
        // 44 bytes and fewer characters; 32 bytes in hexadecimal
        "é" + FernetSamples.Key[2..],
        Convert.ToHexString(new byte[32]),
    ];

    [Theory]
    [MemberData(nameof(Malformed))]
    public void A_malformed_key_is_misuse_and_no_part_of_it_is_told(string text)
    {
        using var good = SecretValue.FromString(FernetSamples.Key);
        using var bad = SecretValue.FromString(text);
        AssertTellsNothing(Assert.Throws<ArgumentException>(() => new Fernet(bad)), "Key 1 ", text);
        AssertTellsNothing(Assert.Throws<ArgumentException>(() => new Fernet(good, bad)), "Key 2 ", text);
        Assert.False(Fernet.IsKey(Encoding.UTF8.GetBytes(text)));
    }

    [Fact]
    public void A_key_has_one_form_only() => Gen.Select(Gen.Int[0, 43], Gen.Char).Sample(
        (place, character) =>
        {
            var changed = $"{FernetSamples.Key[..place]}{character}{FernetSamples.Key[(place + 1)..]}";
            var canonical = "AEIMQUYcgkosw048";
            var isKey = place switch
            {
                43 => character == '=',
                42 => canonical.Contains(character, StringComparison.Ordinal),
                _ => char.IsAsciiLetterOrDigit(character) || character is '-' or '_',
            };
            Assert.Equal(isKey, Fernet.IsKey(Encoding.UTF8.GetBytes(changed)));
        },
        iter: 20_000);

    [Fact]
    public void No_key_at_all_is_misuse() => Assert.Throws<ArgumentException>(() => new Fernet());

    [Fact]
    public void A_generated_key_is_good_and_no_two_are_the_same()
    {
        var keys = Enumerable.Range(0, 100).Select(_ => Fernet.GenerateKey()).ToList();
        Assert.All(keys, key =>
        {
            using var fernet = new Fernet(key);
            Assert.Equal("hello"u8, fernet.Decrypt(fernet.Encrypt("hello"u8)));
        });
        Assert.Equal(keys.Count, keys.Select(key => key.RevealString()).Distinct(StringComparer.Ordinal).Count());
        keys.ForEach(key => key.Dispose());
    }

    [Fact]
    public void The_keys_stay_the_callers_who_may_wipe_them_at_once()
    {
        using var key = SecretValue.FromString(FernetSamples.Key);
        using var fernet = new Fernet(key);
        fernet.Dispose();
        Assert.Equal(FernetSamples.Key, key.RevealString());

        using var other = new Fernet(key);
        key.Dispose();
        Assert.Equal("hello"u8, other.Decrypt(other.Encrypt("hello"u8)));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void What_was_disposed_encrypts_and_decrypts_nothing_any_more(bool wasUsed)
    {
        using var another = FernetSamples.Open(FernetSamples.Key);
        var fernet = FernetSamples.Open(FernetSamples.Key);
        var token = wasUsed ? fernet.Encrypt("hello"u8) : another.Encrypt("hello"u8);
        fernet.Dispose();
        fernet.Dispose();
        // a wiped key is a key of zeros, which everybody knows
        Assert.Throws<ObjectDisposedException>(() => fernet.Encrypt("hello"u8));
        Assert.Throws<ObjectDisposedException>(() => fernet.Decrypt(token));
        Assert.Throws<ObjectDisposedException>(() => fernet.TryDecrypt(token, new byte[16], out _));
        Assert.Equal("hello"u8, another.Decrypt(token));
    }

    private static void AssertTellsNothing(ArgumentException error, string which, string text)
    {
        Assert.StartsWith(which, error.Message, StringComparison.Ordinal);
        Assert.Null(error.InnerException);
        for (var i = 0; i + 6 <= text.Length; i++)
        {
            Assert.DoesNotContain(text[i..(i + 6)], error.ToString(), StringComparison.Ordinal);
        }
    }
}
