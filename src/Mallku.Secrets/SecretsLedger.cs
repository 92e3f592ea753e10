using System.Runtime.CompilerServices;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Vault;

namespace Mallku.Secrets;

/// <summary>
/// The record of every use and change of a vault's secrets, to look into (docs/formats/ledger-v1.md). Changes nothing;
/// safe for concurrent use, in this process and by others. What this process did last is in it after
/// <see cref="SecretsManager.FlushAsync"/>.
/// </summary>
public sealed class SecretsLedger
{
    private readonly FileVault _vault;

    internal SecretsLedger(FileVault vault) => _vault = vault;

    /// <summary>
    /// The entries that were not archived, the oldest first, read from the disk as they are asked for, up to the newest one
    /// when the first is. Whether somebody altered them only <see cref="VerifyAsync"/> tells.
    /// </summary>
    /// <param name="from">The index of the first one, from 0 up. To go on later, give the last index and one more.</param>
    /// <param name="since">Leaves out what was written before.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    /// <exception cref="ArgumentOutOfRangeException">The index is negative.</exception>
    /// <exception cref="SecretsException">There is no vault or no ledger, or it can't be read.</exception>
    public IAsyncEnumerable<LedgerEntry> ReadEntriesAsync(long from = 0, DateTimeOffset? since = null, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(from);
        return Read(from, since, cancellationToken);
    }

    /// <summary>How each secret was used, in the order of the names; one of the vault that was never used is in it too.</summary>
    /// <exception cref="SecretsException">There is no vault or no ledger, or it can't be read.</exception>
    public ValueTask<IReadOnlyList<SecretUse>> GetReportAsync(CancellationToken cancellationToken = default) =>
        AskAsync<IReadOnlyList<SecretUse>>(static (ledger, _) => new(ledger.Report()), cancellationToken);

    /// <summary>The uses that do not fit what came before them, the oldest first; docs/guide/command.md has the rules.</summary>
    /// <param name="since">Leaves out the findings of before; all entries are read for the rest.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="SecretsException">There is no vault or no ledger, or it can't be read.</exception>
    public ValueTask<IReadOnlyList<UnusualUse>> FindUnusualUsesAsync(DateTimeOffset? since = null, CancellationToken cancellationToken = default) =>
        AskAsync<IReadOnlyList<UnusualUse>>((ledger, _) => new([.. ledger.FindUnusualUses(since)]), cancellationToken);

    /// <summary>
    /// Compares every entry that was not archived with the signed checkpoints, with what the vault knows of them, and with
    /// a checkpoint of before. That something was altered is in the answer, and no exception.
    /// </summary>
    /// <param name="keptCheckpoint">What <see cref="GetCheckpointAsync"/> returned some time ago: the ledger must go on from it.</param>
    /// <param name="progress">Told now and then how many entries are done, and how many there are.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="SecretsException">There is no vault or no ledger, or it can't be read.</exception>
    public ValueTask<LedgerVerification> VerifyAsync(
        string? keptCheckpoint = null, IProgress<(long Done, long Total)>? progress = null, CancellationToken cancellationToken = default) =>
        AskAsync((ledger, token) => ledger.VerifyAsync(KeptNote.Of(keptCheckpoint), Tell(progress), token), cancellationToken);

    /// <summary>
    /// Does the same without a vault: compares the entries of a ledger's folder, or of a copy, with its checkpoints by the
    /// public key alone.
    /// </summary>
    /// <param name="directory">The folder.</param>
    /// <param name="publicKey">What <see cref="GetPublicKeyAsync"/> returns, and not from the same place as the folder.</param>
    /// <param name="keptCheckpoint">A checkpoint of before, from which the ledger must go on.</param>
    /// <param name="progress">Told now and then how many entries are done, and how many there are.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="ArgumentException">That is no public key of a ledger.</exception>
    /// <exception cref="LedgerException">A file can't be read.</exception>
    public static async ValueTask<LedgerVerification> VerifyCopyAsync(
        string directory,
        string publicKey,
        string? keptCheckpoint = null,
        IProgress<(long Done, long Total)>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(directory);
        var folder = new LedgerFolder(Path.GetFullPath(directory));
        try
        {
            return await new LedgerVerifier(folder, ParseKey(publicKey))
                .VerifyAsync(KeptNote.Of(keptCheckpoint), [], Tell(progress), cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw LedgerErrors.CannotRead(folder, e);
        }
    }

    /// <summary>The newest checkpoint, a signed note of some lines (C2SP tlog-checkpoint), to be kept where nobody can alter it with the ledger.</summary>
    /// <exception cref="SecretsException">There is no vault or no ledger, or no checkpoint that its key signed.</exception>
    public ValueTask<string> GetCheckpointAsync(CancellationToken cancellationToken = default) =>
        AskAsync<string>(static (ledger, _) => new(ledger.ReadNote()), cancellationToken);

    /// <summary>The key by which anybody can check the ledger and its proofs, and nobody can write them (C2SP signed-note, a verifier key).</summary>
    /// <exception cref="SecretsException">There is no vault or no ledger.</exception>
    public ValueTask<string> GetPublicKeyAsync(CancellationToken cancellationToken = default) =>
        AskAsync<string>(static (ledger, _) => new(ledger.Verifier.ToString()), cancellationToken);

    /// <summary>A proof that an entry is in the ledger, which has the entry itself and shows nothing of the others (C2SP tlog-proof).</summary>
    /// <exception cref="SecretsException">
    /// There is no such entry, or it is archived; there is no vault or no ledger; or it is not as it was signed.
    /// </exception>
    public ValueTask<string> ProveAsync(long index, CancellationToken cancellationToken = default) =>
        AskAsync<string>((ledger, _) => new(LedgerProof.Make(ledger.Folder, ledger.Verifier, ledger.ReadNote(), index).ToText()), cancellationToken);

    /// <summary>Checks a proof by the public key alone; needs neither the vault nor the ledger.</summary>
    /// <param name="proof">What <see cref="ProveAsync"/> returned.</param>
    /// <param name="publicKey">What <see cref="GetPublicKeyAsync"/> returns, and not from the same place as the proof.</param>
    /// <returns>What is proven; null where nothing is.</returns>
    /// <exception cref="ArgumentException">That is no public key of a ledger.</exception>
    public static ProvenEntry? CheckProof(string proof, string publicKey)
    {
        ArgumentNullException.ThrowIfNull(proof);
        return LedgerProof.Parse(proof)?.Verify(ParseKey(publicKey)) is var (entry, checkpoint)
            ? new ProvenEntry(entry, checkpoint.Origin, checkpoint.Size)
            : null;
    }

    private async IAsyncEnumerable<LedgerEntry> Read(long from, DateTimeOffset? since, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var entries = await AskAsync((ledger, _) => new ValueTask<IEnumerator<LedgerEntry>>(ledger.ReadEntries(first: from).GetEnumerator()), cancellationToken)
            .ConfigureAwait(false);
        while (GoesOn(entries))
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (since is null || entries.Current.Time >= since)
            {
                yield return entries.Current;
            }
        }
    }

    private bool GoesOn(IEnumerator<LedgerEntry> entries)
    {
        try
        {
            return entries.MoveNext();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw LedgerErrors.CannotRead(_vault.Ledger.Folder, e);
        }
    }

    private async ValueTask<T> AskAsync<T>(Func<OpenedLedger, CancellationToken, ValueTask<T>> question, CancellationToken cancellationToken)
    {
        try
        {
            var ledger = await OpenedLedger.OpenAsync(_vault, cancellationToken).ConfigureAwait(false);
            return await question(ledger, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw LedgerErrors.CannotRead(_vault.Ledger.Folder, e);
        }
    }

    private static Action<long, long>? Tell(IProgress<(long Done, long Total)>? progress) =>
        progress is null ? null : (done, total) => progress.Report((done, total));

    private static NoteVerifier ParseKey(string publicKey)
    {
        ArgumentNullException.ThrowIfNull(publicKey);
        return NoteVerifier.Parse(publicKey) ?? throw new ArgumentException("It is no public key of a ledger.", nameof(publicKey));
    }
}
