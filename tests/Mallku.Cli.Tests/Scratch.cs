using System.Diagnostics;
using System.Text;

namespace Mallku.Cli.Tests;

/// <summary>What a shell line did.</summary>
internal sealed record Outcome(string Output, string Error, int ExitCode);

/// <summary>A folder of its own in which shell lines run, with the binary in PATH and nothing of the caller's environment.</summary>
internal sealed class Scratch : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    internal Scratch()
    {
        Folder = Directory.CreateTempSubdirectory("mallku-").FullName;
    }

    internal string Folder { get; }

    /// <summary>Variables besides PATH, HOME and the language.</summary>
    internal Dictionary<string, string> Variables { get; } = [];

    internal string this[string file] => Path.Combine(Folder, file);

    internal Outcome Run(string line, string shell = "sh") => Run([shell, "-c", line]);

    internal Outcome Run(IReadOnlyList<string> command, byte[]? input = null)
    {
        using var process = Start(command);
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        process.StandardInput.BaseStream.Write(input ?? []);
        process.StandardInput.Close();
        Assert.True(process.WaitForExit(Patience), $"'{string.Join(' ', command)}' does not end");
        return new Outcome(output.GetAwaiter().GetResult(), error.GetAwaiter().GetResult(), process.ExitCode);
    }

    internal Process Start(IReadOnlyList<string> command)
    {
        // the runtime ignores SIGPIPE, and a shell in the background the other two: what is started would inherit that
        var start = new ProcessStartInfo("env", ["--default-signal=PIPE,INT,QUIT", .. command])
        {
            WorkingDirectory = Folder,
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardOutputEncoding = Encoding.UTF8,
            StandardErrorEncoding = Encoding.UTF8,
        };
        start.Environment.Clear();
        start.Environment["PATH"] = $"{NativeBinary.Folder}:/usr/local/bin:/usr/bin:/bin";
        start.Environment["HOME"] = Folder;
        start.Environment["LC_ALL"] = "C.UTF-8";
        foreach (var (name, value) in Variables)
        {
            start.Environment[name] = value;
        }

        return Process.Start(start)!;
    }

    public void Dispose()
    {
        // a transcript may have taken rights away
        Run("chmod -R u+rwX .");
        Directory.Delete(Folder, recursive: true);
    }
}
