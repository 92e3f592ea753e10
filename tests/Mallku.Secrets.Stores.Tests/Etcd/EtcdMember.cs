using System.Diagnostics;
using System.Globalization;

namespace Mallku.Secrets.Stores.Tests.Etcd;

/// <summary>One etcd process on loopback. It ends with this process at the latest.</summary>
internal sealed class EtcdMember : IDisposable
{
    // The shell stays as a guard, whose input is a pipe from this process: when that ends, however it ends, so does etcd.
    private const string Guard = """
        log=$1; shift
        "$@" </dev/null >>"$log" 2>&1 & echo $!
        cat >/dev/null; kill -KILL $! 2>/dev/null; wait
        """;

    private readonly string _log;
    private readonly string[] _command;
    private Process? _guard;
    private int _id;

    internal EtcdMember(string folder, int port, IEnumerable<string> arguments)
    {
        (Folder, Port, _log) = (folder, port, Path.Combine(folder, "log"));
        _command = ["etcd", "--data-dir", Path.Combine(folder, "data"), .. arguments];
    }

    /// <summary>Where its data and its log are.</summary>
    internal string Folder { get; }

    internal int Port { get; }

    internal string Host => $"127.0.0.1:{Port}";

    /// <summary>The end of what it has said.</summary>
    internal string Log => File.Exists(_log) ? string.Join('\n', File.ReadLines(_log).TakeLast(30)) : "";

    internal bool IsRunning => _guard is not null && Directory.Exists($"/proc/{_id}") && !File.ReadAllText($"/proc/{_id}/stat").Contains(") Z ", StringComparison.Ordinal);

    internal void Start()
    {
        var start = new ProcessStartInfo("sh", ["-c", Guard, "sh", _log, .. _command])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        foreach (var name in start.Environment.Keys.Where(static name => name.StartsWith("ETCD_", StringComparison.Ordinal)).ToList())
        {
            start.Environment.Remove(name);
        }

        start.Environment["ETCD_UNSUPPORTED_ARCH"] = "arm64";
        _guard = Process.Start(start)!;
        _id = int.Parse(_guard.StandardOutput.ReadLine()!, CultureInfo.InvariantCulture);
    }

    /// <summary>It ends where it stands.</summary>
    internal void Kill()
    {
        _guard!.StandardInput.Close();
        _guard.WaitForExit();
        _guard.Dispose();
        _guard = null;
    }

    /// <summary>It stands still, and its connections stay.</summary>
    internal void Pause() => Tool.Run("kill", "-STOP", $"{_id}");

    internal void Resume() => Tool.Run("kill", "-CONT", $"{_id}");

    public void Dispose()
    {
        if (_guard is not null)
        {
            Kill();
        }
    }
}

internal static class Tool
{
    /// <summary>Runs a program to its good end; what it said.</summary>
    internal static string Run(string program, params string[] arguments)
    {
        var (hasSucceeded, text) = Try(program, arguments);
        Assert.True(hasSucceeded, $"{program} {string.Join(' ', arguments)}\n{text}");
        return text;
    }

    internal static (bool HasSucceeded, string Text) Try(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["ETCDCTL_API"] = "3";
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode == 0, output + errors.GetAwaiter().GetResult());
    }
}
