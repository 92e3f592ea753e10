using System.Diagnostics;

namespace Mallku.Cli.Tests;

/// <summary>A disk that does not answer for a time: the command does, before it.</summary>
public sealed class BlockedDiskTests
{
    [Theory]
    [InlineData("mallku get a")]
    [InlineData("echo new | mallku set a")]
    public void A_ledger_whose_disk_does_not_answer_is_told_in_time_and_nothing_is_handed_out_or_changed(string command)
    {
        Needs.Program("strace");
        using var scratch = new Scratch();
        Assert.Equal(0, scratch.Run("mallku init && echo kept | mallku set a").ExitCode);

        // strace keeps a process whose call it delays until the call is over: what it has said is read before
        const int delay = 12;
        var (before, mallku) = command.Split("mallku") is [var pipe, var verb] ? (pipe, "mallku" + verb) : throw new InvalidOperationException();
        using var process = scratch.Start(
            ["sh", "-c", $"{before}strace -f -qq -o /dev/null -e inject=fsync:delay_enter={delay}s -P {scratch[".secrets/ledger/00000000000000000000.jsonl"]} {mallku}"]);
        process.StandardInput.Close();
        var watch = Stopwatch.StartNew();
        var said = process.StandardError.ReadLine() + "\n" + process.StandardError.ReadLine();
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(delay), "the answer came when the disk had answered");
        Assert.Contains(".secrets/ledger' could not be written within 5 s, so nothing was handed out or changed\n  hint: look at its disk", said, StringComparison.Ordinal);
        Assert.Empty(process.StandardOutput.ReadToEnd());
        Assert.True(process.WaitForExit(TimeSpan.FromSeconds(30)), "it does not end");
        Assert.Equal(1, process.ExitCode);

        Assert.Equal("kept\n", scratch.Run("mallku get a").Output);
        Assert.Equal(0, scratch.Run("mallku audit verify").ExitCode);
        Assert.Equal(0, scratch.Run("echo newer | mallku set a").ExitCode);
        Assert.Equal(0, scratch.Run("mallku audit verify").ExitCode);
    }
}
