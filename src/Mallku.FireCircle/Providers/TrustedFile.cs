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
            RequireFolders(path);
            RequireLength(facts.Size, path);
            var content = new byte[facts.Size];
            return content[..Posix.ReadAll(descriptor, content, path)];
        }
        finally
        {
            Posix.Close(descriptor);
        }
    }

    // Every folder in which a name is looked up on the way, as the system does it, link by link: who can write one, or owns it,
    // can put another file, or another folder with one, in the place of it.
    private static void RequireFolders(string path)
    {
        const int mostLinks = 40;
        var left = new Stack<string>(Split(Path.Combine(Environment.CurrentDirectory, path)).Reverse());
        var (folder, links) = ("/", 0);
        RequireFolder(folder, path);
        while (left.TryPop(out var name))
        {
            var next = name == ".." ? Path.GetDirectoryName(folder) ?? folder : Path.Combine(folder, name);
            if (name != ".." && links < mostLinks && new FileInfo(next).LinkTarget is { } target)
            {
                links++;
                folder = Path.IsPathRooted(target) ? "/" : folder;
                foreach (var step in Split(target).Reverse())
                {
                    left.Push(step);
                }
            }
            else if (left.Count > 0)
            {
                folder = next;
                RequireFolder(folder, path);
            }
        }
    }

    private static void RequireFolder(string folder, string path)
    {
        if (!Posix.TryStat(folder, out var facts))
        {
            return;
        }

        RequireOwn(facts, folder);

        // where only the owner of a file, or of the folder, may replace it, as in /tmp
        if ((facts.Permissions & Sticky) == 0)
        {
            RequireUnwritable(facts, folder, $"the folder '{folder}', and so replace '{path}', which says where keys are sent");
        }
    }

    private static IEnumerable<string> Split(string path) => path.Split('/', StringSplitOptions.RemoveEmptyEntries).Where(static name => name != ".");

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
