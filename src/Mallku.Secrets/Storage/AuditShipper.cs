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
    internal ValueTask<long> ShipAsync(CancellationToken cancellationToken) => LookAsync(
        async ledger =>
        {
            if (ledger.Note == _told)
            {
                return 0;
            }

            var shipped = await ShipAsync(audit.IdOf(ledger.Verifier.Name), ledger, cancellationToken).ConfigureAwait(false);
            _told = ledger.Note;
            return shipped;
        },
        cancellationToken);

    /// <summary>
    /// Why this machine's ledger does not go on from what the store was told of it, with the ledger's id there, where that could
    /// be found; null where it does, or there is no ledger. Tells nothing.
    /// </summary>
    /// <exception cref="StoreUnreachableException">The store does not answer.</exception>
    internal async ValueTask<(string? Id, LedgerFault Fault)?> FindFaultAsync(CancellationToken cancellationToken)
    {
        string? id = null;
        try
        {
            await LookAsync(
                async ledger => await FollowAsync(id = audit.IdOf(ledger.Verifier.Name), ledger, isTaken: false, before: null, cancellationToken).ConfigureAwait(false),
                cancellationToken).ConfigureAwait(false);
            return null;
        }
        catch (SecretsException e) when (e is not StoreUnreachableException)
        {
            return (id, new LedgerFault(Entry: null, Through: null, e.Problem, e.Remedy));
        }
    }

    // one at a time
    private async ValueTask<T?> LookAsync<T>(Func<LedgerView, ValueTask<T>> look, CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            return await LookAsync(await open(cancellationToken).ConfigureAwait(false), look, cancellationToken).ConfigureAwait(false);
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

    private async ValueTask<T?> LookAsync<T>(LedgerView? ledger, Func<LedgerView, ValueTask<T>> look, CancellationToken cancellationToken)
    {
        while (ledger is not null)
        {
            try
            {
                return await look(ledger).ConfigureAwait(false);
            }
            catch (Exception e) when (e is (SecretsException and not StoreUnreachableException) or IOException or UnauthorizedAccessException)
            {
                // one that another process has given up meanwhile is not there any more, and says nothing of the next one
                var next = await open(cancellationToken).ConfigureAwait(false);
                if (next is null || next.Verifier.Name == ledger.Verifier.Name)
                {
                    throw;
                }

                ledger = next;
            }
        }

        return default;
    }

    private async ValueTask<long> ShipAsync(string id, LedgerView ledger, CancellationToken cancellationToken)
    {
        var (shipped, refused, told) = (0L, 0, (ToldLedger?)null);
        while (true)
        {
            var reached = told?.Tree.Size ?? 0;
            told = await FollowAsync(id, ledger, isTaken: refused > 0, told, cancellationToken).ConfigureAwait(false);
            if (told is not { Ledger: { } current } || (told.Tree.Size == current.Newest.Size && told.Head?.Size == told.Tree.Size && told.Head.Checkpoint == told.Near?.Note))
            {
                return shipped;
            }

            // where another process was faster, this look says how far it came
            refused = told.Tree.Size > reached ? 0 : refused;
            List<RecordWrite> writes = [];
            var (tree, near, count) = (told.Tree, told.Near, 0L);
            if (tree.Size < current.Newest.Size)
            {
                (var batch, tree) = Compose(told);
                count = tree.Size - told.Tree.Size;
                near = tree.Size == current.Newest.Size ? (current.Newest, current.Note) : near;
                writes.Add(audit.Seal(id, refused > 0 ? await ChooseKeyAsync(id, told.Tree.Size, cancellationToken).ConfigureAwait(false) : AuditRecords.KeyOf(id, told.Tree.Size), batch));
            }

            var next = (told.Head ?? Introduce(current)) with
            {
                Size = tree.Size,
                Checkpoint = near?.Note,
                Told = clock.GetUtcNow(),
                Pseudonyms = current.Pseudonyms?.ExportKey() ?? told.Head?.Pseudonyms,
            };
            if (await records.WriteAsync([.. writes, audit.Seal(id, next, told.Revision)], cancellationToken).ConfigureAwait(false))
            {
                seen.Note(id, next.Size);
                (shipped, refused) = (shipped + count, 0);
                told = told with { Tree = tree, Near = near };
            }
            else if (++refused == MostRefused)
            {
                throw new SecretsException(
                    $"the store '{records.Description}' did not take this machine's ledger from entry {told.Tree.Size} on: each time something else was written at the same moment", "try again later");
            }
            else
            {
                await Task.Delay(Jitter.Of(BetweenRefused * refused), clock, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Finds how far the store has this machine's ledger, as its key has signed it. What else is there is none of its, and in nobody's way.</summary>
    /// <param name="id">The ledger's id.</param>
    /// <param name="ledger">The ledger.</param>
    /// <param name="isTaken">Whether a place was taken that should be free.</param>
    /// <param name="before">What was found the last time; null where nothing was.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <returns>Null where another process has begun a new ledger meanwhile.</returns>
    /// <exception cref="SecretsException">The store was told of another state of the ledger, or has lost what it was told.</exception>
    private async ValueTask<ToldLedger?> FollowAsync(string id, LedgerView ledger, bool isTaken, ToldLedger? before, CancellationToken cancellationToken)
    {
        var known = seen.Get(id);
        var (head, revision) = await ReadAsync(id, ledger.Verifier, cancellationToken).ConfigureAwait(false);
        if (await GoOnAsync(before?.Ledger ?? ledger, head?.Size ?? 0, cancellationToken).ConfigureAwait(false) is not { } current)
        {
            return null;
        }

        // a checkpoint that this machine does not know to have told may be there without the entries that it covers
        (Checkpoint Checkpoint, string Note)? newest = head?.Checkpoint is { } note && LedgerFolder.OpenCheckpoint(Encoding.UTF8.GetBytes(note), current.Verifier) is { } opened
            && (opened.Size <= known || opened.Size <= (known = seen.Get(id))) ? (opened, note) : null;
        var near = before?.Tree.Size >= (newest?.Checkpoint.Size ?? 0) ? before.Near : newest;
        var tree = before?.Tree.Size >= (newest?.Checkpoint.Size ?? 0) ? before.Tree : newest?.Checkpoint.Frontier ?? new TreeFrontier();
        var trail = new InstanceTrail(audit, id, current.Verifier, tree);
        if (isTaken || head?.Size != tree.Size || tree.Size < known)
        {
            // whoever has the store's key may have written the head: what it does not have of what is signed is told all the same
            await foreach (var _ in trail.ReadAsync(records, cancellationToken).ConfigureAwait(false))
            {
            }

            near = trail.Newest ?? near;
            seen.Note(id, trail.Signed.Size);
        }

        if (trail.Signed.Size < known)
        {
            throw new SecretsException(
                $"the store '{records.Description}' has {trail.Signed.Size} entries of this machine's ledger, and was told {known}: an older state was put back, or something was removed",
                $"put the newer state back; {seen.WayOn}");
        }

        if (await GoOnAsync(current, trail.Signed.Size, cancellationToken).ConfigureAwait(false) is not { } grown)
        {
            return null;
        }

        current = grown;
        if (before is null || current != before.Ledger || trail.Signed.Size != before.Tree.Size)
        {
            Require(current, near?.Checkpoint, trail.Signed);
        }

        // what an older program has told and not signed is taken up where it is this ledger's
        var end = trail.Unsigned.Size > trail.Signed.Size && trail.Unsigned.Size < current.Newest.Size && GoesOn(current, near?.Checkpoint, trail.Unsigned) == true ? trail.Unsigned : trail.Signed;
        return new ToldLedger(current, head, revision, end, near);
    }

    // as it is by now, where the store has more of it: another process of this machine may have told what was written since; null where it has begun a new one
    private async ValueTask<LedgerView?> GoOnAsync(LedgerView ledger, long told, CancellationToken cancellationToken)
    {
        var now = told > ledger.Newest.Size ? await open(cancellationToken).ConfigureAwait(false) ?? ledger : ledger;
        return now.Verifier.Name == ledger.Verifier.Name ? now : null;
    }

    private void Require(LedgerView ledger, Checkpoint? near, TreeFrontier told)
    {
        if (told.Size > ledger.Newest.Size)
        {
            throw new LedgerException(
                $"the ledger in '{ledger.Folder.Path}' has {ledger.Newest.Size} entries, and the store '{records.Description}' was told {told.Size}: an older ledger was put back", LedgerException.WayOn);
        }

        if (!(GoesOn(ledger, near, told) ?? throw Archived(ledger, near?.Size ?? 0, ledger.Newest.Size)))
        {
            throw new LedgerException(
                $"the ledger in '{ledger.Folder.Path}' does not go on from the {told.Size} entries that the store '{records.Description}' was told: it was put back to an older state and went on from there, or is in use in two places; the store is not told how it goes on",
                "begin a new one, which the store is told of from its beginning: mallku audit restart; look who has put it back, or copied it");
        }
    }

    private static bool? GoesOn(LedgerView ledger, Checkpoint? near, TreeFrontier told) => told.Size <= ledger.Newest.Size
        ? LedgerGrowth.GoesOn(ledger.Folder, near ?? Checkpoint.Begin(ledger.Verifier.Name, generation: 0), ledger.Newest, told)
        : false;

    private async ValueTask<RecordKey> ChooseKeyAsync(string id, long first, CancellationToken cancellationToken)
    {
        var usual = AuditRecords.KeyOf(id, first);
        return await records.ReadAsync(usual, cancellationToken).ConfigureAwait(false) is null ? usual : AuditRecords.MakeOtherKeyOf(id, first);
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

    // one that is none of this ledger's is somebody else's work, and is written over
    private async ValueTask<(InstanceHead? Head, string? Revision)> ReadAsync(string id, NoteVerifier verifier, CancellationToken cancellationToken)
    {
        if (await records.ReadAsync(AuditRecords.KeyOf(id), cancellationToken).ConfigureAwait(false) is not { } found)
        {
            return (null, null);
        }

        try
        {
            return (audit.OpenHead(found) is var head && head.Key == verifier.ToString() ? head : null, found.Revision);
        }
        catch (RecordOpenException)
        {
            return (null, found.Revision);
        }
    }

    private InstanceHead Introduce(LedgerView ledger)
    {
        var (actor, now) = (LedgerActors.Current, clock.GetUtcNow());
        return new InstanceHead { Key = ledger.Verifier.ToString(), Host = actor.Host, User = actor.User, Began = now, Told = now, Size = 0, Checkpoint = null };
    }

    private (AuditBatch Batch, TreeFrontier Tree) Compose(ToldLedger told)
    {
        var (ledger, tree) = (told.Ledger, told.Tree.Copy());
        var most = Math.Min(MostBytes, (records.MaxDataLength - Room) / Growth);
        using var lines = new MemoryStream();

        // from where the last checkpoint ended, without reading what is before it
        foreach (var line in LedgerLog.ReadLines(ledger.Folder, ledger.Newest, told.Near?.Checkpoint, tree.Size))
        {
            if (line.Index != tree.Size)
            {
                throw Archived(ledger, tree.Size, line.Index);
            }

            var leaf = MerkleTree.HashLeaf(line.Bytes);
            var bytes = Tell(line.Bytes, leaf);
            if (lines.Length > 0 && (tree.Size - told.Tree.Size == MostEntries || lines.Length + bytes.Length + 1 > most))
            {
                break;
            }

            tree.Append(leaf);
            lines.Write(bytes);
            lines.WriteByte((byte)'\n');
        }

        return tree.Size == told.Tree.Size
            ? throw Archived(ledger, tree.Size, ledger.Newest.Size)
            : (new AuditBatch { Lines = lines.ToArray(), Checkpoint = tree.Size == ledger.Newest.Size ? ledger.Note : SignedTree.Sign(tree, ledger.Key) }, tree);
    }

    private LedgerException Archived(LedgerView ledger, long from, long to) => new(
        $"the entries {from} to {to - 1} were archived before the store '{records.Description}' was told of them", $"put their files back into '{ledger.Folder.Path}' until it is");

    // what a machine does with its own vault and its environment is not for all who use the store
    private static byte[] Tell(byte[] line, TreeHash leaf) =>
        EntryLine.Parse(line) is { Source: var source } && (source is null || SealedStore.IsSource(source))
            ? line
            : [AuditRecords.HashMark, .. Encoding.ASCII.GetBytes(leaf.ToString())];

    /// <summary>How far a store has a ledger.</summary>
    /// <param name="Ledger">The ledger, at least as far as that.</param>
    /// <param name="Head">What the store knows of it; null for nothing.</param>
    /// <param name="Revision">Of that record.</param>
    /// <param name="Tree">The entries that it has.</param>
    /// <param name="Near">The newest checkpoint that covers none beyond these, with its note.</param>
    private sealed record ToldLedger(LedgerView Ledger, InstanceHead? Head, string? Revision, TreeFrontier Tree, (Checkpoint Checkpoint, string Note)? Near);
}
