using System.Globalization;
using System.Text;
using Mallku.Secrets.Files;

namespace Mallku.Secrets.Ledger;

/// <summary>
/// A file that has the newest checkpoint, where whoever can write the ledger can't. What it has is held against the ledger
/// before anything is written to either: the ledger must go on from it. Written under the ledger's lock.
/// </summary>
internal sealed class WitnessFile(string path, TimeProvider clock)
{
    internal const string Variable = "MALLKU_WITNESS_FILE";

    private const string PutBack =
        "see what is missing: mallku audit verify; then put the newest vault and ledger back, or, where these are wanted, go on with a new ledger that says so: mallku audit restart";

    private bool _isOfFormer;

    internal string Path => path;

    /// <summary>How the witness is called in a message.</summary>
    internal string Name => $"the witness '{path}'";

    /// <summary>The checkpoint that is there, signed or not; null for none.</summary>
    /// <exception cref="LedgerException">It can't be read.</exception>
    internal byte[]? Read()
    {
        try
        {
            return LedgerFolder.ReadNote(path);
        }
        catch (IOException e)
        {
            throw CannotRead(e);
        }
    }

    /// <summary>Refuses a ledger that does not go on from what is there.</summary>
    /// <param name="ledger">The ledger as it is.</param>
    /// <param name="verifier">Its key.</param>
    /// <param name="isRestart">Whether a person began it anew, so that what is there may be of another one, and is kept beside.</param>
    /// <param name="orphan">The checkpoint of a beginning that was cut off: no vault knows of it, and it may be there.</param>
    /// <exception cref="LedgerException">It does not, or the file can't be read or could not be written.</exception>
    internal void Require(LedgerState ledger, NoteVerifier verifier, bool isRestart, byte[]? orphan)
    {
        _isOfFormer = false;
        if (Read() is not { } note)
        {
            RequireFolder();
        }
        else if (!IsSame(note, ledger.Note) && !IsSame(note, orphan) && FindFault(note, ledger, verifier) is { } fault)
        {
            _isOfFormer = isRestart ? true : throw fault;
        }
    }

    /// <summary>Refuses a vault that knows of no ledger, where there is something here: it was put back to before that began.</summary>
    /// <param name="begun">Where a ledger was begun for the vault, which may be here already, and cut off before the vault was written; null for none.</param>
    /// <exception cref="LedgerException">There is, or it can't be read.</exception>
    internal void RequireNone(LedgerFolder? begun)
    {
        if (Read() is { } note && (begun is null || !IsSame(note, PrivateFile.Read(begun.CheckpointFile, out _))))
        {
            throw FindForeign(note, verifier: null);
        }
    }

    // an empty file is no checkpoint that somebody has, and none is no checkpoint either
    private static bool IsSame(byte[] note, byte[]? other) => note.Length > 0 && note.AsSpan().SequenceEqual(other);

    /// <summary>What is wrong with a ledger by what is there; null where it goes on from it.</summary>
    /// <exception cref="LedgerException">It can't be compared.</exception>
    internal LedgerException? FindFault(byte[] note, LedgerState ledger, NoteVerifier verifier)
    {
        if (LedgerFolder.OpenCheckpoint(note, verifier) is not { } known)
        {
            return FindForeign(note, verifier);
        }

        var size = ledger.Newest?.Size ?? 0;
        if (known.Size > size)
        {
            return new LedgerException(
                $"{Name} knows of {Count(known.Size)}, and the ledger in '{ledger.Folder.Path}' has {size}: it was put back to an earlier state, or the vault and it together",
                PutBack);
        }

        return (LedgerGrowth.GoesOn(ledger.Folder, known, ledger.Newest!) ?? throw CannotCompare(ledger.Folder, known))
            ? null
            : new LedgerException(
                $"the ledger in '{ledger.Folder.Path}' does not go on from what {Name} knows, {Count(known.Size)}: it was put back and went on otherwise, or whoever has the vault's key wrote it anew",
                PutBack);
    }

    /// <summary>Replaces what is there; durable when it returns.</summary>
    /// <exception cref="LedgerException">It could not be written.</exception>
    internal void Write(string note, string consequence)
    {
        try
        {
            if (new FileInfo(path).LinkTarget is { } target)
            {
                throw CannotWrite($"it is a symbolic link to '{target}', which a write would replace", consequence, cause: null);
            }

            if (_isOfFormer)
            {
                // with the ledger that a person gave up: it may be all that is left to tell of it
                FileReplacement.Rename(path, $"{path}.{FileReplacement.Stamp(clock)}");
                _isOfFormer = false;
            }

            FileReplacement.Overwrite(path, Encoding.UTF8.GetBytes(note), isPublic: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or (SecretsException and not LedgerException))
        {
            throw CannotWrite((e.InnerException as PosixException ?? e).Message.TrimEnd('.'), consequence, e);
        }
    }

    /// <summary>Refuses where a write could not be made, as far as can be told without one.</summary>
    /// <exception cref="LedgerException">It could not.</exception>
    internal void RequireWritable()
    {
        if (FindObstacle() is { } obstacle)
        {
            throw CannotWrite(obstacle, LedgerWitness.Withheld, cause: null, isRecorded: false);
        }
    }

    /// <summary>Says what is in the way of a write, as far as can be told without one; null where nothing is.</summary>
    internal string? FindObstacle()
    {
        try
        {
            Posix.RequireWritable(System.IO.Path.GetDirectoryName(path)!);
            return Posix.HasSpace(System.IO.Path.GetDirectoryName(path)!) ? null : "no space left";
        }
        catch (PosixException e)
        {
            return e.Message;
        }
    }

    // better said before the ledger has an entry that nobody was told of
    private void RequireFolder()
    {
        if (!Directory.Exists(System.IO.Path.GetDirectoryName(path)))
        {
            throw CannotWrite("its folder is not there", LedgerWitness.Withheld, cause: null, isRecorded: false);
        }
    }

    private LedgerException FindForeign(byte[] note, NoteVerifier? verifier) => Checkpoint.ParseUnverified(Encoding.UTF8.GetString(note)) switch
    {
        null => new LedgerException(
            $"{Name} holds something that is no checkpoint", $"name another file by {Variable}, or move away what is there"),
        { } other when other.Origin == verifier?.Name => new LedgerException(
            $"{Name} has a checkpoint of this ledger that its key did not sign, or that was damaged",
            "look who can write there; once the ledger is known to be whole (mallku audit verify --against FILE), move that file away"),
        { } other => new LedgerException(
            $"{Name} knows the ledger {SecretsException.Show(other.Origin)}, and {(verifier is null ? "this vault has none" : $"this vault's is {verifier.Name}")}: the vault and its ledger were replaced, or it is another vault's witness",
            $"put the former ones back, or give each vault a file of its own by {Variable}; where a person began the ledger anew without the witness, move that file away"),
    };

    internal LedgerException CannotCompare(LedgerFolder folder, Checkpoint known) => new(
        $"the entries after the {Count(known.Size)} that {Name} knows of are not all in '{folder.Path}', so that it can't be compared",
        "put the archived files back for the time of the next use, which brings the witness up to date");

    private LedgerException CannotRead(Exception cause) => new($"{Name} can't be read ({cause.Message.TrimEnd('.')}), so {LedgerWitness.Withheld}", WayOn, cause);

    internal LedgerException Unanswered(TimeSpan patience, Exception cause) =>
        new($"{Name} could not be read within {patience.TotalSeconds:0.#} s, so {LedgerWitness.Withheld}", WayOn, cause);

    private LedgerException CannotWrite(string why, string consequence, Exception? cause, bool isRecorded = true) =>
        new($"{Name} can't be written ({why}), so {consequence}", WayOn, cause) { IsRecorded = isRecorded };

    private static string WayOn => $"mend that, name another file, or go on without it: unset {Variable}";

    private static string Count(long entries) => entries == 1 ? "1 entry" : string.Create(CultureInfo.InvariantCulture, $"{entries} entries");
}

/// <summary>A ledger as somebody found it.</summary>
/// <param name="Folder">Where it lies.</param>
/// <param name="Newest">Its newest checkpoint; null before the first.</param>
/// <param name="Note">The same as it lies on the disk, signed.</param>
internal sealed record LedgerState(LedgerFolder Folder, Checkpoint? Newest, byte[] Note);
