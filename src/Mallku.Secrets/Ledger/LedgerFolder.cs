using System.Globalization;
using Mallku.Secrets.Files;

namespace Mallku.Secrets.Ledger;

/// <summary>The files of a ledger (docs/formats/ledger-v1.md): where each lies, and what can be read without a lock.</summary>
internal sealed class LedgerFolder(string path)
{
    internal const string SegmentSuffix = ".jsonl", CheckpointSuffix = ".checkpoint";

    internal string Path { get; } = path;

    /// <summary>The newest checkpoint, signed.</summary>
    internal string CheckpointFile => Combine("checkpoint");

    internal string LockFile => Combine(".lock");

    /// <summary>The entries from an index on.</summary>
    internal string SegmentFile(long start) => Combine(Name(start) + SegmentSuffix);

    /// <summary>The checkpoint with which the segment before that index was closed.</summary>
    internal string BoundaryFile(long start) => Combine(Name(start) + CheckpointSuffix);

    /// <summary>Takes the lock, and gives the descriptor that holds it until it is released.</summary>
    /// <exception cref="LedgerException">Somebody else held it all the time.</exception>
    internal int LockWithin(TimeSpan patience)
    {
        var descriptor = Posix.OpenOrCreate(LockFile);
        if (SpinWait.SpinUntil(() => Posix.TryLock(descriptor, LockFile), patience))
        {
            return descriptor;
        }

        Posix.Close(descriptor);
        throw new LedgerException(
            $"another process holds '{LockFile}' for more than {patience.TotalSeconds:0} s; nothing was changed", "wait until it is done, or end that process, and try again");
    }

    internal bool Exists => Directory.Exists(Path);

    /// <summary>The segments that are there, by the index of their first entry.</summary>
    internal IReadOnlyList<long> FindSegments()
    {
        var starts = new List<long>();
        foreach (var file in Directory.EnumerateFiles(Path, "*" + SegmentSuffix))
        {
            if (long.TryParse(System.IO.Path.GetFileNameWithoutExtension(file), NumberStyles.None, CultureInfo.InvariantCulture, out var start)
                && file == SegmentFile(start))
            {
                starts.Add(start);
            }
        }

        starts.Sort();
        return starts;
    }

    /// <summary>Those that a checkpoint speaks of, from the first that was not archived to the open one, whose file may not be there yet.</summary>
    internal IReadOnlyList<long> FindSegments(Checkpoint newest) =>
        [.. FindSegments().Where(start => start < newest.SegmentStart), newest.SegmentStart];

    /// <summary>A note as it lies on the disk, also where others may read it: it is public. Null where there is none.</summary>
    /// <exception cref="IOException">It can't be read.</exception>
    internal static byte[]? ReadNote(string file)
    {
        var descriptor = Posix.TryOpenRead(file);
        if (descriptor < 0)
        {
            return null;
        }

        try
        {
            var note = new byte[SignedNote.MaxLength + 1];
            return note[..Posix.ReadAll(descriptor, note, file)];
        }
        finally
        {
            Posix.Close(descriptor);
        }
    }

    /// <summary>The newest checkpoint's file; null where there is none.</summary>
    /// <exception cref="LedgerException">It can't be read, or others could.</exception>
    internal byte[]? ReadNewest()
    {
        try
        {
            return PrivateFile.Read(CheckpointFile, out _, staysInPlace: false);
        }
        catch (VaultOpenException e)
        {
            throw LedgerErrors.CannotRead(this, e);
        }
    }

    /// <summary>The checkpoint with which the segment before an index was closed; null where there is none that this key signed.</summary>
    /// <exception cref="IOException">It can't be read.</exception>
    internal Checkpoint? ReadBoundary(long start, NoteVerifier verifier) =>
        ReadNote(BoundaryFile(start)) is { } note && OpenCheckpoint(note, verifier) is { SegmentLength: 0 } boundary
        && boundary.Size == start && boundary.SegmentStart == start
            ? boundary
            : null;

    /// <summary>The checkpoint in the bytes of the checkpoint's file.</summary>
    /// <exception cref="LedgerException">It was not signed by this ledger's key, or is damaged.</exception>
    internal Checkpoint RequireCheckpoint(ReadOnlySpan<byte> note, NoteVerifier verifier) =>
        OpenCheckpoint(note, verifier) ?? throw LedgerErrors.NotSigned(this, verifier.Name);

    /// <summary>The newest of the ledgers that were set aside, which keep their place's name before a point, that is as wanted; null for none.</summary>
    internal string? FindAside(Predicate<LedgerFolder> isWanted)
    {
        try
        {
            return !Directory.Exists(System.IO.Path.GetDirectoryName(Path)) ? null : Directory.EnumerateDirectories(System.IO.Path.GetDirectoryName(Path)!, System.IO.Path.GetFileName(Path) + ".*")
                .OrderDescending(StringComparer.Ordinal)
                .FirstOrDefault(aside => Is(new LedgerFolder(aside), isWanted));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }

        static bool Is(LedgerFolder aside, Predicate<LedgerFolder> isWanted)
        {
            try
            {
                return isWanted(aside);
            }
            catch (SecretsException)
            {
                return false;
            }
        }
    }

    /// <summary>The same of that origin.</summary>
    internal string? FindAside(string origin) => FindAside(aside => LedgerLog.Glance(aside)?.Origin == origin);

    /// <summary>The checkpoint in a note that this key signed; null for every other note.</summary>
    internal static Checkpoint? OpenCheckpoint(ReadOnlySpan<byte> note, NoteVerifier verifier) =>
        SignedNote.Open(note, verifier) is { } text && Checkpoint.Parse(text) is { } checkpoint && checkpoint.Origin == verifier.Name ? checkpoint : null;

    private string Combine(string name) => System.IO.Path.Combine(Path, name);

    private static string Name(long start) => start.ToString("D20", CultureInfo.InvariantCulture);
}
