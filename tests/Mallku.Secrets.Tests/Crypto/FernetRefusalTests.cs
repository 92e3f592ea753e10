using System.Security.Cryptography;
using System.Text;
using CsCheck;
using Mallku.Secrets.Crypto;
using Microsoft.Extensions.Time.Testing;

namespace Mallku.Secrets.Tests.Crypto;

/// <summary>Nothing but the token itself decrypts, and every refusal looks the same.</summary>
public sealed class FernetRefusalTests : IDisposable
{
    private const string Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    private readonly Fernet _fernet = FernetSamples.Open(FernetSamples.Key);

    public void Dispose() => _fernet.Dispose();

    [Fact]
    public void Any_flipped_bit_of_a_small_token_is_refused()
    {
        var token = _fernet.Encrypt("hello"u8);
        for (var bit = 0; bit < token.Length * 8; bit++)
        {
            var flipped = (byte[])token.Clone();
            flipped[bit / 8] ^= (byte)(1 << (bit % 8));
            AssertRefused(flipped);
        }
    }

    [Fact]
    public void A_flipped_bit_of_a_token_of_any_length_is_refused() => Gen.Select(FernetSamples.Plaintexts, Gen.Int[0, int.MaxValue]).Sample(
        (plaintext, place) =>
        {
            var payload = FernetSamples.Payload(_fernet.Encrypt(plaintext));
            var bit = place % (payload.Length * 8);
            payload[bit / 8] ^= (byte)(1 << (bit % 8));
            AssertRefused(FernetSamples.Token(payload));
        },
        iter: 200);

    [Fact]
    public void Any_beginning_of_a_token_is_refused()
    {
        var token = _fernet.Encrypt(new byte[40]);
        for (var length = 0; length < token.Length; length++)
        {
            AssertRefused(token[..length]);
        }
    }

    [Fact]
    public void Whole_bytes_or_blocks_cut_from_a_payload_are_refused() => Gen.Select(FernetSamples.SmallPlaintexts, Gen.Int, Gen.Int).Sample(
        (plaintext, start, end) =>
        {
            var payload = FernetSamples.Payload(_fernet.Encrypt(plaintext));
            var from = (start & int.MaxValue) % payload.Length;
            var to = from + 1 + (end & int.MaxValue) % (payload.Length - from);
            AssertRefused(FernetSamples.Token([.. payload.AsSpan(..from), .. payload.AsSpan(to..)]));
        },
        iter: 300);

    // four at once leave a length that base64 may have
    [Theory]
    [InlineData(" ")]
    [InlineData("\n")]
    [InlineData("\r\n")]
    [InlineData("\t")]
    [InlineData("%")]
    [InlineData("=")]
    [InlineData("A")]
    [InlineData("é")]
    [InlineData("\0")]
    [InlineData("\ufeff")]
    public void A_character_more_anywhere_is_refused(string extra)
    {
        var bytes = Encoding.UTF8.GetBytes(extra);
        foreach (var length in (int[])[5, 20, 40])
        {
            var token = _fernet.Encrypt(new byte[length]);
            for (var place = 0; place <= token.Length; place++)
            {
                for (var times = 1; times <= 4; times++)
                {
                    var inserted = Enumerable.Repeat(bytes, times).SelectMany(one => one);
                    AssertRefused([.. token.AsSpan(..place), .. inserted, .. token.AsSpan(place..)]);
                }
            }
        }
    }

    [Fact]
    public void A_character_outside_the_alphabet_is_refused_in_the_place_of_any()
    {
        var token = _fernet.Encrypt(new byte[40]);
        for (var value = 0; value <= byte.MaxValue; value++)
        {
            for (var place = 0; place < token.Length; place++)
            {
                if (token[place] != value)
                {
                    var changed = (byte[])token.Clone();
                    changed[place] = (byte)value;
                    AssertRefused(changed);
                }
            }
        }
    }

    [Fact]
    public void The_alphabet_of_plain_base64_is_refused()
    {
        var tokens = Enumerable.Range(0, 50).Select(_ => Encoding.ASCII.GetString(_fernet.Encrypt("hello"u8))).ToList();
        Assert.Contains(tokens, token => token.Contains('-', StringComparison.Ordinal));
        Assert.Contains(tokens, token => token.Contains('_', StringComparison.Ordinal));
        foreach (var token in tokens)
        {
            AssertRefusedUnlessEqual(token, token.Replace('-', '+'));
            AssertRefusedUnlessEqual(token, token.Replace('_', '/'));
        }
    }

    [Theory]
    [InlineData(5, 2)]
    [InlineData(20, 1)]
    public void Bits_of_the_last_character_that_stand_for_no_byte_must_be_zero(int length, int padding)
    {
        var token = _fernet.Encrypt(new byte[length]);
        Assert.Equal(padding, token.Count(character => character == '='));
        var last = token.Length - padding - 1;
        var unused = 1 << (2 * padding);
        var digit = Alphabet.IndexOf((char)token[last], StringComparison.Ordinal);
        Assert.Equal(0, digit % unused);
        for (var bits = 1; bits < unused; bits++)
        {
            var changed = (byte[])token.Clone();
            changed[last] = (byte)Alphabet[digit + bits];
            // a lenient decoder reads the same payload
            Assert.Equal(FernetSamples.Payload(token), FernetSamples.Payload(changed));
            AssertRefused(changed);
        }
    }

    [Theory]
    [InlineData(5)]
    [InlineData(20)]
    public void A_token_without_its_padding_is_refused(int length) =>
        AssertRefused(_fernet.Encrypt(new byte[length]).AsSpan().TrimEnd((byte)'=').ToArray());

    [Fact]
    public void Another_key_is_refused_also_when_one_half_of_it_is_right()
    {
        var key = FernetSamples.Payload(Encoding.ASCII.GetBytes(FernetSamples.Key));
        var other = FernetSamples.Payload(Encoding.ASCII.GetBytes(FernetSamples.OtherKey));
        // the half that encrypts is right, the half that signs is not
        using var half = FernetSamples.Open(Text([.. other.AsSpan(..16), .. key.AsSpan(16..)]), FernetSamples.OtherKey);
        FernetSamples.Plaintexts.Sample(
            plaintext =>
            {
                AssertRefused(half.Encrypt(plaintext));
                AssertRefused(_fernet.Encrypt(plaintext), half);
            },
            iter: 50);

        static string Text(byte[] key) => Encoding.ASCII.GetString(FernetSamples.Token(key));
    }

    [Fact]
    public void A_token_signed_with_the_key_is_refused_when_its_padding_is_wrong() =>
        Gen.Select(Gen.OneOf(Gen.Int[1, 20], Gen.Int[4090, 4100]), Gen.Byte[17, 255], Gen.Bool).Sample(
            (blocks, pad, isZero) =>
            {
                var plain = new byte[blocks * 16];
                plain[^1] = isZero ? (byte)0 : pad;
                AssertRefused(FernetSamples.Sign(0x80, 0, FernetSamples.EncryptBlocks(plain)));
                // two bytes of padding that are not the same
                plain[^1] = 2;
                plain[^2] = 1;
                AssertRefused(FernetSamples.Sign(0x80, 0, FernetSamples.EncryptBlocks(plain)));
                // and the right one, which shows that nothing else was wrong with it
                plain[^2] = 2;
                Assert.Equal(plain[..^2], _fernet.Decrypt(FernetSamples.Sign(0x80, 0, FernetSamples.EncryptBlocks(plain))));
            },
            iter: 60);

    [Fact]
    public void A_token_signed_with_the_key_is_refused_when_its_form_is_wrong()
    {
        for (var length = 0; length <= 64; length++)
        {
            if (length % 16 != 0 || length == 0)
            {
                AssertRefused(FernetSamples.Sign(0x80, 0, new byte[length]));
            }
        }

        var ciphertext = FernetSamples.EncryptBlocks([.. Enumerable.Repeat((byte)16, 16)]);
        Assert.Empty(_fernet.Decrypt(FernetSamples.Sign(0x80, 0, ciphertext)));
        for (var version = 0; version <= byte.MaxValue; version++)
        {
            if (version != 0x80)
            {
                AssertRefused(FernetSamples.Sign((byte)version, 0, ciphertext));
            }
        }
    }

    [Fact]
    public void Any_other_bytes_are_refused() => Gen.Select(Gen.Int[0, 300], Gen.Int, Gen.Bool).Sample(
        (length, seed, isText) =>
        {
            var bytes = FernetSamples.Bytes(length, seed);
            AssertRefused(isText ? FernetSamples.Token(bytes) : bytes);
            Fernet.TryGetTimestamp(bytes, out _);
        },
        iter: 500);

    [Fact]
    public void Every_kind_of_refusal_is_one_and_the_same_error()
    {
        const ulong Now = 86_400;
        using var fernet = FernetSamples.Open(new FakeTimeProvider(DateTimeOffset.FromUnixTimeSeconds((long)Now)), FernetSamples.Key);
        using var other = FernetSamples.Open(FernetSamples.OtherKey);
        var token = fernet.Encrypt("hello"u8);
        var forged = FernetSamples.Payload(token);
        forged[^1] ^= 1;
        var ciphertext = FernetSamples.EncryptBlocks([.. Enumerable.Repeat((byte)16, 16)]);
        Assert.Empty(fernet.Decrypt(FernetSamples.Sign(0x80, Now, ciphertext), TimeSpan.FromHours(1)));
        byte[][] refused =
        [
            [],
            "%%%%"u8.ToArray(),
            token[..^4],
            [.. token, (byte)'\n'],
            FernetSamples.Token(forged),
            other.EncryptAt("hello"u8, (long)Now),
            FernetSamples.Sign(0x81, Now, ciphertext),
            FernetSamples.Sign(0x80, Now, new byte[17]),
            FernetSamples.Sign(0x80, Now, FernetSamples.EncryptBlocks(new byte[16])),
            FernetSamples.Sign(0x80, Now, FernetSamples.EncryptBlocks(new byte[1 << 17])),
            FernetSamples.Sign(0x80, 0, ciphertext),
            FernetSamples.Sign(0x80, Now * 2, ciphertext),
            FernetSamples.Sign(0x80, ulong.MaxValue, ciphertext),
        ];
        var errors = refused.Select(bytes => Assert.Throws<CryptographicException>(() => fernet.Decrypt(bytes, TimeSpan.FromHours(1))));
        Assert.Single(errors.Select(error => (error.Message, error.HResult, error.InnerException)).Distinct());
    }

    private void AssertRefusedUnlessEqual(string token, string changed)
    {
        if (!string.Equals(token, changed, StringComparison.Ordinal))
        {
            AssertRefused(Encoding.ASCII.GetBytes(changed));
        }
    }

    private void AssertRefused(byte[] token) => AssertRefused(token, _fernet);

    private static void AssertRefused(byte[] token, Fernet fernet)
    {
        Assert.Throws<CryptographicException>(() => fernet.Decrypt(token));
        Assert.False(fernet.TryDecrypt(token, new byte[Fernet.GetMaxPlaintextLength(token.Length)], out var written));
        Assert.Equal(0, written);
        // too short a buffer tells nothing about what does not decrypt
        Assert.False(fernet.TryDecrypt(token, [], out _));
    }
}
