using Mallku.Secrets.Files;

namespace Mallku.Secrets.Ledger;

// whether an append could be made, found without one
internal sealed partial class LedgerAppender
{
    /// <summary>Goes as far as an append goes before it writes, and looks whether it could. Safe beside a thread that writes.</summary>
    /// <returns>The newest checkpoint.</returns>
    /// <exception cref="LedgerException">What an append would end with.</exception>
    internal Checkpoint Try(Checkpoint known)
    {
        try
        {
            RequireFolder();
            RequireWritable();
            var found = PrivateFile.Read(folder.CheckpointFile, out _) is { } note ? folder.RequireCheckpoint(note, key.Verifier) : null;
            var current = found ?? Checkpoint.Begin(key.Origin, 0);
            RequireOpenable(folder.SegmentFile(current.SegmentStart));
            RequireSegment(found, current);
            if (Posix.TryStat(folder.SegmentFile(current.SegmentStart), out _))
            {
                Posix.RequireWritable(folder.SegmentFile(current.SegmentStart));
            }

            if (FindFault(found, known) is { } fault)
            {
                throw fault;
            }

            return Posix.HasSpace(folder.Path) ? found! : throw new PosixException("write", folder.CheckpointFile, Posix.NoSpace).ToWriteError(folder.CheckpointFile);
        }
        catch (Exception e) when (IsCannotWrite(e))
        {
            throw LedgerErrors.CannotWrite(folder, e);
        }
    }

    private void RequireWritable()
    {
        RequireOpenable(folder.LockFile);
        if (Posix.TryStat(folder.LockFile, out _))
        {
            Posix.RequireWritable(folder.LockFile);
        }

        var temporary = folder.CheckpointFile + FileReplacement.TemporarySuffix;
        if (Posix.IsFolder(temporary))
        {
            throw new PosixException("remove", temporary, Posix.FolderInPlace).ToWriteError(folder.CheckpointFile);
        }

        try
        {
            Posix.RequireWritable(folder.Path);
        }
        catch (PosixException e)
        {
            throw e.ToWriteError(folder.CheckpointFile);
        }
    }

    // as an append opens it, which follows no link
    private static void RequireOpenable(string path)
    {
        if (Posix.IsLink(path) || Posix.IsFolder(path))
        {
            throw new PosixException("open", path, Posix.IsLink(path) ? Posix.LinkInPlace : Posix.FolderInPlace);
        }
    }
}
