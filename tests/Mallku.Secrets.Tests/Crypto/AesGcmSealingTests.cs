using System.Security.Cryptography;
using CsCheck;
using Mallku.Secrets.Crypto;

namespace Mallku.Secrets.Tests.Crypto;

public sealed class AesGcmSealingTests
{
    private static readonly Gen<byte[]> Keys = Gen.Byte.Array[AesGcmSealing.KeyLength];
    private static readonly Gen<byte[]> Texts = Gen.OneOf(Gen.Byte.Array[0, 40], Gen.Byte.Array[0, 3_000]);

    // McGrew and Viega, "The Galois/Counter Mode of Operation (GCM)", appendix B, test cases 13 to 16; then NIST CAVP,
    // gcmtestvectors.zip, gcmEncryptExtIV256.rsp, [IVlen = 96], Count = 0 of [PTlen = 0, AADlen = 128] and [PTlen = 128, AADlen = 0]
    [Theory]
    [InlineData("0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "", "", "", "530f8afbc74536b9a963b4f1c4cb738b")]
    [InlineData(
        "0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "00000000000000000000000000000000", "",
        "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919")]
    [InlineData(
        "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255", "",
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad",
        "b094dac5d93471bdec1a502270e3cc6c")]
    [InlineData(
        "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        "feedfacedeadbeeffeedfacedeadbeefabaddad2",
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
        "76fc6ece0f4e1768cddf8853bb2d551b")]
    [InlineData(
        "78dc4e0aaf52d935c3c01eea57428f00ca1fd475f5da86a49c8dd73d68c8e223", "d79cf22d504cc793c3fb6c8a", "", "b96baa8c1c75a671bfb2d08d06be5f36",
        "", "3e5d486aa2e30b22e040b85723a06e76")]
    [InlineData(
        "31bdadd96698c204aa9ce1448ea94ae1fb4a9a0b3c9d773b51bb1822666b8f22", "0d18e06c7c725ac9e362e1ce", "2db5168e932556f8089a0622981d017d", "",
        "fa4362189661d163fcd6a56d8bf0405a", "d636ac1bbedd5cc3ee727dc2ab4a9489")]
    public void Seals_and_opens_the_published_vectors(string key, string nonce, string plaintext, string associated, string ciphertext, string tag)
    {
        using var sealing = new AesGcmSealing(Convert.FromHexString(key), Convert.FromHexString(nonce).CopyTo);
        var text = Convert.FromHexString(plaintext);
        var message = sealing.Seal(text, Convert.FromHexString(associated));
        Assert.Equal(nonce + ciphertext + tag, Convert.ToHexStringLower(message));

        var opened = new byte[text.Length];
        Assert.True(sealing.TryOpen(message, Convert.FromHexString(associated), opened));
        Assert.Equal(text, opened);
    }

    [Fact]
    public void What_was_sealed_opens_and_no_nonce_comes_twice() => Gen.Select(Keys, Texts, Texts).Sample(
        (key, plaintext, associated) =>
        {
            using var sealing = new AesGcmSealing(key);
            var (first, second) = (sealing.Seal(plaintext, associated), sealing.Seal(plaintext, associated));
            Assert.NotEqual(first[..12], second[..12]);
            Assert.Equal(plaintext, Open(sealing, first, associated));
            Assert.Equal(plaintext, Open(sealing, second, associated));
        },
        iter: 300);

    [Fact]
    public void Any_changed_bit_fails_and_leaves_nothing_of_the_plaintext() => Gen.Select(Keys, Gen.Byte.Array[1, 100], Gen.Byte.Array[1, 60], Gen.Int[0, int.MaxValue]).Sample(
        (key, plaintext, associated, place) =>
        {
            using var sealing = new AesGcmSealing(key);
            var message = sealing.Seal(plaintext, associated);
            var opened = RandomNumberGenerator.GetBytes(plaintext.Length);
            Assert.False(sealing.TryOpen(Flip(message, place), associated, opened));
            Assert.All(opened, value => Assert.Equal(0, value));
            Assert.Null(Open(sealing, message, Flip(associated, place)));
            Assert.Null(Open(sealing, message, associated[..^1]));
            Assert.Null(Open(sealing, message[..^1], associated));

            using var another = new AesGcmSealing(Flip(key, place));
            Assert.Null(Open(another, message, associated));
            Assert.NotNull(Open(sealing, message, associated));
        },
        iter: 500);

    [Fact]
    public void What_is_too_short_to_be_a_message_fails_like_any_other()
    {
        using var sealing = new AesGcmSealing(new byte[32]);
        for (var length = 0; length <= AesGcmSealing.Overhead; length++)
        {
            Assert.Null(Open(sealing, new byte[length], []));
        }
    }

    [Fact]
    public void Threads_may_share_it()
    {
        using var sealing = new AesGcmSealing(RandomNumberGenerator.GetBytes(32));
        Parallel.For(0, 2_000, i =>
        {
            var text = BitConverter.GetBytes(i);
            Assert.Equal(text, Open(sealing, sealing.Seal(text, text), text));
        });
    }

    [Theory]
    [InlineData(0)]
    [InlineData(16)]
    [InlineData(33)]
    public void A_key_of_another_length_is_misuse(int length) => Assert.Throws<ArgumentOutOfRangeException>(() => new AesGcmSealing(new byte[length]));

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void What_was_disposed_seals_and_opens_nothing_any_more(bool wasUsed)
    {
        var sealing = new AesGcmSealing(new byte[32]);
        var message = wasUsed ? sealing.Seal([1], []) : new byte[29];
        sealing.Dispose();
        sealing.Dispose();
        Assert.Throws<ObjectDisposedException>(() => sealing.Seal([1], []));
        Assert.Throws<ObjectDisposedException>(() => sealing.TryOpen(message, [], new byte[1]));
    }

    private static byte[]? Open(AesGcmSealing sealing, byte[] message, byte[] associated)
    {
        var plaintext = new byte[Math.Max(0, message.Length - AesGcmSealing.Overhead)];
        return sealing.TryOpen(message, associated, plaintext) ? plaintext : null;
    }

    private static byte[] Flip(byte[] bytes, int place)
    {
        var bit = place % (bytes.Length * 8);
        var changed = bytes.ToArray();
        changed[bit / 8] ^= (byte)(1 << (bit % 8));
        return changed;
    }
}
