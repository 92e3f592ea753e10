using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;

namespace Mallku.Cli.Native;

/// <summary>Puts another program in this process's place, or, where the system has no such thing, starts and awaits it.</summary>
internal static unsafe class Replacement
{
    /// <summary>Does not return on Linux, unless the program can't be started.</summary>
    /// <returns>The exit code of the child, where it had to be a child.</returns>
    /// <exception cref="SecretsException">The program can't be started.</exception>
    internal static int Run(IReadOnlyList<byte[]> command, IReadOnlyList<byte[]> environment)
    {
        if (!OperatingSystem.IsLinux())
        {
            return RunChild(command, environment);
        }

        var arguments = ToNative(command);
        var variables = ToNative(environment);
        NativeBinary.RestoreInherited();
        _ = Libc.Execute(arguments[0], arguments, variables);
        throw Explain(Encoding.UTF8.GetString(command[0]), Libc.Error);
    }

    /// <summary>Refuses a program that is not there, as far as can be told without starting it.</summary>
    /// <exception cref="SecretsException">It is not there.</exception>
    internal static void Require(IReadOnlyList<byte[]> command)
    {
        var program = Encoding.UTF8.GetString(command[0]);
        var isThere = program.Contains('/', StringComparison.Ordinal)
            ? Path.Exists(program)
            : (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Any(folder => Path.Exists(Path.Combine(folder.Length == 0 ? "." : folder, program)));
        if (OperatingSystem.IsLinux() && !isThere)
        {
            throw Explain(program, Libc.NoEntry);
        }
    }

    private static SecretsException Explain(string program, int error)
    {
        var shown = SecretsException.Show(program);
        return error switch
        {
            Libc.NoEntry when !program.Contains('/', StringComparison.Ordinal) =>
                new SecretsException($"there is no command '{shown}'", "check its spelling, and that its folder is in PATH"),
            Libc.NoEntry or Libc.NotDirectory =>
                new SecretsException($"there is no program '{shown}'", "check the path, and the interpreter in the script's first line"),
            Libc.AccessDenied when Directory.Exists(program) =>
                new SecretsException($"'{shown}' is a folder", "name a program: mallku run -- COMMAND"),
            Libc.AccessDenied =>
                new SecretsException($"'{shown}' may not be executed", $"make it executable: chmod +x {shown}"),
            Libc.TooBig =>
                new SecretsException("the arguments and the environment are too long together", "pass fewer secrets, with --only or --except"),
            _ => new SecretsException($"'{shown}' can't be started: {Libc.Describe(error)}", "run it without mallku to see whether it works"),
        };
    }

    // never freed: either the memory goes with this program, or this program ends with an error
    private static byte** ToNative(IReadOnlyList<byte[]> strings)
    {
        var pointers = (byte**)NativeMemory.AllocZeroed((nuint)(strings.Count + 1), (nuint)sizeof(byte*));
        for (var i = 0; i < strings.Count; i++)
        {
            pointers[i] = (byte*)NativeMemory.AllocZeroed((nuint)(strings[i].Length + 1));
            strings[i].CopyTo(new Span<byte>(pointers[i], strings[i].Length));
        }

        return pointers;
    }

    private static int RunChild(IReadOnlyList<byte[]> command, IReadOnlyList<byte[]> environment)
    {
        var start = new ProcessStartInfo(Encoding.UTF8.GetString(command[0])) { UseShellExecute = false };
        foreach (var argument in command.Skip(1))
        {
            start.ArgumentList.Add(Encoding.UTF8.GetString(argument));
        }

        start.Environment.Clear();
        foreach (var entry in environment)
        {
            var text = Encoding.UTF8.GetString(entry);
            var split = text.IndexOf('=', 1);
            start.Environment[text[..split]] = text[(split + 1)..];
        }

        try
        {
            using var child = Process.Start(start)!;
            child.WaitForExit();
            return child.ExitCode;
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw Explain(start.FileName, e.NativeErrorCode);
        }
    }
}
