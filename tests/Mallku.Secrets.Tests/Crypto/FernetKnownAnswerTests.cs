using System.Security.Cryptography;
using System.Text;
using Mallku.Secrets.Crypto;

namespace Mallku.Secrets.Tests.Crypto;

/// <summary>
/// Tokens that Python's cryptography 38.0.4 made by <c>Fernet(key)._encrypt_from_parts(data, time, bytes(range(240, 256)))</c>,
/// where data is <c>bytes(i * 7 &amp; 255 for i in range(length))</c>.
/// </summary>
public sealed class FernetKnownAnswerTests
{
    private const long Time = 1_700_000_000;

    [Theory]
    [InlineData(0, 0, "gAAAAAAAAAAA8PHy8_T19vf4-fr7_P3-_6fEIuFzdCJ12Zs0hTPLoO5m_v4lYvA0cYsWrTADLrnDNzPF8ydlbUE0NzRYDwQ_kA==")]
    [InlineData(15, Time, "gAAAAABlU_EA8PHy8_T19vf4-fr7_P3-_4gknIUKIvdpt65h454aOJ18E66BgqfhD_dC_vRJenCPKynfH4eLgD5m4r3NfWlyEQ==")]
    [InlineData(
        16,
        Time,
        "gAAAAABlU_EA8PHy8_T19vf4-fr7_P3-_44vSrrgdKFjHbWwRddfawPGZvylEo75695aVFU0AoqqOLokBA_BUrGfCC2X65vQQkY64gK8S4qxD-b8OUWjrOA=")]
    [InlineData(
        17,
        253402300799,
        "gAAAADr_9EF_8PHy8_T19vf4-fr7_P3-_44vSrrgdKFjHbWwRddfawNlDbbGAZWyjLyoAvfEnxSMsiq9HTpdrG6niG8HWG9ao9F30PcH27Sm_MZ-xvEG4Ww=")]
    public void Makes_and_takes_the_token_that_Python_made(int length, long time, string expected)
    {
        using var fernet = FernetSamples.Open(FernetSamples.Key);
        var token = Encrypt(fernet, length, time);
        Assert.Equal(expected, Encoding.ASCII.GetString(token));
        Assert.Equal(Data(length), fernet.Decrypt(token));
        Assert.True(Fernet.TryGetTimestamp(token, out var stamp));
        Assert.Equal(time, stamp.ToUnixTimeSeconds());
    }

    // the last that fits on the stack, and the sizes around the one where decryption stops working in place
    [Theory]
    [InlineData(447, 676, "594224c7df834162d20ab7570d31df352499bb4b3f5bfcd15d503094bc6df3d5")]
    [InlineData(65535, 87460, "c0e1b3ad4d907cb9f6e77b2fcddb7933746eb8a196bfab62a6a6cd80175bdb21")]
    [InlineData(65536, 87480, "d0e3f5fd821153f4c8b1e613cc973f7f23761456de48f3129ed55705975ebcc2")]
    [InlineData(65537, 87480, "9d8fd447330bde78f25d701d11859751fd2604a89f2730cade43c58810a1e251")]
    public void Makes_and_takes_the_longer_token_whose_hash_Python_gave(int length, int tokenLength, string hash)
    {
        using var fernet = FernetSamples.Open(FernetSamples.Key);
        var token = Encrypt(fernet, length, Time);
        Assert.Equal((tokenLength, hash), (token.Length, Convert.ToHexStringLower(SHA256.HashData(token))));
        Assert.Equal(Data(length), fernet.Decrypt(token));
    }

    private static byte[] Encrypt(Fernet fernet, int length, long time)
    {
        var token = new byte[Fernet.GetTokenLength(length)];
        fernet.Encrypt(Data(length), token, time, [.. Enumerable.Range(240, 16).Select(number => (byte)number)]);
        return token;
    }

    private static byte[] Data(int length) => [.. Enumerable.Range(0, length).Select(i => (byte)((i * 7) & 255))];
}
