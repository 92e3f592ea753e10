using System.Buffers;

namespace Mallku.Secrets.Ledger;

/// <summary>Puts the lines of entries together, and goes along with the tree. Not for several threads.</summary>
internal sealed class LedgerLineWriter(Checkpoint current, DateTimeOffset now)
{
    private readonly ArrayBufferWriter<byte> _lines = new(512);
    private readonly TreeFrontier _frontier = current.Frontier.Copy();
    private TreeHash _lastLeaf = current.LastLeaf;
    private long _from = current.FromGeneration, _to = current.ToGeneration;

    internal ReadOnlySpan<byte> Written => _lines.WrittenSpan;

    internal Checkpoint ToCheckpoint() => current with
    {
        Frontier = _frontier,
        LastLeaf = _lastLeaf,
        SegmentLength = current.SegmentLength + _lines.WrittenCount,
        FromGeneration = _from,
        ToGeneration = _to,
    };

    /// <summary>Adds a batch, and says to which generation its change leads.</summary>
    internal long Add(LedgerBatch batch)
    {
        if (batch.Step is { } step)
        {
            AddWhatHappenedBetween(step, batch.Actor);
            (_from, _to) = (step.Found, step.GetTarget(_to));
        }

        foreach (var happened in batch.Events)
        {
            Add(happened, batch.Actor, batch.Step is null ? null : _to);
        }

        return batch.Step is null ? 0 : _to;
    }

    internal void Add(LedgerEvent happened, LedgerActor actor, long? generation = null)
    {
        var start = _lines.WrittenCount;
        // another program may have given a secret a name of any length
        var secret = happened.Secret is null ? null : SecretsException.Show(happened.Secret);
        var entry = new LedgerEntry(
            _frontier.Size, now, happened.Kind, secret, happened.Version, happened.Source, actor, happened.Purpose, happened.Count, generation, happened.Note)
        {
            GraceEnds = happened.GraceEnds,
        };
        EntryLine.Write(_lines, entry, _lastLeaf);
        _lastLeaf = MerkleTree.HashLeaf(_lines.WrittenSpan[start..]);
        _frontier.Append(_lastLeaf);
        _lines.Write("\n"u8);
    }

    private void AddWhatHappenedBetween(VaultStep step, LedgerActor actor)
    {
        // the ledger went on from it already where that change did not reach the vault
        var isResumed = step.WasSuspended && step.From > _from;
        var left = isResumed ? step.SuspendedAt : step.Found;
        if (left < _from)
        {
            Add(new LedgerEvent(LedgerKind.Restored, Note: $"the vault was put back from generation {_to} to {left}"), actor, left);
        }
        else if (left < _to)
        {
            Add(new LedgerEvent(LedgerKind.Aborted, Note: $"the vault was at generation {left}, and did not reach {_to}"), actor, left);
        }

        if (isResumed)
        {
            var note = left is null ? $"the vault came to generation {step.From} without the ledger" : $"the vault went from generation {left} to {step.From} without the ledger";
            Add(new LedgerEvent(LedgerKind.Resumed, Note: note), actor, step.From);
        }
    }
}
