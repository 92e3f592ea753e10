using System.ComponentModel;
using System.Diagnostics;
using System.Text;
using Mallku.Secrets.Files;

namespace Mallku.Secrets.Ledger;

/// <summary>Gives a checkpoint to a command, on its standard input.</summary>
internal static class WitnessCommand
{
    private static readonly TimeSpan Burial = TimeSpan.FromMilliseconds(500);

    /// <summary>Runs the command to its end, or until its time is over: then it is ended, with the processes that still descend from it.</summary>
    /// <param name="command">What the shell runs. Its standard output goes nowhere, its standard error where this process's goes.</param>
    /// <param name="note">The signed checkpoint.</param>
    /// <param name="limit">How long it may take.</param>
    /// <returns>Null where it ended well, else what happened, in words that come after its name.</returns>
    internal static string? Run(string command, string note, TimeSpan limit)
    {
        if (limit <= TimeSpan.Zero)
        {
            return "had no time left";
        }

        // the first line is for output that nobody asked for: ours is for values
        var start = new ProcessStartInfo("/bin/sh", ["-c", $"exec >/dev/null\n{command}"]) { RedirectStandardInput = true, UseShellExecute = false };
        OwnVariables.Withhold(start.Environment);
        try
        {
            using var process = Process.Start(start)!;
            Give(process, note);
            if (process.WaitForExit(limit))
            {
                return process.ExitCode == 0 ? null : $"ended with {process.ExitCode}";
            }

            process.Kill(entireProcessTree: true);
            process.WaitForExit(Burial);
            return "did not end in time, and was ended";
        }
        catch (Exception e) when (e is Win32Exception or AggregateException or InvalidOperationException)
        {
            return $"could not be run ({e.Message.TrimEnd('.')})";
        }
    }

    // no longer than a pipe holds, so that this never waits for a command that does not read
    private static void Give(Process process, string note)
    {
        try
        {
            process.StandardInput.BaseStream.Write(Encoding.UTF8.GetBytes(note));
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // it did not read all of it: whether that is well is for its exit code to say
        }
    }
}
