using BenchmarkDotNet.Attributes;
using Mallku.Secrets;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Vault;

namespace Mallku.Bench;

/// <summary>Events that are on the disk when they are answered: one reader after the other, and many that share flushes.</summary>
public class LedgerBenchmarks : IDisposable
{
    private const int Events = 640;
    private TemporaryVault _home = null!;
    private FileVault _vault = null!;

    [Params(1, 64)]
    public int Readers { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _home = new TemporaryVault(secrets: 5);
        _vault = SecretsManager.Open(_home.Options).Vault;
    }

    [GlobalCleanup]
    public void Dispose() => _home?.Dispose();

    [Benchmark(OperationsPerInvoke = Events)]
    public Task Record() => Task.WhenAll(Enumerable.Range(0, Readers).Select(async _ =>
    {
        for (var i = 0; i < Events / Readers; i++)
        {
            await _vault.RecordAsync([new LedgerEvent(LedgerKind.Read, "provider_3_api_key", 1, "vault", "bench")], CancellationToken.None);
        }
    }));
}
