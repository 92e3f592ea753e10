using System.Diagnostics;

namespace Mallku.Secrets.Tests.Processes;

/// <summary>Another process that works on a vault. It ends with this object at the latest.</summary>
internal sealed class Child : IDisposable
{
    internal static readonly string Program = Path.Combine(AppContext.BaseDirectory, "Mallku.Secrets.Tests.Child");
    private readonly Process _process;

    private Child(Process process) => _process = process;

    internal int Id => _process.Id;

    internal static Child Start(params string[] arguments) => StartOther(Program, arguments);

    internal static Child StartWith(IReadOnlyList<KeyValuePair<string, string>> variables, params string[] arguments) => Start(Program, arguments, variables);

    /// <summary>Starts a program that itself starts the child.</summary>
    internal static Child StartOther(string program, params string[] arguments) => Start(program, arguments, []);

    internal static Child StartOtherWith(IReadOnlyList<KeyValuePair<string, string>> variables, string program, params string[] arguments) =>
        Start(program, arguments, variables);

    private static Child Start(string program, string[] arguments, IReadOnlyList<KeyValuePair<string, string>> variables)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        foreach (var variable in start.Environment.Keys.Where(key => key.StartsWith("MALLKU_", StringComparison.Ordinal)).ToList())
        {
            start.Environment.Remove(variable);
        }

        foreach (var (name, value) in variables)
        {
            start.Environment[name] = value;
        }

        // it would make pipes in the temporary folder
        start.Environment["DOTNET_EnableDiagnostics"] = "0";
        return new Child(Process.Start(start)!);
    }

    /// <summary>Runs a verb to its end and returns its one line of answer.</summary>
    internal static async Task<string> AskAsync(params string[] arguments)
    {
        using var child = Start(arguments);
        return Assert.Single(await child.ReadToEndAsync());
    }

    internal async Task<string?> ReadLineAsync() =>
        await _process.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken);

    internal async Task WriteLineAsync(string line)
    {
        await _process.StandardInput.WriteLineAsync(line);
        await _process.StandardInput.FlushAsync(TestContext.Current.CancellationToken);
    }

    internal void CloseInput() => _process.StandardInput.Close();

    /// <summary>How it ended by itself or by somebody else's signal, and the lines that it got out.</summary>
    internal async Task<(int ExitCode, IReadOnlyList<string> Lines)> WaitAsync()
    {
        var text = await _process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await _process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (_process.ExitCode, text.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    /// <summary>The rest of its lines, when it has ended well.</summary>
    internal async Task<IReadOnlyList<string>> ReadToEndAsync()
    {
        var errors = _process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        var text = await _process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await _process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(_process.ExitCode == 0, $"exit code {_process.ExitCode}\n{text}\n{await errors}");
        return text.Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    /// <summary>Kills it where it stands, and returns the lines that it still got out whole.</summary>
    internal async Task<IReadOnlyList<string>> KillAsync()
    {
        _process.Kill();
        var text = await _process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await _process.WaitForExitAsync(TestContext.Current.CancellationToken);
        const int killed = 128 + 9;
        Assert.True(
            _process.ExitCode == killed,
            $"it ended by itself: exit code {_process.ExitCode}\n{await _process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken)}");
        return text[..(text.LastIndexOf('\n') + 1)].Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
            _process.WaitForExit();
        }

        _process.Dispose();
    }
}
