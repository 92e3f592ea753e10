using System.Collections.Concurrent;
using BenchmarkDotNet.Attributes;
using Mallku.Secrets;
using Microsoft.Extensions.Configuration;

namespace Mallku.Bench;

/// <summary>
/// A lookup that is in memory, the environment's freshness and the counting included, beside what a .NET program would
/// use instead. Configuration asks its sources from the last added to the first, so the first is the last it looks at.
/// </summary>
[MemoryDiagnoser]
public class LookupBenchmarks : IDisposable
{
    private const string Name = "provider_3_api_key";
    private readonly ConcurrentDictionary<string, string> _dictionary = new(StringComparer.Ordinal) { [Name] = "sk" };
    private TemporaryVault _vault = null!;
    private SecretsManager _manager = null!;
    private SecretsManager _unrecorded = null!;
    private IConfigurationRoot _configuration = null!;

    [GlobalSetup]
    public void Setup()
    {
        _vault = new TemporaryVault(secrets: 5);
        _manager = SecretsManager.Open(_vault.Options);
        _ = _manager.GetAsync(Name).AsTask().GetAwaiter().GetResult();
        _unrecorded = SecretsManager.Open(_vault.Options with { UseLedger = false });
        _ = _unrecorded.GetAsync(Name).AsTask().GetAwaiter().GetResult();
        _configuration = new ConfigurationBuilder()
            .AddInMemoryCollection([new(Name, "sk")])
            .AddInMemoryCollection([new("another", "value")])
            .AddInMemoryCollection([new("one_more", "value")])
            .Build();
    }

    [GlobalCleanup]
    public void Dispose() => _vault?.Dispose();

    [Benchmark]
    public SecretValue? Hot() => _manager.GetAsync(Name).GetAwaiter().GetResult();

    [Benchmark]
    public SecretValue? HotWithoutLedger() => _unrecorded.GetAsync(Name).GetAwaiter().GetResult();

    [Benchmark(Baseline = true)]
    public string? Configuration() => _configuration[Name];

    [Benchmark]
    public string? Dictionary() => _dictionary.TryGetValue(Name, out var value) ? value : null;

    /// <summary>A new manager that has to read and open the vault.</summary>
    [Benchmark]
    public SecretValue? Cold() => SecretsManager.Open(_vault.Options).GetAsync(Name).AsTask().GetAwaiter().GetResult();
}
