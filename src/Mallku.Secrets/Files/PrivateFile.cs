namespace Mallku.Secrets.Files;

/// <summary>Files and folders that nobody but this user may read: what is looser is refused, not tightened silently.</summary>
internal static class PrivateFile
{
    /// <summary>Far above any vault, far below what would exhaust the memory.</summary>
    internal const int MaxLength = 1 << 29;

    /// <summary>Reads a whole file, or null when there is none.</summary>
    /// <param name="path">The file.</param>
    /// <param name="facts">What the system says of it.</param>
    /// <param name="staysInPlace">Whether the array is one that the collector never moves: for what is to be wiped. Such arrays are dear.</param>
    /// <exception cref="VaultOpenException">Others can read it, it belongs to another user, or it is no file.</exception>
    internal static byte[]? Read(string path, out FileFacts facts, bool staysInPlace = true)
    {
        facts = default;
        try
        {
            var descriptor = Posix.TryOpenRead(path);
            if (descriptor < 0)
            {
                return null;
            }

            try
            {
                facts = Posix.Stat(descriptor, path);
                if (facts.IsFolder)
                {
                    throw new VaultOpenException(PosixException.DescribeFolder(path), PosixException.RemedyOfFolder);
                }

                Require(facts, path);

                if (facts.Size > MaxLength)
                {
                    throw new VaultOpenException($"'{path}' is larger than {MaxLength >> 20} MiB", "check whether it is the right file");
                }

                var bytes = staysInPlace ? SecretValue.Allocate((int)facts.Size) : new byte[facts.Size];
                var length = Posix.ReadAll(descriptor, bytes, path);
                return length == bytes.Length ? bytes : bytes[..length];
            }
            finally
            {
                Posix.Close(descriptor);
            }
        }
        catch (PosixException e)
        {
            throw new VaultOpenException(e.Message, "look at the file and at the folder's mode", e);
        }
    }

    /// <summary>Reads a file that is no secret, whoever else may read it; null when there is none.</summary>
    internal static byte[]? ReadAny(string path)
    {
        try
        {
            return File.Exists(path) ? File.ReadAllBytes(path) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new VaultOpenException(e.Message.TrimEnd('.'), $"look at the mode of '{path}'", e);
        }
    }

    /// <summary>Refuses what others could read or change.</summary>
    /// <exception cref="VaultOpenException">Others can, or it is neither a file nor a folder.</exception>
    internal static void Require(in FileFacts facts, string path)
    {
        if (!facts.IsFolder && !facts.IsRegularFile)
        {
            throw new VaultOpenException($"'{path}' is neither a file nor a folder", "move it away");
        }

        if (facts.Owner != Posix.EffectiveUser)
        {
            throw new VaultOpenException(
                $"'{path}' belongs to another user (uid {facts.Owner})",
                facts.IsFolder
                    ? "use a folder of your own: set MALLKU_SECRETS_DIR or --dir, or run 'mallku init'"
                    : $"where it is yours, take it back: sudo chown {Posix.EffectiveUser} {ShellQuote(path)}; else use a folder of your own: set MALLKU_SECRETS_DIR or --dir");
        }

        if ((facts.Permissions & 0b000_111_111) != 0)
        {
            var mode = Convert.ToString(facts.Permissions & 0x1FF, 8).PadLeft(4, '0');
            throw new VaultOpenException(
                $"others can get at '{path}' (mode {mode})",
                $"chmod {(facts.IsFolder ? "700" : "600")} {ShellQuote(path)}");
        }
    }

    /// <summary>The path as a word for a shell.</summary>
    internal static string ShellQuote(string path) =>
        path.All(static c => char.IsAsciiLetterOrDigit(c) || c is '/' or '.' or '_' or '-')
            ? path
            : $"'{path.Replace("'", "'\\''", StringComparison.Ordinal)}'";
}
