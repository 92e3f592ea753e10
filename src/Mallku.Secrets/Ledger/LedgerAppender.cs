using System.Globalization;
using System.Text;
using Mallku.Secrets.Files;
using NSec.Cryptography;

namespace Mallku.Secrets.Ledger;

/// <summary>
/// Writes batches to a ledger, under its lock: entries, flush, checkpoint in one step, flush of the folder. A kill at any
/// instruction leaves the ledger as the former checkpoint says, with at most a tail behind it that nobody acknowledged.
/// For one thread at a time; other processes may write too.
/// </summary>
internal sealed partial class LedgerAppender(LedgerFolder folder, LedgerKey key, TimeProvider clock, LedgerWitness? witness)
{
    private byte[] _readNote = [];
    private Checkpoint? _read;
    private Key? _native;

    /// <summary>Writes what can be written of them and completes each, also where it fails.</summary>
    internal void Write(IReadOnlyList<LedgerBatch> batches)
    {
        // whoever is answered finds the lock free
        var answers = new List<Action>();
        try
        {
            RequireFolder();
            var descriptor = OpenLockFile();
            try
            {
                Posix.Lock(descriptor, folder.LockFile);
                RequireSame(descriptor);
                WriteLocked([.. batches.Where(batch => batch.TryBegin())], answers);
            }
            finally
            {
                Posix.Release(descriptor);
            }
        }
        catch (Exception e)
        {
            // the thread's own end: whatever it is belongs to those who wait, and none of them has an answer yet
            var error = e as LedgerException ?? LedgerErrors.CannotWrite(folder, e);
            answers = [.. batches.Select(batch => (Action)(() => batch.Fail(error)))];
        }

        answers.ForEach(static answer => answer());
    }

    /// <summary>Gives back what is kept from one call of <see cref="Write"/> to the next.</summary>
    internal void Rest()
    {
        _native?.Dispose();
        _native = null;
    }

    private void RequireFolder()
    {
        if (!Posix.TryStat(folder.Path, out var facts))
        {
            throw LedgerErrors.Gone(folder, key.Origin);
        }

        PrivateFile.Require(facts, folder.Path);
    }

    private int OpenLockFile()
    {
        try
        {
            return Posix.OpenOrCreate(folder.LockFile);
        }
        catch (PosixException e) when (e.Error == Posix.NoEntry)
        {
            // somebody has set it aside since the look before
            throw LedgerErrors.Gone(folder, key.Origin);
        }
    }

    // whoever waited for the lock of a ledger that was set aside meanwhile must not write to the one in its place
    private void RequireSame(int descriptor)
    {
        if (!Posix.TryStat(folder.LockFile, out var there) || there.Inode != Posix.Stat(descriptor, folder.LockFile).Inode)
        {
            throw new LedgerException($"the ledger in '{folder.Path}' was replaced meanwhile", "try again") { MayBeReplaced = true };
        }
    }

    private static bool IsCannotWrite(Exception e) => e is IOException or UnauthorizedAccessException || (e is SecretsException and not LedgerException);

    /// <summary>Closes the open segment: what comes next goes into a new file.</summary>
    /// <exception cref="LedgerException">The ledger is not as its checkpoint says, or can't be written.</exception>
    internal Checkpoint CloseSegment(TimeSpan patience)
    {
        try
        {
            var descriptor = folder.LockWithin(patience);
            try
            {
                var found = ReadCurrent() ?? throw LedgerErrors.Gone(folder, key.Origin);
                witness?.Require(new LedgerState(folder, found, _readNote), key.Verifier, []);
                using var native = key.ToNative();
                var current = PutTailAside(found, native);
                if (current.SegmentLength == 0)
                {
                    return current;
                }

                var next = current with { SegmentStart = current.Size, SegmentLength = 0 };
                var note = key.Sign(next, native);
                FileReplacement.Overwrite(folder.BoundaryFile(next.SegmentStart), Encoding.UTF8.GetBytes(note));
                WriteCheckpoint(next, note);
                witness?.Give(note, Environment.TickCount64, "it gets the next one; the open file is closed");
                return next;
            }
            finally
            {
                Posix.Release(descriptor);
            }
        }
        catch (Exception e) when (IsCannotWrite(e))
        {
            throw LedgerErrors.CannotWrite(folder, e);
        }
    }

    private void WriteLocked(List<LedgerBatch> batches, List<Action> answers)
    {
        if (batches.Count == 0)
        {
            return;
        }

        var found = ReadCurrent();
        witness?.Require(new LedgerState(folder, found, _readNote), key.Verifier, batches);
        var current = found ?? Checkpoint.Begin(key.Origin, batches[0].Step?.From ?? 0);
        var descriptor = OpenSegment(found, current);
        try
        {
            var accepted = Accept(found, current, batches, answers);
            if (accepted.Count == 0)
            {
                return;
            }

            var (next, note, generations) = Append(descriptor, current, accepted, _native ??= key.ToNative());
            if (TellWitness(note, accepted) is { } untold)
            {
                answers.AddRange(accepted.Select(batch => (Action)(() => batch.Fail(untold))));
                return;
            }

            for (var i = 0; i < accepted.Count; i++)
            {
                var (batch, commit) = (accepted[i], new LedgerCommit(next, note, generations[i]));
                answers.Add(() => batch.Succeed(commit));
            }
        }
        finally
        {
            Posix.Close(descriptor);
        }
    }

    // these are in the ledger, whatever comes of it
    private LedgerException? TellWitness(string note, List<LedgerBatch> batches)
    {
        try
        {
            witness?.Give(note, batches.Max(static batch => batch.Asked), LedgerWitness.Withheld);
            return null;
        }
        catch (LedgerException e)
        {
            return e;
        }
    }

    // behind what is signed; what lies there already is put aside first, and noted
    private (Checkpoint Next, string Note, List<long> Generations) Append(int descriptor, Checkpoint current, List<LedgerBatch> batches, Key native)
    {
        var lines = new LedgerLineWriter(current, clock.GetUtcNow());
        var length = Posix.Stat(descriptor, folder.SegmentFile(current.SegmentStart)).Size;
        if (length > current.SegmentLength)
        {
            lines.Add(new LedgerEvent(LedgerKind.Recovered, Note: PutAside(descriptor, current, length)), LedgerActors.Current);
        }

        var generations = batches.ConvertAll(lines.Add);
        WriteLines(descriptor, current, lines.Written, length);
        var next = lines.ToCheckpoint();
        var note = key.Sign(next, native);
        WriteCheckpoint(next, note);
        Tell(next.Size - current.Size, batches);
        return (next, note, generations);
    }

    // to who listens where the first of them was asked for: this thread is nobody's
    private static void Tell(long entries, List<LedgerBatch> batches)
    {
        if (batches is [{ Context: { } context }, ..])
        {
            ExecutionContext.Run(context, static entries => Telemetry.Appended((long)entries!), entries);
        }
        else
        {
            Telemetry.Appended(entries);
        }
    }

    /// <summary>Those that may be written; the others have their error.</summary>
    private List<LedgerBatch> Accept(Checkpoint? found, Checkpoint current, List<LedgerBatch> batches, List<Action> answers)
    {
        var accepted = new List<LedgerBatch>(batches.Count);
        var (from, to) = (current.FromGeneration, current.ToGeneration);
        foreach (var batch in batches)
        {
            if (FindFault(found, batch.Known) is { } unknown)
            {
                answers.Add(() => batch.Fail(unknown));
            }
            else if (batch.Step is { } step && FindFault(step, from, to) is { } fault)
            {
                answers.Add(() => batch.Fail(fault));
            }
            else
            {
                (from, to) = batch.Step is null ? (from, to) : (batch.Step.Found, batch.Step.GetTarget(to));
                accepted.Add(batch);
            }
        }

        return accepted;
    }

    private Checkpoint? ReadCurrent()
    {
        var note = PrivateFile.Read(folder.CheckpointFile, out _, staysInPlace: false);
        if (note is not null && _read is not null && note.AsSpan().SequenceEqual(_readNote))
        {
            return _read;
        }

        _read = note is null
            ? null
            : folder.RequireCheckpoint(note, key.Verifier);
        _readNote = note ?? [];
        return _read;
    }

    private int OpenSegment(Checkpoint? current, Checkpoint next)
    {
        RequireSegment(current, next);
        return Posix.OpenOrCreate(folder.SegmentFile(next.SegmentStart));
    }

    private void RequireSegment(Checkpoint? current, Checkpoint next)
    {
        var path = folder.SegmentFile(next.SegmentStart);
        var there = Posix.TryStat(path, out var facts);
        if (there)
        {
            PrivateFile.Require(facts, path);
        }

        if (next.SegmentLength > (there ? facts.Size : 0))
        {
            throw new LedgerException(
                string.Create(CultureInfo.InvariantCulture, $"'{path}' has {(there ? facts.Size : 0)} bytes, and its checkpoint says {next.SegmentLength}: entries were cut off"),
                LedgerException.WayOn);
        }

        if (current is null && there && facts.Size > 0)
        {
            throw LedgerErrors.Gone(folder, key.Origin);
        }
    }

    private LedgerException? FindFault(Checkpoint? found, Checkpoint? known)
    {
        if (found is null)
        {
            return known is null ? null : LedgerErrors.Gone(folder, key.Origin);
        }

        if (known is null)
        {
            return new LedgerException($"there is a ledger in '{folder.Path}' already", LedgerException.WayOn);
        }

        return found.Size < known.Size || (found.Size == known.Size && found.Root != known.Root)
            ? new LedgerException(
                $"the ledger in '{folder.Path}' has {found.Size} entries, and the vault knows of {known.Size}: an older ledger was put back", LedgerException.WayOn)
            : null;
    }

    private static LedgerException? FindFault(VaultStep step, long from, long to)
    {
        if (step.From > to && !step.WasSuspended)
        {
            return LedgerErrors.OlderLedger(step.From, to);
        }

        if (step.AcceptsOlder)
        {
            return null;
        }

        return step.WasPutBackBefore(from) ? LedgerErrors.OlderVaultChanged(step.SuspendedAt, to)
            : step.From < from ? LedgerErrors.OlderVault(step.From, to)
            : null;
    }

    // Nobody has acknowledged these bytes: they were written by somebody who was cut off, or by somebody who has no key.
    private string PutAside(int descriptor, Checkpoint next, long length)
    {
        var count = length - next.SegmentLength;
        if (count > PrivateFile.MaxLength)
        {
            throw new LedgerException(
                $"'{folder.SegmentFile(next.SegmentStart)}' has {count} bytes behind its checkpoint, more than a program writes at once", LedgerException.WayOn);
        }

        var segment = folder.SegmentFile(next.SegmentStart);
        var tail = new byte[count];
        Posix.Seek(descriptor, next.SegmentLength, segment);
        var read = Posix.ReadAll(descriptor, tail, segment);
        var name = string.Create(CultureInfo.InvariantCulture, $"unacknowledged-{next.Size}-{FileReplacement.Stamp(clock)}");
        FileReplacement.Overwrite(Path.Combine(folder.Path, name), tail.AsSpan(0, read));
        return string.Create(CultureInfo.InvariantCulture, $"{read} bytes behind the checkpoint were put aside: {name}");
    }

    // a closed segment ends with what is signed
    private Checkpoint PutTailAside(Checkpoint current, Key native)
    {
        var descriptor = OpenSegment(current, current);
        try
        {
            var length = Posix.Stat(descriptor, folder.SegmentFile(current.SegmentStart)).Size;
            return length > current.SegmentLength ? Append(descriptor, current, [], native).Next : current;
        }
        finally
        {
            Posix.Close(descriptor);
        }
    }

    private void WriteLines(int descriptor, Checkpoint current, ReadOnlySpan<byte> lines, long length)
    {
        var path = folder.SegmentFile(current.SegmentStart);
        var start = current.SegmentLength;
        try
        {
            Posix.Seek(descriptor, start, path);
            Posix.WriteAll(descriptor, lines, path);
            if (start + lines.Length < length)
            {
                Posix.Truncate(descriptor, path, start + lines.Length);
            }

            Posix.Flush(descriptor, path);
            if (start == 0)
            {
                // the name must be on the disk before a checkpoint speaks of it
                FileReplacement.FlushFolder(path);
            }
        }
        catch (PosixException)
        {
            TakeBack(descriptor, path, start);
            throw;
        }
    }

    // not a crash: this process knows that nobody was told of these bytes
    private static void TakeBack(int descriptor, string path, long length)
    {
        try
        {
            Posix.Truncate(descriptor, path, length);
        }
        catch (PosixException)
        {
            // the next writer puts them aside
        }
    }

    private void WriteCheckpoint(Checkpoint checkpoint, string note)
    {
        var bytes = Encoding.UTF8.GetBytes(note);
        FileReplacement.Overwrite(folder.CheckpointFile, bytes);
        (_read, _readNote) = (checkpoint, bytes);
    }
}
