using System.Runtime.InteropServices;

namespace Mallku.Secrets.Files;

/// <summary>A call to the operating system that failed, with its errno.</summary>
internal sealed class PosixException(string operation, string path, int error)
    : IOException($"can't {operation} '{path}': {Marshal.GetPInvokeErrorMessage(error)}")
{
    internal int Error { get; } = error;

    internal string Path { get; } = path;

    /// <summary>What to do where a folder has the place of a file.</summary>
    internal const string RemedyOfFolder = "move it away";

    internal static string DescribeFolder(string path) => $"'{path}' is a folder, and should be a file";

    internal static string DescribeLink(string path) => $"'{path}' is a symbolic link, and should be a file of its own";

    /// <summary>What to do where a link has the place of a file that holds nothing to keep.</summary>
    internal static string RemedyOfLink(string path) => $"remove the link: rm {PrivateFile.ShellQuote(path)}";

    /// <summary>What a person should know when a write of <paramref name="path"/> failed with this.</summary>
    internal SecretsException ToWriteError(string path)
    {
        var folder = System.IO.Path.GetDirectoryName(path);
        if (Error == Posix.NoSpace || Error == Posix.QuotaExceeded)
        {
            return new SecretsException($"no space left for '{path}'; nothing was changed", "free some space and try again", this);
        }

        if (Error == Posix.NoLocks || Error == Posix.NotSupported)
        {
            return new SecretsException(
                $"the file system of '{folder}' has no locks; nothing was changed",
                "keep the vault on a local file system: set MALLKU_SECRETS_DIR or --dir",
                this);
        }

        if (Error == Posix.LinkInPlace && Posix.IsLink(Path))
        {
            return new SecretsException($"{DescribeLink(Path)}; nothing was changed", RemedyOfLink(Path), this);
        }

        if (Error == Posix.FolderInPlace && Posix.IsFolder(Path))
        {
            return new SecretsException($"{DescribeFolder(Path)}; nothing was changed", RemedyOfFolder, this);
        }

        return Error is Posix.ReadOnly or Posix.AccessDenied
            ? new SecretsException(
                $"'{folder}' can't be written ({Message}); nothing was changed",
                "make the folder writable for this user, or use another by MALLKU_SECRETS_DIR or --dir",
                this)
            : new SecretsException($"{Message}; nothing was changed", "look at the folder and the disk, and try again", this);
    }
}
