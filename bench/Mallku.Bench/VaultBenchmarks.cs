using BenchmarkDotNet.Attributes;
using Mallku.Secrets;

namespace Mallku.Bench;

/// <summary>Opening a vault, and a durable write to it, by how many secrets it holds.</summary>
[MemoryDiagnoser]
public class VaultBenchmarks : IDisposable
{
    private readonly SecretValue _value = SecretValue.FromString("sk-0123456789abcdefghijklmnopqrstuvwxyz");
    private TemporaryVault _vault = null!;
    private SecretsManager _manager = null!;

    [Params(5, 100, 1000)]
    public int Secrets { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _vault = new TemporaryVault(Secrets);
        _manager = SecretsManager.Open(_vault.Options);
    }

    [GlobalCleanup]
    public void Dispose()
    {
        _vault?.Dispose();
        _value.Dispose();
    }

    [Benchmark]
    public int Open() => SecretsManager.Open(_vault.Options).ListAsync().AsTask().GetAwaiter().GetResult().Count;

    [Benchmark]
    public int Set() => _manager.SetAsync("provider_3_api_key", _value).AsTask().GetAwaiter().GetResult().Version;
}
