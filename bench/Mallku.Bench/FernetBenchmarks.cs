using System.Security.Cryptography;
using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Configs;
using Mallku.Secrets.Crypto;

namespace Mallku.Bench;

/// <summary>Fernet beside OpenSSL's own AES and HMAC on the same bytes.</summary>
[MemoryDiagnoser]
[GroupBenchmarksBy(BenchmarkLogicalGroupRule.ByCategory)]
[CategoriesColumn]
public class FernetBenchmarks : IDisposable
{
    private byte[] _plaintext = [], _token = [], _buffer = [];
    private Fernet _fernet = null!;
    private OpenSsl _openSsl = null!;

    [Params(100, 4096, 1 << 20)]
    public int Length { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        using var key = Fernet.GenerateKey();
        _fernet = new Fernet(key);
        _plaintext = RandomNumberGenerator.GetBytes(Length);
        _token = _fernet.Encrypt(_plaintext);
        _buffer = new byte[_token.Length];
        _openSsl = new OpenSsl(_plaintext);
    }

    [GlobalCleanup]
    public void Dispose()
    {
        _fernet?.Dispose();
        _openSsl?.Dispose();
    }

    [Benchmark(Baseline = true), BenchmarkCategory("encrypt")]
    public void OpenSslEncrypt() => _openSsl.Encrypt(Length);

    [Benchmark, BenchmarkCategory("encrypt")]
    public int Encrypt() => _fernet.Encrypt(_plaintext, _buffer);

    [Benchmark, BenchmarkCategory("encrypt")]
    public byte[] EncryptToArray() => _fernet.Encrypt(_plaintext);

    [Benchmark(Baseline = true), BenchmarkCategory("decrypt")]
    public void OpenSslDecrypt() => _openSsl.Decrypt();

    [Benchmark, BenchmarkCategory("decrypt")]
    public bool Decrypt() => _fernet.TryDecrypt(_token, _buffer, out _);

    [Benchmark, BenchmarkCategory("decrypt")]
    public byte[] DecryptToArray() => _fernet.Decrypt(_token);
}
