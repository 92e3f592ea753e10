using System.Diagnostics.CodeAnalysis;
using System.Text;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Models;

namespace Mallku.Secrets.Storage;

/// <summary>
/// Tells a shared store what this machine's ledger has, in batches, behind what is durable here: nobody waits for it, and
/// where the store does not answer, it is told later. Safe for concurrent use, by several processes of one ledger too.
/// </summary>
[SuppressMessage("Design", "CA1001", Justification = "What ends the work, and a semaphore whose wait handle nobody asks for, are wiped with it.")]
internal sealed class AuditShipper(IRecordStore records, AuditRecords audit, SeenGenerations seen, TimeProvider clock, Func<CancellationToken, ValueTask<LedgerView?>> open)
{
    private const int MostEntries = 4096, MostBytes = 1 << 18, MostRefused = 6;

    // sealed twice over in base64, with some room for the rest
    private const int Growth = 2, Room = 4096;
    private static readonly TimeSpan Usual = TimeSpan.FromSeconds(5), Longest = TimeSpan.FromMinutes(2), BetweenRefused = TimeSpan.FromMilliseconds(50);

    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly CancellationTokenSource _end = new();
    private readonly Lock _gate = new();
    private Task? _work;
    private string? _told;

    /// <summary>Why the store was not told the last time; null where it was.</summary>
    internal SecretsException? Fault { get; private set; }

    /// <summary>Tells the store now and then from now on; does nothing where it does so already.</summary>
    internal void Begin()
    {
        if (_work is null)
        {
            lock (_gate)
            {
                _work ??= _end.IsCancellationRequested ? Task.CompletedTask : Task.Run(WorkAsync);
            }
        }
    }

    /// <summary>Ends that.</summary>
    internal async ValueTask EndAsync()
    {
        Task? work;
        lock (_gate)
        {
            _end.Cancel();
            work = _work;
        }

        if (work is not null)
        {
            await work.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Tells the store all that it does not know yet.</summary>
    /// <returns>How many entries that were.</returns>
    /// <exception cref="SecretsException">The ledger can't be read, the store does not answer, or the two do not fit.</exception>
    internal async ValueTask<long> ShipAsync(CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (await open(cancellationToken).ConfigureAwait(false) is not { } ledger || ledger.Note == _told)
            {
                return 0;
            }

            var shipped = await ShipAsync(audit.IdOf(ledger.Verifier.Name), ledger, cancellationToken).ConfigureAwait(false);
            _told = ledger.Note;
            return shipped;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new LedgerException($"the ledger can't be read ({e.Message.TrimEnd('.')})", "look at its folder and its disk", e);
        }
        finally
        {
            _turn.Release();
        }
    }

    private async ValueTask<long> ShipAsync(string id, LedgerView ledger, CancellationToken cancellationToken)
    {
        var (shipped, refused, reached) = (0L, 0, -1L);
        while (true)
        {
            var (head, revision) = await ReadAsync(id, cancellationToken).ConfigureAwait(false);
            Require(id, head, ledger);
            if (head?.Size == ledger.Newest.Size)
            {
                return shipped;
            }

            // where another process was faster, this look says how far it came
            refused = head?.Size > reached ? 0 : refused;
            reached = head?.Size ?? 0;
            head ??= Introduce(ledger);
            var (batch, count) = Compose(ledger, head);
            List<RecordWrite> writes = [audit.Seal(id, head.Size, batch)];
            if (refused > 0 && await FindTakenAsync(id, head, ledger, batch, cancellationToken).ConfigureAwait(false) is { } told)
            {
                // it is there already, and only the head does not know it
                (batch, count) = told;
                writes.Clear();
            }

            var next = head with { Size = head.Size + count, Checkpoint = batch.Checkpoint ?? head.Checkpoint, Told = clock.GetUtcNow(), Pseudonyms = ledger.Pseudonyms?.ExportKey() ?? head.Pseudonyms };
            if (await records.WriteAsync([.. writes, audit.Seal(id, next, revision)], cancellationToken).ConfigureAwait(false))
            {
                seen.Note(id, next.Size);
                (shipped, refused) = (shipped + count, 0);
            }
            else if (++refused == MostRefused)
            {
                throw new SecretsException(
                    $"the store '{records.Description}' did not take this machine's ledger from entry {head.Size} on: each time something else was written at the same moment", "try again later");
            }
            else
            {
                await Task.Delay(Jitter.Of(BetweenRefused * refused), clock, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    /// <summary>What has the id of the next batch, where that is what this machine would write.</summary>
    /// <returns>Null where nothing has it, or another process has told it by now.</returns>
    /// <exception cref="SecretsException">This machine has not written it.</exception>
    private async ValueTask<(AuditBatch Batch, long Count)?> FindTakenAsync(string id, InstanceHead head, LedgerView ledger, AuditBatch own, CancellationToken cancellationToken)
    {
        var key = AuditRecords.KeyOf(id, head.Size);
        if (await records.ReadAsync(key, cancellationToken).ConfigureAwait(false) is not { } found)
        {
            return null;
        }

        // a batch and its head are written at once: where it is of another process, the head now knows it
        if ((await ReadAsync(id, cancellationToken).ConfigureAwait(false)).Head?.Size > head.Size)
        {
            return null;
        }

        try
        {
            var batch = audit.OpenBatch(id, found);
            var count = batch.Lines.AsSpan().Count((byte)'\n');
            if (batch.Lines is [.., (byte)'\n'] && own.Lines.AsSpan().StartsWith(batch.Lines)
                && (batch.Checkpoint is null || LedgerFolder.OpenCheckpoint(Encoding.UTF8.GetBytes(batch.Checkpoint), ledger.Verifier)?.Size == head.Size + count))
            {
                return (batch, count);
            }
        }
        catch (RecordOpenException)
        {
            // of somebody who has not even the store's key
        }

        throw new SecretsException(
            $"the store '{records.Description}' can't be told of this machine's ledger from entry {head.Size} on: the audit record '{key.Id}' is there already, and this machine has not written it",
            $"remove it from the store, and those of '{id}' after it; somebody who may write there has put it: look who can");
    }

    private async Task WorkAsync()
    {
        for (var pause = Usual; ;)
        {
            try
            {
                await Task.Delay(Jitter.Of(pause), clock, _end.Token).ConfigureAwait(false);
                await ShipAsync(_end.Token).ConfigureAwait(false);
                (Fault, pause) = (null, Usual);
            }
            catch (SecretsException e)
            {
                (Fault, pause) = (e, pause < Longest / 2 ? pause * 2 : Longest);
            }
            catch (Exception e) when (e is ObjectDisposedException or OperationCanceledException)
            {
                // nobody uses the store any more
                return;
            }
        }
    }

    private async ValueTask<(InstanceHead? Head, string? Revision)> ReadAsync(string id, CancellationToken cancellationToken) =>
        await records.ReadAsync(AuditRecords.KeyOf(id), cancellationToken).ConfigureAwait(false) is { } found ? (audit.OpenHead(found), found.Revision) : (null, null);

    private void Require(string id, InstanceHead? head, LedgerView ledger)
    {
        var known = seen.Get(id);
        if ((head?.Size ?? 0) < known)
        {
            throw new SecretsException(
                $"the store '{records.Description}' has {head?.Size ?? 0} entries of this machine's ledger, and was told {known}: an older state was put back, or something was removed",
                $"put the newer state back; {seen.WayOn}");
        }

        if (head is not null && head.Key != ledger.Verifier.ToString())
        {
            throw new SecretsException($"the store '{records.Description}' knows this machine's ledger by another key", "look who has the store's key");
        }

        if (head?.Size > ledger.Newest.Size)
        {
            throw new LedgerException(
                $"the ledger in '{ledger.Folder.Path}' has {ledger.Newest.Size} entries, and the store '{records.Description}' was told {head.Size}: an older ledger was put back", LedgerException.WayOn);
        }
    }

    private InstanceHead Introduce(LedgerView ledger)
    {
        var (actor, now) = (LedgerActors.Current, clock.GetUtcNow());
        return new InstanceHead { Key = ledger.Verifier.ToString(), Host = actor.Host, User = actor.User, Began = now, Told = now, Size = 0, Checkpoint = null };
    }

    private (AuditBatch Batch, long Count) Compose(LedgerView ledger, InstanceHead head)
    {
        // from where the last one ended, without reading what is before it
        var after = head.Checkpoint is { } note && Checkpoint.ParseUnverified(note) is { } told && told.Size == head.Size ? told : null;
        var most = Math.Min(MostBytes, (records.MaxDataLength - Room) / Growth);
        using var lines = new MemoryStream();
        var next = head.Size;
        foreach (var line in LedgerLog.ReadLines(ledger.Folder, ledger.Newest, after, head.Size))
        {
            if (line.Index != next)
            {
                throw Archived(ledger, next, line.Index);
            }

            var bytes = Tell(line.Bytes);
            if (next > head.Size && (next - head.Size == MostEntries || lines.Length + bytes.Length + 1 > most))
            {
                break;
            }

            lines.Write(bytes);
            lines.WriteByte((byte)'\n');
            next++;
        }

        return next == head.Size
            ? throw Archived(ledger, next, ledger.Newest.Size)
            : (new AuditBatch { Lines = lines.ToArray(), Checkpoint = next == ledger.Newest.Size ? ledger.Note : null }, next - head.Size);
    }

    private LedgerException Archived(LedgerView ledger, long from, long to) => new(
        $"the entries {from} to {to - 1} were archived before the store '{records.Description}' was told of them", $"put their files back into '{ledger.Folder.Path}' until it is");

    // what a machine does with its own vault and its environment is not for all who use the store
    private static byte[] Tell(byte[] line) =>
        EntryLine.Parse(line) is { Source: var source } && (source is null || SealedStore.IsSource(source))
            ? line
            : [AuditRecords.HashMark, .. Encoding.ASCII.GetBytes(MerkleTree.HashLeaf(line).ToString())];
}
