using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Mallku.Cli.Tests;

/// <summary>The published native <c>mallku</c>: the one that MALLKU_BINARY names, else one that is published here once.</summary>
internal static class NativeBinary
{
    private static readonly Lazy<string> Published = new(Publish);

    /// <summary>The folder that it lies in, to be the first of PATH.</summary>
    internal static string Folder => System.IO.Path.GetDirectoryName(
        Environment.GetEnvironmentVariable("MALLKU_BINARY") is { Length: > 0 } given ? given : Published.Value)!;

    /// <summary>The repository. A deterministic build does not know its own source files' paths.</summary>
    internal static string Root { get; } = FindRoot(AppContext.BaseDirectory);

    private static string FindRoot(string folder) => File.Exists(System.IO.Path.Combine(folder, "Mallku.slnx"))
        ? folder
        : FindRoot(System.IO.Path.GetDirectoryName(folder)!);

    private static string Publish()
    {
        Needs.Program("clang");
        var project = System.IO.Path.Combine(Root, "src", "Mallku.Cli");
        var output = System.IO.Path.Combine(AppContext.BaseDirectory, "mallku");
        using var publish = Process.Start(new ProcessStartInfo(
            "dotnet", ["publish", project, "-c", "Release", "-r", RuntimeInformation.RuntimeIdentifier, "-o", output, "-v", "quiet"]))!;
        publish.WaitForExit();
        Assert.Equal(0, publish.ExitCode);
        return System.IO.Path.Combine(output, "mallku");
    }
}

/// <summary>What a test can't do without; where it is absent the test is skipped, but not in CI.</summary>
internal static class Needs
{
    internal static void Program(string name) =>
        Require((Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(folder => System.IO.File.Exists(Path.Combine(folder, name))), name);

    internal static void File(string path, string name) => Require(Path.Exists(path), name);

    private static void Require(bool isThere, string name)
    {
        Assert.True(isThere || Environment.GetEnvironmentVariable("CI") is not "true", $"{name} is not installed, and CI needs it");
        Assert.SkipUnless(isThere, $"{name} is not installed");
    }
}
