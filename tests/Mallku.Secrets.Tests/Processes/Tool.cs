using System.Diagnostics;

namespace Mallku.Secrets.Tests.Processes;

/// <summary>Runs a program of the system that must end well.</summary>
internal static class Tool
{
    internal static void Run(string program, params string[] arguments)
    {
        Requires.Program(program);
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { UseShellExecute = false, RedirectStandardError = true })!;
        var errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"{program} {string.Join(' ', arguments)}: {errors}");
    }
}
