using System.Text;
using Mallku.Cli.Tests;

namespace Mallku.Secrets.Stores.Tests.Command;

/// <summary>A machine on which somebody uses the published command: a home of its own, and the same store as others.</summary>
internal sealed class Machine : IDisposable
{
    private readonly Scratch _scratch = new();
    private readonly StringBuilder _shown = new();

    internal Machine(string store, string? password = null)
    {
        _scratch.Variables["MALLKU_STORE"] = store;
        if (password is not null)
        {
            _scratch.Variables["MALLKU_STORE_PASSWORD"] = password;
        }
    }

    internal Dictionary<string, string> Variables => _scratch.Variables;

    internal string Home => _scratch.Folder;

    internal string KeyFile => Assert.Single(Directory.GetFiles(_scratch[".config/mallku/stores"]));

    /// <summary>All that was shown and was not to be a value.</summary>
    internal string Shown => _shown.ToString();

    /// <summary>What a line puts out that is to have a value in it.</summary>
    internal string Reveal(string line)
    {
        var outcome = _scratch.Run(line);
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        _shown.Append(outcome.Error);
        return outcome.Output.TrimEnd('\n');
    }

    internal string Run(string line) => Run(0, line).Output;

    internal Outcome Run(int exitCode, string line)
    {
        var outcome = _scratch.Run(line);
        Assert.True(outcome.ExitCode == exitCode, $"{line}\n{outcome.ExitCode}\n{outcome.Output}{outcome.Error}");
        _shown.Append(outcome.Output).Append(outcome.Error);
        return outcome;
    }

    /// <summary>Runs a line at a terminal.</summary>
    internal Pty OpenTerminal(string line) => new(_scratch, line);

    public void Dispose() => _scratch.Dispose();
}
