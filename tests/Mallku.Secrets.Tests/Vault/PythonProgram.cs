using System.Diagnostics;

namespace Mallku.Secrets.Tests.Vault;

/// <summary>Runs vault.py: a Python program that works on the same folder.</summary>
internal sealed class PythonProgram : IDisposable
{
    private readonly Process _process;

    private PythonProgram(string command, string folder, params string[] more)
    {
        Requires.PythonCryptography();
        _process = Process.Start(new ProcessStartInfo(
            Requires.Python, ["-B", Path.Combine(AppContext.BaseDirectory, "Vault", "vault.py"), command, folder, .. more])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!;
    }

    /// <summary>Writes the JSON object over whatever the folder holds.</summary>
    public static void Write(string folder, string json) => Run(json, "write", folder);

    /// <summary>The JSON object as Python prints it: ASCII, one line.</summary>
    public static string Read(string folder) => Run("", "read", folder).TrimEnd('\n');

    public static void WriteSecretFile(string folder, string name, string json) => Run(json, "secret-file", folder, name);

    /// <summary>Loads the object, changes it, writes it, and ends.</summary>
    public static void Update(string folder, string change)
    {
        using var program = Load(folder);
        program.Write(change);
    }

    /// <summary>Loads key and object, and keeps both in memory until it is disposed of.</summary>
    public static PythonProgram Load(string folder)
    {
        var program = new PythonProgram("update", folder);
        program.Expect("loaded");
        return program;
    }

    /// <summary>Applies <c>{"set": {...}, "remove": [...]}</c> to what it remembers, and writes that.</summary>
    public void Write(string change)
    {
        _process.StandardInput.Write(change + "\n");
        _process.StandardInput.Flush();
        Expect("written");
    }

    public void Dispose()
    {
        _process.StandardInput.Close();
        _process.WaitForExit();
        _process.Dispose();
    }

    private static string Run(string input, string command, string folder, params string[] more)
    {
        using var program = new PythonProgram(command, folder, more);
        program._process.StandardInput.Write(input);
        program._process.StandardInput.Close();
        var output = program._process.StandardOutput.ReadToEnd();
        program._process.WaitForExit();
        Assert.Equal(0, program._process.ExitCode);
        return output;
    }

    private void Expect(string answer) => Assert.Equal(answer, _process.StandardOutput.ReadLine());
}
