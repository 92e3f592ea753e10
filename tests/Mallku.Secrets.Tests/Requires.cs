namespace Mallku.Secrets.Tests;

/// <summary>What the machine must have. A test without it is skipped, and fails where <c>CI=true</c>.</summary>
internal static class Requires
{
    public const string Python = "/usr/bin/python3";

    public static void Program(string name)
    {
        if (!Environment.GetEnvironmentVariable("PATH")!.Split(':').Any(folder => File.Exists(Path.Combine(folder, name))))
        {
            Missing(name);
        }
    }

    public static void Root()
    {
        if (!Environment.IsPrivilegedProcess)
        {
            Missing("root");
        }
    }

    /// <summary>Root that may mount file systems, which root in a container often may not.</summary>
    public static void Mounts()
    {
        Root();
        const int mayAdministrate = 21;
        var capabilities = File.ReadLines("/proc/self/status").First(line => line.StartsWith("CapEff:", StringComparison.Ordinal))["CapEff:".Length..];
        if ((Convert.ToUInt64(capabilities.Trim(), 16) >> mayAdministrate & 1) == 0)
        {
            Missing("the right to mount");
        }
    }

    /// <summary>Debian's python3 with the package <c>cryptography</c>.</summary>
    public static void PythonCryptography()
    {
        if (!Directory.Exists("/usr/lib/python3/dist-packages/cryptography"))
        {
            Missing("python3-cryptography");
        }
    }

    /// <summary>The folder of PostgreSQL's programs, where Debian has them apart from the others, or in the PATH.</summary>
    public static string PostgreSql()
    {
        var found = Environment.GetEnvironmentVariable("PATH")!.Split(':')
            .Concat(Directory.Exists("/usr/lib/postgresql") ? Directory.EnumerateDirectories("/usr/lib/postgresql").Select(static version => version + "/bin") : [])
            .FirstOrDefault(static folder => File.Exists(folder + "/initdb") && File.Exists(folder + "/postgres"));
        if (found is null)
        {
            Missing("the server of PostgreSQL");
        }

        return found!;
    }

    public static void That(bool isThere, string what)
    {
        if (!isThere)
        {
            Missing(what);
        }
    }

    private static void Missing(string what)
    {
        if (Environment.GetEnvironmentVariable("CI") == "true")
        {
            Assert.Fail($"{what} is missing");
        }

        Assert.Skip($"{what} is missing");
    }
}
