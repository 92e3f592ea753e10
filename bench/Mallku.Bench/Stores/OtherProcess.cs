using System.Diagnostics;
using System.Globalization;
using Mallku.Secrets;

namespace Mallku.Bench.Stores;

/// <summary>This program once more, as another machine that uses the store; it tells numbers in lines.</summary>
internal sealed class OtherProcess : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);
    private readonly Process _process;
    private readonly string? _temporary;

    /// <param name="engine">Where the store is.</param>
    /// <param name="key">The store's.</param>
    /// <param name="mode">What it does.</param>
    /// <param name="state">The state folder of a machine that was there before; null for a new one.</param>
    /// <param name="arguments">More of its arguments.</param>
    internal OtherProcess(Engine engine, SecretValue key, string mode, string? state = null, params string[] arguments)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!, [mode, .. arguments])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        _temporary = state is null ? Directory.CreateTempSubdirectory("mallku-bench-").FullName : null;
        foreach (var (variable, value) in Instance.VariablesOf(engine, key, state ?? _temporary!))
        {
            start.Environment[variable] = value;
        }

        _process = Process.Start(start)!;
    }

    internal async Task<long[]> ReadAsync()
    {
        var line = await _process.StandardOutput.ReadLineAsync().WaitAsync(Patience) ?? throw new InvalidOperationException("The other process has ended.");
        return [.. line.Split(' ').Select(static number => long.Parse(number, CultureInfo.InvariantCulture))];
    }

    public async ValueTask DisposeAsync()
    {
        _process.StandardInput.Close();
        await _process.WaitForExitAsync().WaitAsync(Patience);
        _process.Dispose();
        if (_temporary is not null)
        {
            TemporaryVault.Delete(_temporary);
        }
    }
}
