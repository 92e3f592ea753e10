using System.Globalization;

namespace Mallku.Secrets.Files;

/// <summary>
/// Writes that are whole or not there: a kill or a loss of power at any instruction leaves the old or the new file, and
/// when a call returns, the new one is on the disk. The caller holds the folder's lock.
/// </summary>
internal static class FileReplacement
{
    internal const string TemporarySuffix = ".tmp";
    internal const string FormerSuffix = ".previous";

    /// <summary>
    /// Puts <paramref name="content"/> in the place of the file, mode 0600, and keeps the former one as
    /// <c>*.previous</c>.
    /// </summary>
    /// <exception cref="SecretsException">It could not be written; the former file is in its place.</exception>
    internal static void Replace(string path, ReadOnlySpan<byte> content)
    {
        var temporary = path + TemporarySuffix;
        var former = path + FormerSuffix;
        var exchanged = false;
        try
        {
            WriteFlushed(temporary, content);
            if (!Posix.TryStat(path, out _))
            {
                Posix.Rename(temporary, path);
            }
            else if (exchanged = Posix.TryExchange(temporary, path))
            {
                // The former file moves by name and never shares its inode with the current one: a Python writer
                // truncates the current file in place, and would take the other name with it.
                MoveFormer(temporary, former, path);
            }
            else
            {
                CopyFlushed(path, former);
                Posix.Rename(temporary, path);
            }
        }
        catch (PosixException e)
        {
            if (!exchanged)
            {
                Discard(temporary);
            }

            throw e.ToWriteError(path);
        }

        FlushFolder(path);
    }

    /// <summary>Writes a file, 0600, over one that may exist and is not kept, and waits until it is on the disk.</summary>
    /// <param name="path">The file.</param>
    /// <param name="content">What it will hold.</param>
    /// <param name="isPublic">Whether everybody may read it: 0644.</param>
    /// <exception cref="SecretsException">It could not be written; a former file is in its place.</exception>
    internal static void Overwrite(string path, ReadOnlySpan<byte> content, bool isPublic = false)
    {
        var temporary = path + TemporarySuffix;
        try
        {
            WriteFlushed(temporary, content, isPublic);
            RenameOrDiscard(temporary, path);
        }
        catch (PosixException e)
        {
            throw e.ToWriteError(path);
        }

        FlushFolder(path);
    }

    /// <summary>Gives a file another name, over one that may exist, and waits until the folder is on the disk.</summary>
    /// <exception cref="SecretsException">The system refused it.</exception>
    internal static void Rename(string from, string to)
    {
        try
        {
            Posix.Rename(from, to);
        }
        catch (PosixException e)
        {
            throw e.ToWriteError(from);
        }

        FlushFolder(to);
    }

    /// <summary>Removes a file, if there is one, and waits until the folder is on the disk.</summary>
    /// <exception cref="SecretsException">The system refused it.</exception>
    internal static void Remove(string path)
    {
        try
        {
            if (!Posix.Unlink(path))
            {
                return;
            }
        }
        catch (PosixException e)
        {
            throw e.ToWriteError(path);
        }

        FlushFolder(path);
    }

    /// <summary>Removes what a write of this file that was cut off has left.</summary>
    /// <exception cref="SecretsException">The system refused it.</exception>
    internal static void RemoveTemporary(string path)
    {
        Remove(path + TemporarySuffix);
    }

    /// <summary>Makes a second, independent file of the same content under the name <paramref name="to"/>.</summary>
    /// <exception cref="SecretsException">The system refused it.</exception>
    internal static void Copy(string from, string to)
    {
        try
        {
            CopyFlushed(from, to);
        }
        catch (PosixException e)
        {
            throw e.ToWriteError(to);
        }

        FlushFolder(to);
    }

    /// <summary>The time as it stands in the name of a file that is kept.</summary>
    internal static string Stamp(TimeProvider clock) => clock.GetUtcNow().ToString("yyyyMMdd'T'HHmmssfff'Z'", CultureInfo.InvariantCulture);

    /// <summary>What to put in the place of a file that is damaged, after the word "put".</summary>
    internal static string DescribeBackup(string path) =>
        File.Exists(path + FormerSuffix) ? "its former state back: mallku key recover" : "a backup in its place";

    private static void MoveFormer(string temporary, string former, string path)
    {
        try
        {
            Posix.Rename(temporary, former);
        }
        catch (PosixException)
        {
            // the temporary name holds the former file: only when that is back in its place may the name go
            Posix.TryExchange(temporary, path);
            Discard(temporary);
            throw;
        }
    }

    private static void CopyFlushed(string from, string to)
    {
        var temporary = to + TemporarySuffix;
        var content = PrivateFile.Read(from, out _) ?? throw new PosixException("open", from, Posix.NoEntry);
        WriteFlushed(temporary, content);
        RenameOrDiscard(temporary, to);
    }

    private static void RenameOrDiscard(string temporary, string path)
    {
        try
        {
            Posix.Rename(temporary, path);
        }
        catch (PosixException)
        {
            Discard(temporary);
            throw;
        }
    }

    private static void WriteFlushed(string path, ReadOnlySpan<byte> content, bool isPublic = false)
    {
        // what a kill left behind; nobody else writes while the lock is held
        Posix.Unlink(path);
        var descriptor = Posix.CreateNew(path, isPublic);
        try
        {
            Posix.WriteAll(descriptor, content, path);
            Posix.Flush(descriptor, path);
        }
        catch (PosixException)
        {
            Discard(path);
            throw;
        }
        finally
        {
            Posix.Close(descriptor);
        }
    }

    /// <summary>Waits until the names in the folder of this path are on the disk.</summary>
    /// <exception cref="SecretsException">The disk did not confirm it.</exception>
    internal static void FlushFolder(string path)
    {
        var folder = Path.GetDirectoryName(path)!;
        try
        {
            var descriptor = Posix.OpenRead(folder);
            try
            {
                Posix.Flush(descriptor, folder);
            }
            finally
            {
                Posix.Close(descriptor);
            }
        }
        catch (PosixException e)
        {
            throw new SecretsException(
                $"'{path}' was written, and the disk did not confirm it ({e.Message})",
                "check the disk; then look whether the change is there",
                e);
        }
    }

    private static void Discard(string path)
    {
        try
        {
            Posix.Unlink(path);
        }
        catch (PosixException)
        {
            // the first error is the one to tell; `doctor` finds the leftover
        }
    }
}
