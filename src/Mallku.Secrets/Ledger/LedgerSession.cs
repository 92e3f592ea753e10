using System.Text;

namespace Mallku.Secrets.Ledger;

/// <summary>How a ledger is used. Who uses the same one in the same way shares its session.</summary>
/// <param name="Folder">Where it lies.</param>
/// <param name="Patience">How long a caller waits.</param>
/// <param name="Blocks">Whether the caller's thread is kept meanwhile.</param>
/// <param name="Clock">The clock of the entries' times.</param>
/// <param name="WitnessFile">The file that gets each checkpoint; null for none.</param>
/// <param name="WitnessCommand">The command that does; null for none.</param>
internal sealed record LedgerUse(
    string Folder, TimeSpan Patience, bool Blocks, TimeProvider Clock, string? WitnessFile = null, string? WitnessCommand = null);

/// <summary>
/// A ledger with its key, for this process: one for all who use it in the same way, so that what they record at the same
/// time shares a flush. It holds no file, so it goes on with whatever lies in the folder. Safe for concurrent use.
/// </summary>
internal sealed class LedgerSession
{
    private const int FewToLookThrough = 16;

    // Held by those who use them. An entry that nobody does is dropped when there are twice as many as the last time.
    private static readonly Dictionary<(LedgerUse Use, string Key), WeakReference<LedgerSession>> Shared = [];
    private static int _mostShared = FewToLookThrough;

    private readonly LedgerFolder _folder;
    private readonly LedgerAppender _appender;
    private readonly TimeSpan _patience;
    private KnownNote? _known;

    private LedgerSession(LedgerUse use, LedgerKey key)
    {
        _folder = new LedgerFolder(use.Folder);
        _patience = use.Patience;
        Key = key;
        var witness = use.WitnessFile is null && use.WitnessCommand is null ? null : new LedgerWitness(use.WitnessFile, use.WitnessCommand, use.Patience, use.Clock);
        _appender = new LedgerAppender(_folder, key, use.Clock, witness);
        Queue = new LedgerQueue(_folder, _appender, use.Patience, use.Blocks, witness);
    }

    internal LedgerKey Key { get; }

    internal LedgerQueue Queue { get; }

    /// <summary>The session of all who use this ledger in this way.</summary>
    /// <exception cref="LedgerException">The seed is none.</exception>
    internal static LedgerSession Open(LedgerUse use, string origin, ReadOnlySpan<byte> seed)
    {
        var key = LedgerKey.TryImport(origin, seed) ?? throw Damaged();
        lock (Shared)
        {
            // by the public key too: what lies in a folder may be another ledger by now
            var which = (use, key.Verifier.ToString());
            if (Shared.TryGetValue(which, out var known) && known.TryGetTarget(out var session))
            {
                key.Dispose();
                return session;
            }

            DropUnused();
            session = new LedgerSession(use, key);
            Shared[which] = new WeakReference<LedgerSession>(session);
            return session;
        }
    }

    private static void DropUnused()
    {
        if (Shared.Count < _mostShared)
        {
            return;
        }

        foreach (var (which, session) in Shared)
        {
            if (!session.TryGetTarget(out _))
            {
                Shared.Remove(which);
            }
        }

        _mostShared = Math.Max(FewToLookThrough, 2 * Shared.Count);
    }

    /// <summary>The checkpoint that a vault has.</summary>
    /// <exception cref="LedgerException">It is none.</exception>
    internal Checkpoint ReadKnown(string note)
    {
        if (_known is { } known && known.Note == note)
        {
            return known.Checkpoint;
        }

        // the vault vouches for it, as it does for the key that its signature would be checked with
        var checkpoint = Checkpoint.ParseUnverified(note) is { } parsed && parsed.Origin == Key.Origin ? parsed : throw Damaged();
        _known = new KnownNote(note, checkpoint);
        return checkpoint;
    }

    /// <summary>The newest checkpoint on the disk.</summary>
    /// <exception cref="LedgerException">There is none, or it was not signed by this key.</exception>
    internal Checkpoint ReadCurrent() => ReadNewest().Checkpoint;

    /// <summary>The same with the note that it was read from.</summary>
    /// <exception cref="LedgerException">There is none, or it was not signed by this key.</exception>
    internal (Checkpoint Checkpoint, string Note) ReadNewest()
    {
        var note = _folder.ReadNewest() ?? throw LedgerErrors.Gone(_folder, Key.Origin);
        return (_folder.RequireCheckpoint(note, Key.Verifier), Encoding.UTF8.GetString(note));
    }

    /// <summary>What an entry would end with now, found without writing one.</summary>
    /// <returns>The newest checkpoint.</returns>
    /// <exception cref="LedgerException">It could not be written.</exception>
    internal Checkpoint Try(Checkpoint known) => _appender.Try(known);

    /// <summary>Closes the open segment.</summary>
    internal Checkpoint CloseSegment() => _appender.CloseSegment(_patience);

    internal static LedgerException Damaged() => new("what the vault knows of its ledger is damaged", LedgerException.WayOn);

    private sealed record KnownNote(string Note, Checkpoint Checkpoint);
}
