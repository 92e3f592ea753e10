using System.Diagnostics;
using System.Text;

namespace Mallku.Cli.Tests;

/// <summary>A shell line at a pseudo terminal of 80 columns, with a person who waits for a prompt before typing.</summary>
internal sealed class Pty : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private readonly Process _process;
    private readonly StringBuilder _screen = new();
    private readonly Task _reading;

    internal Pty(Scratch scratch, string line)
    {
        Needs.Program("script");
        _process = scratch.Start(["script", "-qec", line, "/dev/null"]);
        _reading = Task.Run(ReadAsync);
    }

    /// <summary>What the terminal has shown.</summary>
    internal string Screen
    {
        get
        {
            lock (_screen)
            {
                return _screen.ToString().ReplaceLineEndings("\n");
            }
        }
    }

    internal async Task Await(string text)
    {
        var waited = Stopwatch.StartNew();
        while (!Screen.Contains(text, StringComparison.Ordinal))
        {
            Assert.True(waited.Elapsed < Patience, $"'{text}' does not come; the screen shows: {Screen}");
            await Task.Delay(10, TestContext.Current.CancellationToken);
        }
    }

    internal async Task Type(string keys)
    {
        await _process.StandardInput.WriteAsync(keys);
        await _process.StandardInput.FlushAsync();
    }

    /// <summary>Waits for the end and returns the exit code, which is 128 and the number after a death by signal.</summary>
    internal async Task<int> End()
    {
        Assert.True(_process.WaitForExit(Patience), $"it does not end; the screen shows: {Screen}");
        await _reading;
        return _process.ExitCode;
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
        }

        _process.Dispose();
    }

    private async Task ReadAsync()
    {
        var buffer = new char[1024];
        while (await _process.StandardOutput.ReadAsync(buffer) is var count and > 0)
        {
            lock (_screen)
            {
                _screen.Append(buffer, 0, count);
            }
        }
    }
}
