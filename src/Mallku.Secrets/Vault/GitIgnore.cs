using Mallku.Secrets.Files;

namespace Mallku.Secrets.Vault;

/// <summary>The file by which a vault's folder is never committed by accident.</summary>
internal static class GitIgnore
{
    /// <summary>Whether git adds nothing of the folder that has this file.</summary>
    /// <exception cref="VaultOpenException">It can't be read.</exception>
    internal static bool IsComplete(string path) => IgnoresAll(PrivateFile.ReadAny(path) ?? []);

    /// <summary>Makes it where it is not there: the folder is older than it, or somebody removed it. What is there is its owner's.</summary>
    /// <returns>Whether it was made.</returns>
    /// <exception cref="SecretsException">It can't be written.</exception>
    internal static bool MakeIfAbsent(string path)
    {
        if (Path.Exists(path))
        {
            return false;
        }

        Complete(path);
        return true;
    }

    /// <summary>Lets git ignore everything in the folder, whatever the file says otherwise.</summary>
    /// <exception cref="SecretsException">It can't be read or written.</exception>
    internal static void Complete(string path)
    {
        var lines = PrivateFile.ReadAny(path) ?? [];
        if (!IgnoresAll(lines))
        {
            var separator = lines.Length == 0 || lines[^1] == (byte)'\n' ? ""u8 : "\n"u8;
            FileReplacement.Overwrite(path, [.. lines, .. separator, .. "*\n"u8]);
        }
    }

    private static bool IgnoresAll(ReadOnlySpan<byte> lines)
    {
        foreach (var line in lines.Split((byte)'\n'))
        {
            if (lines[line].Trim(" \t\r"u8).SequenceEqual("*"u8))
            {
                return true;
            }
        }

        return false;
    }
}
