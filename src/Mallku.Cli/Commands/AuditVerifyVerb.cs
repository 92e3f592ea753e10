using System.CommandLine;
using System.Text;
using Mallku.Cli.Terminal;
using Mallku.Cli.Transfer;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Storage;
using Mallku.Secrets.Vault;

namespace Mallku.Cli.Commands;

internal sealed class AuditVerifyVerb : Verb
{
    private static readonly TimeSpan Silence = TimeSpan.FromDays(1);
    private readonly Option<string?> _against = new("--against") { HelpName = "FILE", Description = "a checkpoint of before, which the ledger must go on from" };
    private readonly Option<bool> _all = Invocation.OfAll();
    private readonly Option<string?> _key = VerifierKey.Option();

    internal AuditVerifyVerb() => Understand(_against, _key, _all);

    internal override string? Notes =>
        "Reads every entry that was not archived, and compares them with the signed checkpoints, with those in the vault and in MALLKU_WITNESS_FILE, "
        + "with FILE, and with what the shared store was told, where one is named and answers. With --key, or MALLKU_LEDGER_KEY, it needs no vault, only the ledger's files: in DIR/ledger, or where MALLKU_LEDGER_DIR says. "
        + "With --all, it checks what all machines have told the shared store, and what that knows of its secrets but for their values. Ends with 1 if an entry was altered, added, moved or taken away, and names the first one; "
        + "with --all also if a machine has changed secrets of the store and not told of it for five minutes.";

    internal override string[] Examples =>
        ["mallku audit verify", "mallku audit verify --all", "mallku audit verify --against checkpoint-of-may", "MALLKU_LEDGER_DIR=copy mallku audit verify --key ledger.vkey"];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        if (invocation.Parsed.GetValue(_all))
        {
            return invocation.Parsed.GetValue(_key) is null && invocation.Parsed.GetValue(_against) is null
                ? await VerifyAllAsync(invocation, cancellationToken)
                : throw new UsageException("--all goes with neither --key nor --against", "verify one machine's ledger there");
        }

        var (manager, key) = (await invocation.OpenLedgersManagerAsync(cancellationToken), invocation.Parsed.GetValue(_key));
        var vault = manager.Vault;
        var against = invocation.Parsed.GetValue(_against);
        IReadOnlyList<KeptNote> kept = against is null ? [] : [new KeptNote(ReadNote(against), GivenFile.Show(against))];

        // a pinned key stands for the vault's where there is no vault, and is held against it where there is one
        var verifier = key is not null ? VerifierKey.Read(key) : vault.IsMade ? null : vault.Settings.LedgerPin?.Verifier;
        if (WitnessInspection.Find(vault.Settings) is { } witness && witness.Read() is null)
        {
            Notice.Warn($"{witness.Name} is not there, and was not compared");
        }

        LedgerVerification found;
        using (var progress = new Progress("entries checked"))
        {
            found = verifier is null
                ? await (await invocation.OpenLedgerAsync(cancellationToken)).VerifyAsync(kept, progress.Show, cancellationToken)
                : await new LedgerVerifier(vault.Ledger.Folder, verifier)
                    .VerifyAsync([.. kept, .. WitnessInspection.ReadNotes(vault.Settings)], [], progress.Show, cancellationToken);
        }

        foreach (var tail in found.Tails)
        {
            Notice.Warn($"{tail.Bytes} bytes in '{tail.File}' are behind the checkpoint, and no part of the ledger: a write was cut off, or somebody added them");
        }

        if (found.Fault is { } fault)
        {
            throw new LedgerException(fault.Problem, fault.Remedy);
        }

        Say(found);
        return verifier is null && manager.Store is { } store ? await CompareAsync(store, cancellationToken) : ExitCode.Done;
    }

    // with what the store was told of this ledger
    private static async ValueTask<int> CompareAsync(SealedStore store, CancellationToken cancellationToken)
    {
        try
        {
            return await store.Shipper.FindFaultAsync(cancellationToken) is { Fault: var fault } ? throw new LedgerException(fault.Problem, fault.Remedy) : ExitCode.Done;
        }
        catch (StoreUnreachableException e)
        {
            Notice.Warn($"what the store was told was not compared: {e.Problem}");
            return ExitCode.Done;
        }
    }

    private static async ValueTask<int> VerifyAllAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var (ledger, untold) = await invocation.TellStoreLedgerAsync(cancellationToken);
        IReadOnlyList<InstanceVerification> found;
        using (var progress = new Progress("entries checked"))
        {
            found = await ledger.VerifyAsync(new Told(progress), cancellationToken);
        }

        var now = invocation.Options.TimeProvider.GetUtcNow();
        foreach (var one in found.Where(static one => one.Fault is null))
        {
            var instance = one.Instance!;
            Channel.Output.WriteLine(
                $"verified {instance.Entries} {(instance.Entries == 1 ? "entry" : "entries")} of {EntryWords.Show(instance.User)}@{EntryWords.Show(instance.Host)}, told until {Moment.Iso(instance.Told)}");
            if (one.SilentSince is { } since)
            {
                Notice.Warn($"it has not told yet of what it has changed since {Moment.Iso(since)}: within five minutes it does");
            }
            else if (now - instance.Told > Silence)
            {
                Notice.Warn($"{EntryWords.Show(instance.User)}@{EntryWords.Show(instance.Host)} has told nothing since: it was not used, or does not tell any more");
            }
        }

        foreach (var oddity in found.SelectMany(static one => one.Oddities))
        {
            Notice.Warn(oddity);
        }

        var faults = found.Where(static one => one.Fault is not null).ToList();
        foreach (var one in faults.Skip(1))
        {
            Notice.Warn(LeftOut.Describe(one));
        }

        if (untold is not null && !faults.Exists(one => one.Fault!.Problem == untold.Problem))
        {
            Notice.Warn($"{untold.Problem}; {untold.Remedy}");
        }

        return faults is [var first, ..] ? throw new LedgerException(LeftOut.Describe(first), first.Fault!.Remedy) : ExitCode.Done;
    }

    /// <summary>Shows progress at once, and not on another thread later.</summary>
    private sealed class Told(Progress progress) : IProgress<(long Done, long Total)>
    {
        public void Report((long Done, long Total) value) => progress.Show(value.Done, value.Total);
    }

    private static void Say(LedgerVerification found)
    {
        var (first, size) = (found.First, found.Size);
        Channel.Output.WriteLine($"verified {size - first} {(size - first == 1 ? "entry" : "entries")}, signed by {found.Newest!.Origin}");
        if (first > 0)
        {
            Notice.Warn($"the entries before {first} are archived; put their files back to verify them too");
        }

        foreach (var one in found.Kept.Except(found.Unreached))
        {
            Channel.Output.WriteLine($"goes on from what {one.Where} knows: {one.Checkpoint.Size} {(one.Checkpoint.Size == 1 ? "entry" : "entries")}");
        }

        foreach (var one in found.Unreached)
        {
            Notice.Warn($"what {one.Where} knows, {one.Checkpoint.Size} entries, could not be compared: they are archived");
        }
    }

    private static string ReadNote(string file) => Encoding.UTF8.GetString(
        GivenFile.Read(file, SignedNote.MaxLength, "keep a checkpoint now and then, in another place: mallku audit checkpoint > FILE"));
}
