namespace Mallku.Secrets.Ledger;

/// <summary>
/// Who has each new checkpoint of a ledger before anything of it is acknowledged: a file, a command, or both. It gets what
/// is durable in the ledger already, so that it is behind after a crash, and never ahead but where the ledger was put
/// back. Used under the ledger's lock.
/// </summary>
/// <param name="file">A path; null for none.</param>
/// <param name="command">What a shell runs; null for none.</param>
/// <param name="patience">How long the ledger's caller waits for all of it.</param>
/// <param name="clock">The clock of kept files' names.</param>
internal sealed class LedgerWitness(string? file, string? command, TimeSpan patience, TimeProvider clock)
{
    internal const string CommandVariable = "MALLKU_WITNESS_COMMAND";

    /// <summary>What follows for the callers of a batch whose checkpoint the witness does not have.</summary>
    internal const string Withheld = "nothing was handed out or changed";

    /// <summary>How the command is called in a message: its text may hold what is not for a log.</summary>
    internal const string CommandName = $"the witness command ({CommandVariable})";

    private readonly WitnessFile? _file = file is null ? null : new WitnessFile(file, clock);
    private volatile string? _busy;

    /// <summary>What a batch waits for; null where it is not here.</summary>
    internal string? Busy => _busy;

    /// <summary>Refuses a ledger that does not go on from what the witness knows; nothing is written yet.</summary>
    /// <exception cref="LedgerException">It does not, or it can't be told.</exception>
    internal void Require(LedgerState ledger, NoteVerifier verifier, IReadOnlyList<LedgerBatch> batches)
    {
        // a ledger that is gone has its own error
        if (_file is null || (ledger.Newest is null && batches.All(static batch => batch.Known is not null)))
        {
            return;
        }

        _busy = _file.Name;
        try
        {
            _file.Require(ledger, verifier, batches.Any(static batch => batch.IsRestart), batches is [var first, ..] ? first.Orphan : null);
        }
        finally
        {
            _busy = null;
        }
    }

    /// <summary>Hands a checkpoint over that is durable in the ledger; the witness has it when this returns.</summary>
    /// <param name="note">The checkpoint, signed.</param>
    /// <param name="asked">When the last of those asked who wait for it.</param>
    /// <param name="consequence">What follows where it does not take it, in words.</param>
    /// <exception cref="LedgerException">It did not take it.</exception>
    internal void Give(string note, long asked, string consequence)
    {
        try
        {
            if (command is not null)
            {
                _busy = CommandName;
                var left = patience - TimeSpan.FromMilliseconds(Environment.TickCount64 - asked);
                if (WitnessCommand.Run(command, note, left) is { } problem)
                {
                    throw Refused(problem, consequence);
                }
            }

            // last: what it has is held against the ledger, and a beginning that fails is taken back
            if (_file is not null)
            {
                _busy = _file.Name;
                _file.Write(note, consequence);
            }
        }
        finally
        {
            _busy = null;
        }
    }

    /// <summary>What to say where the witness did not answer in time.</summary>
    internal static LedgerException TooSlow(string who, TimeSpan patience, Exception cause, Task late) => new(
        $"{who} did not take the ledger's newest checkpoint within {patience.TotalSeconds:0.#} s, so {Withheld}",
        $"look at what it does, or go on without it: unset {(who == CommandName ? CommandVariable : WitnessFile.Variable)}",
        cause) { Late = late };

    private static LedgerException Refused(string problem, string consequence) => new(
        $"{CommandName} {problem}, and did not take the ledger's newest checkpoint, so {consequence}",
        $"look at what it says on standard error and mend it, or go on without it: unset {CommandVariable}") { IsRecorded = true };
}
