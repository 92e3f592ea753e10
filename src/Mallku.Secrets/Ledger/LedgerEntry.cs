namespace Mallku.Secrets.Ledger;

/// <summary>What an entry of the ledger says happened.</summary>
public enum LedgerKind
{
    /// <summary>Something that this version does not know, as a later one may write it; <see cref="LedgerEntry.KindText"/> has its word.</summary>
    Unknown = -1,

    /// <summary>A ledger begins.</summary>
    Opened,

    /// <summary>A value was handed out.</summary>
    Read,

    /// <summary>No source had the secret that was asked for.</summary>
    Missing,

    /// <summary>A source had it, and it was not handed out.</summary>
    Denied,

    /// <summary>A value was handed out with all others, in the clear.</summary>
    Exported,

    /// <summary>The first version of a secret was written.</summary>
    Created,

    /// <summary>A further version of a secret was written.</summary>
    Updated,

    /// <summary>A secret was removed.</summary>
    Removed,

    /// <summary>What another program wrote over the vault was merged with its former state.</summary>
    Merged,

    /// <summary>The vault's data key was replaced.</summary>
    KeyRotated,

    /// <summary>A change that the ledger has did not reach the vault: its writer was cut off, or the former vault was put back.</summary>
    Aborted,

    /// <summary>Bytes behind the last checkpoint, which nobody had acknowledged, were put aside.</summary>
    Recovered,

    /// <summary>An older vault was put back, and a person said that it is to be used.</summary>
    Restored,

    /// <summary>The ledger was switched off for what comes next.</summary>
    Suspended,

    /// <summary>Changes were made while the ledger was switched off; from here on they are recorded again.</summary>
    Resumed,

    /// <summary>A person gave the ledger before this one up, since it was gone or damaged.</summary>
    Restarted,

    /// <summary>From here on the secrets' names are pseudonyms, or in clear again.</summary>
    NamesSwitched,

    /// <summary>How and how often a secret is rotated was written down.</summary>
    PolicySet,

    /// <summary>A rotation began: a new version is to be made.</summary>
    RotationBegun,

    /// <summary>A step of a rotation was done, or is about to be.</summary>
    RotationStep,

    /// <summary>A step of a rotation, or the revoking of a key, was tried and failed.</summary>
    RotationFailed,

    /// <summary>A rotation was given up; the current version stays.</summary>
    RotationAbandoned,

    /// <summary>The version that a rotation made became the current one.</summary>
    Rotated,

    /// <summary>An earlier version's value became the current one again, as a new version.</summary>
    RolledBack,

    /// <summary>The grace of a version that was replaced is over.</summary>
    Retired,

    /// <summary>The key of a retired version was revoked at its provider.</summary>
    Revoked,
}

/// <summary>Who did it. Immutable.</summary>
/// <param name="User">The operating system's name of the user.</param>
/// <param name="Host">The machine's name.</param>
/// <param name="Process">The program's name.</param>
/// <param name="ProcessId">Its number.</param>
/// <param name="Voice">The voice or service for which it was done, where one is known.</param>
public sealed record LedgerActor(string User, string Host, string Process, int ProcessId, string? Voice = null);

/// <summary>One event in the ledger. Never holds a value, nor anything from which one could be guessed. Immutable.</summary>
/// <param name="Index">Its place, from 0 up.</param>
/// <param name="Time">When, in UTC, to the millisecond; for a count, when it was written.</param>
/// <param name="Kind">What happened.</param>
/// <param name="Secret">The secret, where there is one.</param>
/// <param name="Version">Its version, where there is one.</param>
/// <param name="Source">The source or store.</param>
/// <param name="Actor">Who did it.</param>
/// <param name="Purpose">For what, such as the verb of the command or the adapter.</param>
/// <param name="Count">How often since the entry before it about the same; 1 for a change.</param>
/// <param name="Generation">The vault's generation that a change leads to, or null.</param>
/// <param name="Note">More in words, where there is more to say.</param>
public sealed record LedgerEntry(
    long Index,
    DateTimeOffset Time,
    LedgerKind Kind,
    string? Secret,
    int? Version,
    string? Source,
    LedgerActor Actor,
    string? Purpose,
    long Count,
    long? Generation,
    string? Note)
{
    /// <summary>What the entry has in the place of the secret's name, where that is a pseudonym and the vault knows the ledger's key; else null.</summary>
    public string? Pseudonym { get; internal init; }

    /// <summary>The kind as the ledger has it, such as <c>key-rotated</c>; also one that this version does not know.</summary>
    public string KindText => Kind == LedgerKind.Unknown && UnknownKind is not null ? UnknownKind : EntryLine.ToText(Kind);

    /// <summary>The word of a kind that is not known; null for one that is.</summary>
    internal string? UnknownKind { get; init; }

    /// <summary>For a version that replaced another: until when that may still be used; null where it may not.</summary>
    public DateTimeOffset? GraceEnds { get; internal init; }

    /// <summary>Two counts together. Another program may have written any number.</summary>
    internal static long Sum(long one, long other) => one > long.MaxValue - other ? long.MaxValue : one + other;
}

/// <summary>Something to be recorded; its place, time and actor are added when it is written.</summary>
internal sealed record LedgerEvent(
    LedgerKind Kind, string? Secret = null, int? Version = null, string? Source = null, string? Purpose = null, long Count = 1, string? Note = null)
{
    /// <summary>For a version that replaced another: until when that may still be used; null where it may not.</summary>
    internal DateTimeOffset? GraceEnds { get; init; }
}
