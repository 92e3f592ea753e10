using Mallku.Secrets.Files;

namespace Mallku.FireCircle.Providers;

/// <summary>
/// Reads a file that says where keys are sent: nobody but this user and root may be able to write it, or to put another in
/// its place.
/// </summary>
internal static class TrustedFile
{
    private const int MaxLength = 1 << 20, OthersWrite = 0b010_010, Sticky = 0x200;
    private const uint Root = 0;

    /// <summary>The whole file, or null when there is none.</summary>
    /// <exception cref="SecretsException">Others can write or replace it, or it can't be read, or is too large or no file.</exception>
    internal static byte[]? Read(string path)
    {
        try
        {
            return OperatingSystem.IsWindows() ? ReadUnlooked(path) : ReadLooked(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SecretsException($"the providers in '{path}' can't be read: {e.Message.TrimEnd('.')}", "mend the file or its place", e);
        }
    }

    private static byte[]? ReadUnlooked(string path)
    {
        var file = new FileInfo(path);
        RequireLength(file.Exists ? file.Length : 0, path);
        return file.Exists ? File.ReadAllBytes(path) : null;
    }

    private static byte[]? ReadLooked(string path)
    {
        var descriptor = Posix.TryOpenRead(path);
        if (descriptor < 0)
        {
            return Posix.IsLink(path)
                ? throw new SecretsException($"'{path}' is a link that leads nowhere, and should be a file of providers", "mend the link or remove it")
                : null;
        }

        try
        {
            var facts = Posix.Stat(descriptor, path);
            if (!facts.IsRegularFile)
            {
                throw new SecretsException($"'{path}' is no file, and should be one of providers", "name another, or move it away");
            }

            RequireOwn(facts, path);
            RequireUnwritable(facts, path, $"'{path}', which says where keys are sent");
            RequireFolders(path, path);
            RequireLength(facts.Size, path);
            var content = new byte[facts.Size];
            return content[..Posix.ReadAll(descriptor, content, path)];
        }
        finally
        {
            Posix.Close(descriptor);
        }
    }

    // who can write one of them can put another file, or another folder with one, in the place of it
    private static void RequireFolders(string at, string path)
    {
        var isNearest = true;
        for (var folder = Path.GetDirectoryName(Path.GetFullPath(at)); folder is not null; folder = Path.GetDirectoryName(folder))
        {
            if (!Posix.TryStat(folder, out var facts))
            {
                continue;
            }

            if (isNearest)
            {
                RequireOwn(facts, folder);
            }

            // where only the owner of a file may replace it, as in /tmp
            if ((facts.Permissions & Sticky) == 0)
            {
                RequireUnwritable(facts, folder, $"the folder '{folder}', and so replace '{path}', which says where keys are sent");
            }

            if (Posix.IsLink(folder) && new DirectoryInfo(folder).ResolveLinkTarget(returnFinalTarget: true) is { } real)
            {
                RequireFolders(Path.Combine(real.FullName, "."), path);
            }

            isNearest = false;
        }

        if (new FileInfo(at).ResolveLinkTarget(returnFinalTarget: true) is { } target)
        {
            RequireFolders(target.FullName, path);
        }
    }

    private static void RequireOwn(in FileFacts facts, string path)
    {
        if (facts.Owner != Posix.EffectiveUser && facts.Owner != Root)
        {
            throw new SecretsException(
                $"'{path}' belongs to another user (uid {facts.Owner}), who could say where keys are sent", "use a file and a folder of your own");
        }
    }

    private static void RequireUnwritable(in FileFacts facts, string path, string what)
    {
        if ((facts.Permissions & OthersWrite) != 0)
        {
            throw new SecretsException($"others can write {what}", $"take that right away: chmod go-w {PrivateFile.ShellQuote(path)}");
        }
    }

    private static void RequireLength(long length, string path)
    {
        if (length > MaxLength)
        {
            throw new SecretsException($"the providers in '{path}' are larger than {MaxLength >> 20} MiB", "keep what is needed");
        }
    }
}
