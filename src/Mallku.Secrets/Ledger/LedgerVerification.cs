namespace Mallku.Secrets.Ledger;

/// <summary>A checkpoint that somebody kept, whose signature was checked.</summary>
/// <param name="Checkpoint">What the ledger committed itself to.</param>
/// <param name="Where">Who has it, in words.</param>
/// <param name="IsDemanded">Whether it is wrong where it can't be compared.</param>
internal sealed record KeptCheckpoint(Checkpoint Checkpoint, string Where, bool IsDemanded = false);

/// <summary>A checkpoint that somebody hands over as a note, and on which he insists.</summary>
/// <param name="Note">The note.</param>
/// <param name="Where">Who has it, in words.</param>
internal sealed record KeptNote(string Note, string Where)
{
    internal static IReadOnlyList<KeptNote> Of(string? note) => note is null ? [] : [new KeptNote(note, "the kept checkpoint")];
}

/// <summary>Bytes that no checkpoint covers: a write was cut off, or somebody added them. They are no part of the ledger. Immutable.</summary>
/// <param name="File">The file that ends with them.</param>
/// <param name="Bytes">How many.</param>
public sealed record LedgerTail(string File, long Bytes);

/// <summary>What is wrong with a ledger, at the first entry that shows it. Immutable.</summary>
/// <param name="Entry">The first entry that is not as it was signed; null where it can't be told.</param>
/// <param name="Through">The last entry among which it is, where one can't be told alone.</param>
/// <param name="Problem">What it is; one line without a full stop.</param>
/// <param name="Remedy">What to do now; one line without a full stop.</param>
public sealed record LedgerFault(long? Entry, long? Through, string Problem, string Remedy)
{
    private const string PutBack = "put it back from a backup, or go on with a new ledger that says so: mallku audit restart";

    internal static LedgerFault NoCheckpoint(LedgerFolder folder, NoteVerifier verifier) => new(
        null,
        null,
        $"there is no checkpoint in '{folder.Path}': the ledger is gone, or lies elsewhere",
        LedgerErrors.PutBack(folder, verifier.Name) ?? $"name its place by MALLKU_LEDGER_DIR, or {PutBack}");

    internal static LedgerFault NotSigned(LedgerFolder folder, NoteVerifier verifier) => new(
        null,
        null,
        $"'{folder.CheckpointFile}' was not signed by the key {verifier.Name}, or is damaged",
        LedgerErrors.PutBack(folder, verifier.Name) ?? PutBack);

    internal static LedgerFault NoBoundary(string file, long entry) => new(
        entry, entry, $"the checkpoint '{file}', with which the entries before {entry} were closed, is gone or another one", PutBack);

    internal static LedgerFault Altered(string file, long entry) => new(entry, entry, $"entry {entry} in '{file}' was altered", PutBack);

    internal static LedgerFault OneAltered(string file, long first) => new(
        first, first + 1, $"entry {first} or entry {first + 1} in '{file}' was altered: the one does not follow from the other", PutBack);

    internal static LedgerFault NoEntry(string file, long entry) => new(
        entry - 1, entry, $"entry {entry} is not in '{file}': what follows entry {entry - 1} is no entry", PutBack);

    internal static LedgerFault Missing(string file, long entry, long instead) => new(
        entry, entry, $"entry {entry} is missing in '{file}': entry {instead} is in its place", PutBack);

    internal static LedgerFault CutOff(string file, long from, long to, bool isWithin) => new(
        from,
        to - 1,
        $"'{file}' ends {(isWithin ? $"within entry {from}" : $"before entry {from}")}, and its checkpoint knows of {to} entries: {Count(to - from)} cut off",
        PutBack);

    internal static LedgerFault CutOffOrGone(string file, long from, long to) => new(
        from,
        to - 1,
        $"'{file}' ends before entry {from}, and the file behind it begins with entry {to}: {Count(to - from)} cut off, or the file that has them is gone",
        PutBack);

    internal static LedgerFault Gone(string file, long from, long to) => new(from, to - 1, $"'{file}' is gone, and with it {Count(to - from)}", PutBack);

    internal static LedgerFault Rewritten(string file, long from, long to) => new(
        from, to - 1, $"the entries {from} to {to - 1} are not those that were signed: one of them was altered in '{file}', and those behind it were made to fit", PutBack);

    internal static LedgerFault Older(long size, KeptCheckpoint kept) => new(
        size,
        kept.Checkpoint.Size - 1,
        $"the ledger has {size} entries, and {kept.Where} knows of {kept.Checkpoint.Size}: an older ledger was put back, or entries were cut off",
        PutBack);

    internal static LedgerFault Other(long from, long to, KeptCheckpoint kept) => new(
        from,
        to - 1,
        $"the ledger is signed, and is not the one that {kept.Where} knows: it differs among the entries {from} to {to - 1}",
        "whoever has the vault's key has written it anew: look who that can be, and put the ledger back from a backup");

    internal static LedgerFault NoneOfThis(KeptNote kept, NoteVerifier verifier) => new(
        null,
        null,
        $"what {kept.Where} has is no checkpoint that the key {verifier.Name} signed",
        "it may be of another ledger, or was damaged: mallku audit key prints the key of this one");

    internal static LedgerFault Archived(long first, KeptCheckpoint kept) => new(
        null,
        null,
        $"the entries before {first} are archived, and {kept.Where} knows of {kept.Checkpoint.Size}, so that it can't be compared",
        "put the archived files back for the time of the check");

    private static string Count(long entries) => entries == 1 ? "1 entry was" : $"{entries} entries were";
}

/// <summary>What looking over a whole ledger has found. Immutable.</summary>
public sealed record LedgerVerification
{
    internal LedgerVerification(
        Checkpoint? newest, long first, LedgerFault? fault, IReadOnlyList<LedgerTail> tails, IReadOnlyList<KeptCheckpoint> unreached)
    {
        Newest = newest;
        First = first;
        Fault = fault;
        Tails = tails;
        Unreached = unreached;
    }

    /// <summary>The first thing that is wrong; null where every entry is as it was signed.</summary>
    public LedgerFault? Fault { get; internal init; }

    /// <summary>The first entry that is there: what is before it was archived, and not looked at.</summary>
    public long First { get; }

    /// <summary>How many entries the newest checkpoint signs, the archived ones too; 0 where there is none that is signed.</summary>
    public long Size => Newest?.Size ?? 0;

    /// <summary>What lies behind the signed entries: no fault, and not signed either.</summary>
    public IReadOnlyList<LedgerTail> Tails { get; }

    /// <summary>The checkpoint that it was compared with; null where there is none that is signed.</summary>
    internal Checkpoint? Newest { get; }

    /// <summary>Those that the ledger was to go on from.</summary>
    internal IReadOnlyList<KeptCheckpoint> Kept { get; init; } = [];

    /// <summary>Kept checkpoints from before the first entry that is there, which could not be compared.</summary>
    internal IReadOnlyList<KeptCheckpoint> Unreached { get; }
}
