using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace Mallku.Secrets.Rotation;

/// <summary>Which program a step runs, and whether one still runs that was left behind.</summary>
internal static class StepProgram
{
    private const UnixFileMode Executable = UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;
    private const int Looks = 50;
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(100);

    /// <summary>
    /// The absolute path of a program that is named from here, by a path or as a shell finds it: a timer runs it from another
    /// folder, and with another PATH.
    /// </summary>
    /// <exception cref="SecretsException">There is none of that name in PATH.</exception>
    internal static string Find(string program)
    {
        if (program.Contains('/', StringComparison.Ordinal))
        {
            return Path.GetFullPath(program);
        }

        // as the program itself will have it
        var folders = new ProcessStartInfo().Environment.TryGetValue("PATH", out var path) ? path ?? "" : "";
        return folders.Split(':').Where(Path.IsPathFullyQualified).Select(folder => Path.Combine(folder, program)).FirstOrDefault(IsExecutable)
            ?? throw new SecretsException($"there is no program '{SecretsException.Show(program)}' in PATH", "check its spelling, or name it by its path");
    }

    /// <summary>Refuses a program that can't be started, before a rotation is begun that would only have to be given up.</summary>
    /// <exception cref="SecretsException">There is none, or it may not be executed.</exception>
    internal static void Require(string program)
    {
        if (!IsExecutable(program))
        {
            throw new SecretsException($"there is no program '{SecretsException.Show(program)}' that can be run", "check its path and that it may be executed (chmod +x), or name another after '--'");
        }
    }

    /// <summary>
    /// Waits a moment for the program of an earlier step that a killed process left running. Linux alone tells of one.
    /// </summary>
    /// <exception cref="SecretsException">It goes on.</exception>
    internal static async ValueTask RequireNoneLeftAsync(RotatedKey key, CancellationToken cancellationToken)
    {
        for (var look = 1; FindLeft(key) is { } process; look++)
        {
            if (look == Looks)
            {
                throw new SecretsException(
                    string.Create(CultureInfo.InvariantCulture, $"the program of a step that was cut off still runs, as process {process}; another one is not started"),
                    string.Create(CultureInfo.InvariantCulture, $"wait until it has ended, or end it (kill {process})"));
            }

            await Task.Delay(BetweenLooks, cancellationToken).ConfigureAwait(false);
        }
    }

    private static int? FindLeft(RotatedKey key)
    {
        if (!OperatingSystem.IsLinux())
        {
            return null;
        }

        // A script stands behind its interpreter. What a program starts in its turn has another command, or is a part of it.
        var command = Encoding.UTF8.GetBytes('\0' + string.Join('\0', key.Policy.Command) + '\0');
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(folder), NumberStyles.None, CultureInfo.InvariantCulture, out var process)
                && ReadList(folder + "/cmdline").AsSpan().EndsWith(command)
                && ReadList(folder + "/environ") is var environment
                && (IsOf(environment, key.VersionId) || IsOf(environment, key.UnderWay)))
            {
                return process;
            }
        }

        return null;
    }

    private static bool IsOf(byte[] environment, string? versionId) =>
        versionId is not null && environment.AsSpan().IndexOf(Encoding.UTF8.GetBytes($"\0{CommandRotator.VersionIdVariable}={versionId}\0")) >= 0;

    // each part behind a zero; nothing of a process that has ended, or is another user's
    private static byte[] ReadList(string file)
    {
        try
        {
            return [0, .. File.ReadAllBytes(file)];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    private static bool IsExecutable(string file) =>
        File.Exists(file) && (OperatingSystem.IsWindows() || (File.GetUnixFileMode(file) & Executable) != UnixFileMode.None);
}
