using System.Text;
using Mallku.Secrets.Files;

namespace Mallku.Secrets.Ledger;

/// <summary>A ledger with its key, for this process. Safe for concurrent use.</summary>
internal sealed class LedgerSession
{
    private readonly LedgerFolder _folder;
    private readonly LedgerAppender _appender;
    private readonly TimeSpan _patience;
    private KnownNote? _known;

    private LedgerSession(LedgerFolder folder, LedgerKey key, LedgerActor actor, TimeSpan patience, bool blocks, TimeProvider clock, LedgerWitness? witness)
    {
        _folder = folder;
        _patience = patience;
        Key = key;
        _appender = new LedgerAppender(folder, key, actor, clock, witness);
        Queue = new LedgerQueue(folder, _appender, patience, blocks, witness);
    }

    internal LedgerKey Key { get; }

    internal LedgerQueue Queue { get; }

    /// <exception cref="LedgerException">The seed is none.</exception>
    internal static LedgerSession Open(
        LedgerFolder folder, string origin, ReadOnlySpan<byte> seed, string? voice, TimeSpan patience, bool blocks, TimeProvider clock, LedgerWitness? witness = null)
    {
        var key = LedgerKey.TryImport(origin, seed) ?? throw Damaged();
        return new LedgerSession(folder, key, LedgerActors.Current with { Voice = voice }, patience, blocks, clock, witness);
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
        var note = PrivateFile.Read(_folder.CheckpointFile, out _) ?? throw _appender.Gone();
        return (LedgerFolder.RequireCheckpoint(note, _folder.CheckpointFile, Key.Verifier), Encoding.UTF8.GetString(note));
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
