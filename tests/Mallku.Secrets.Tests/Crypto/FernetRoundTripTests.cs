using System.Text;
using CsCheck;
using Mallku.Secrets.Crypto;

namespace Mallku.Secrets.Tests.Crypto;

public sealed class FernetRoundTripTests : IDisposable
{
    private readonly Fernet _fernet = FernetSamples.Open(FernetSamples.Key);

    public void Dispose() => _fernet.Dispose();

    [Fact]
    public void Gives_back_a_plaintext_of_any_length() => FernetSamples.Plaintexts.Sample(
        plaintext =>
        {
            var token = _fernet.Encrypt(plaintext);
            Assert.Equal(Fernet.GetTokenLength(plaintext.Length), token.Length);
            Assert.Equal(plaintext, _fernet.Decrypt(token));

            var most = Fernet.GetMaxPlaintextLength(token.Length);
            Assert.InRange(most, plaintext.Length, plaintext.Length + 18);
            var buffer = new byte[most];
            Assert.True(_fernet.TryDecrypt(token, buffer, out var written));
            Assert.Equal(plaintext, buffer[..written]);
        },
        iter: 300);

    [Fact]
    public void Writes_into_a_buffer_that_is_exact_or_larger_and_not_beyond() => Gen.Select(FernetSamples.Plaintexts, Gen.Int[0, 40]).Sample(
        (plaintext, spare) =>
        {
            var length = Fernet.GetTokenLength(plaintext.Length);
            var token = Untouched(length + spare);
            Assert.Equal(length, _fernet.Encrypt(plaintext, token));
            AssertUntouched(token.AsSpan(length..));

            // a token's blocks pad the plaintext, so that an exact buffer and a larger one take different ways
            var buffer = Untouched(plaintext.Length + spare);
            Assert.True(_fernet.TryDecrypt(token.AsSpan(..length), buffer, out var written));
            Assert.Equal(plaintext, buffer[..written]);
            // the last block of ciphertext may be decrypted in place with its padding
            AssertUntouched(buffer.AsSpan(Math.Min(buffer.Length, written + 16)..));
        },
        iter: 200);

    [Fact]
    public void A_token_that_was_encrypted_over_its_own_plaintext_is_right() => FernetSamples.Plaintexts.Sample(
        plaintext =>
        {
            var buffer = new byte[Fernet.GetTokenLength(plaintext.Length)];
            plaintext.CopyTo(buffer, 0);
            _fernet.Encrypt(buffer.AsSpan(..plaintext.Length), buffer);
            Assert.Equal(plaintext, _fernet.Decrypt(buffer));
            Assert.True(_fernet.TryDecrypt(buffer, buffer, out var written));
            Assert.Equal(plaintext, buffer[..written]);
        },
        iter: 50);

    [Fact]
    public void A_buffer_too_short_for_the_token_is_misuse_and_nothing_is_written() => Gen.Select(FernetSamples.Plaintexts, Gen.Int[1, 100]).Sample(
        (plaintext, missing) =>
        {
            var token = Untouched(Math.Max(0, Fernet.GetTokenLength(plaintext.Length) - missing));
            Assert.Equal("token", Assert.Throws<ArgumentException>(() => _fernet.Encrypt(plaintext, token)).ParamName);
            AssertUntouched(token);
        },
        iter: 100);

    [Fact]
    public void A_buffer_too_short_for_the_plaintext_is_misuse_and_nothing_is_written() =>
        Gen.Select(FernetSamples.Plaintexts.Where(plaintext => plaintext.Length > 0), Gen.Int[1, 100]).Sample(
            (plaintext, missing) =>
            {
                var token = _fernet.Encrypt(plaintext);
                var buffer = Untouched(Math.Max(0, plaintext.Length - missing));
                Assert.Equal("plaintext", Assert.Throws<ArgumentException>(() => _fernet.TryDecrypt(token, buffer, out _)).ParamName);
                AssertUntouched(buffer);
            },
            iter: 100);

    [Fact]
    public void The_length_of_a_token_that_fits_into_no_array_is_out_of_range()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => Fernet.GetTokenLength(-1));
        Assert.Throws<ArgumentOutOfRangeException>(() => Fernet.GetTokenLength(int.MaxValue));
        // the most whole blocks whose token fits into an array
        var most = (int)((((long)Array.MaxLength / 4 * 3) - 57) / 16 * 16) - 1;
        Assert.InRange(Fernet.GetTokenLength(most), Array.MaxLength - 24, Array.MaxLength);
        Assert.Throws<ArgumentOutOfRangeException>(() => Fernet.GetTokenLength(most + 1));
    }

    [Fact]
    public void The_same_text_encrypted_twice_gives_two_tokens_that_share_no_block()
    {
        var plaintext = new byte[64];
        var first = FernetSamples.Payload(_fernet.Encrypt(plaintext))[9..];
        var second = FernetSamples.Payload(_fernet.Encrypt(plaintext))[9..];
        var blocks = first.Chunk(16).Concat(second.Chunk(16)).Select(Convert.ToHexString).ToList();
        Assert.Equal(blocks.Count, blocks.Distinct(StringComparer.Ordinal).Count());
    }

    [Fact]
    public async Task Eight_threads_share_an_instance_without_a_wrong_byte_or_a_second_use_of_an_IV()
    {
        // more tokens a thread than IVs are drawn at once
        const int Threads = 8, Tokens = 150;
        using var together = new Barrier(Threads);
        var ivs = await Task.WhenAll(Enumerable.Range(0, Threads).Select(thread => Task.Factory.StartNew(
            () =>
            {
                together.SignalAndWait();
                return Enumerable.Range(0, Tokens).Select(i => IvOfRoundTrip(FernetSamples.Bytes(i * 3, thread))).ToArray();
            },
            TestContext.Current.CancellationToken,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default)));
        Assert.Equal(Threads * Tokens, ivs.SelectMany(mine => mine).Distinct(StringComparer.Ordinal).Count());
    }

    [Fact]
    public void One_thread_uses_no_IV_twice()
    {
        var ivs = Enumerable.Range(0, 100).Select(_ => IvOfRoundTrip([1])).ToHashSet(StringComparer.Ordinal);
        Assert.Equal(100, ivs.Count);
        Assert.DoesNotContain(new string('0', 32), ivs);
    }

    [Fact]
    public void The_first_key_encrypts_and_every_key_decrypts()
    {
        using var other = FernetSamples.Open(FernetSamples.OtherKey);
        using var both = FernetSamples.Open(FernetSamples.OtherKey, FernetSamples.Key);
        FernetSamples.Plaintexts.Sample(
            plaintext =>
            {
                Assert.Equal(plaintext, both.Decrypt(_fernet.Encrypt(plaintext)));
                Assert.Equal(plaintext, both.Decrypt(other.Encrypt(plaintext)));
                var token = both.Encrypt(plaintext);
                Assert.Equal(plaintext, other.Decrypt(token));
                Assert.False(_fernet.TryDecrypt(token, new byte[plaintext.Length], out _));
            },
            iter: 60);
    }

    private string IvOfRoundTrip(byte[] plaintext)
    {
        var token = _fernet.Encrypt(plaintext);
        Assert.Equal(plaintext, _fernet.Decrypt(token));
        var buffer = new byte[Fernet.GetMaxPlaintextLength(token.Length)];
        Assert.True(_fernet.TryDecrypt(token, buffer, out var written));
        Assert.Equal(plaintext, buffer[..written]);
        return Convert.ToHexString(FernetSamples.Payload(token)[9..25]);
    }

    private static byte[] Untouched(int length) => Encoding.ASCII.GetBytes(new string('~', length));

    private static void AssertUntouched(ReadOnlySpan<byte> bytes) => Assert.Equal(-1, bytes.IndexOfAnyExcept((byte)'~'));
}
