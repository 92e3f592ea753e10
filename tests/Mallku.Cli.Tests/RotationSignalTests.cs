using System.Globalization;

namespace Mallku.Cli.Tests;

/// <summary>A rotation that is ended from outside leaves no program of its own that nobody knows of.</summary>
public sealed class RotationSignalTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private readonly Scratch _scratch = new();

    public RotationSignalTests()
    {
        Needs.File("/proc/self/cmdline", "/proc");
        File.WriteAllText(_scratch["slow.sh"], """
            #!/bin/sh
            [ ! -e fast ] || { echo made; exit; }
            sleep 600 &
            echo $$ $! > pids.new
            mv pids.new pids
            wait
            """);
        Assert.Equal(0, _scratch.Run("chmod +x slow.sh; mallku init && echo old | mallku set key").ExitCode);
    }

    public void Dispose() => _scratch.Dispose();

    [Theory]
    [InlineData("TERM", 15)]
    [InlineData("INT", 2)]
    [InlineData("HUP", 1)]
    public async Task A_signal_ends_the_program_with_the_command(string signal, int number)
    {
        using var rotation = _scratch.Start(["mallku", "rotate", "key", "--", "./slow.sh"]);
        var programs = await FindProgramsAsync();
        Assert.Equal(0, _scratch.Run($"kill -{signal} {rotation.Id}").ExitCode);
        Assert.True(rotation.WaitForExit(Patience), "it does not end");
        Assert.Equal(128 + number, rotation.ExitCode);
        foreach (var program in programs)
        {
            await AwaitAsync(() => !IsRunning(program));
        }

        var said = await rotation.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        Assert.DoesNotContain("unexpected", said, StringComparison.Ordinal);
        Assert.Contains("interrupted; what was begun is kept, see mallku list, and go on with it: mallku rotate key --resume", said, StringComparison.Ordinal);
        Assert.Equal("old\n", _scratch.Run("mallku get key").Output);
        File.WriteAllText(_scratch["fast"], "");
        Assert.Equal(0, _scratch.Run("mallku rotate key --resume").ExitCode);
        Assert.Equal("made\n", _scratch.Run("mallku get key").Output);
    }

    [Fact]
    public async Task A_program_that_a_kill_left_is_named_and_joined_by_no_other()
    {
        using var rotation = _scratch.Start(["mallku", "rotate", "key", "--", "./slow.sh"]);
        var programs = await FindProgramsAsync();
        rotation.Kill();
        Assert.True(rotation.WaitForExit(Patience), "it does not end");
        try
        {
            File.WriteAllText(_scratch["fast"], "");
            var refused = _scratch.Run("mallku rotate key --resume");
            Assert.Equal(1, refused.ExitCode);
            Assert.Contains($"still runs, as process {programs[0]}", refused.Error, StringComparison.Ordinal);
            Assert.Contains($"(kill {programs[0]})", refused.Error, StringComparison.Ordinal);
            Assert.Equal("old\n", _scratch.Run("mallku get key").Output);
        }
        finally
        {
            _scratch.Run($"kill {string.Join(' ', programs)}");
        }

        Assert.Equal(0, _scratch.Run("mallku rotate key --resume").ExitCode);
        Assert.Equal("made\n", _scratch.Run("mallku get key").Output);
    }

    private async Task<int[]> FindProgramsAsync()
    {
        await AwaitAsync(() => File.Exists(_scratch["pids"]));
        return [.. (await File.ReadAllTextAsync(_scratch["pids"], TestContext.Current.CancellationToken)).Split(' ').Select(static pid => int.Parse(pid, CultureInfo.InvariantCulture))];
    }

    private static async Task AwaitAsync(Func<bool> condition)
    {
        using var limit = new CancellationTokenSource(Patience);
        while (!condition())
        {
            await Task.Delay(20, limit.Token);
        }
    }

    // of one that has ended and that nobody has asked about, nothing is there but its number
    private static bool IsRunning(int process)
    {
        try
        {
            return File.ReadAllBytes(string.Create(CultureInfo.InvariantCulture, $"/proc/{process}/cmdline")).Length > 0;
        }
        catch (IOException)
        {
            return false;
        }
    }
}
