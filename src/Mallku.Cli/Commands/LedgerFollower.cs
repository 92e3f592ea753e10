using System.Runtime.ExceptionServices;
using Mallku.Cli.Terminal;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Vault;

namespace Mallku.Cli.Commands;

/// <summary>Goes on with what is added to a ledger, over archived files and with the ledger that takes its place.</summary>
internal sealed class LedgerFollower(OpenedLedger ledger)
{
    private const int AtOnce = 1000;
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(250);

    // a ledger that is given up is away before the vault knows of the next one
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);
    private OpenedLedger _ledger = ledger;
    private Checkpoint? _known;
    private long? _next;

    /// <summary>Ends by an error, or where nobody reads any more.</summary>
    /// <param name="write">Gets the entries, the oldest first, and the ledger that they are in.</param>
    /// <param name="cancellationToken">Ends the opening of a vault.</param>
    /// <exception cref="SecretsException">There is no ledger any more that the vault knows, or it can't be read.</exception>
    internal async Task FollowAsync(Action<OpenedLedger, IReadOnlyList<LedgerEntry>> write, CancellationToken cancellationToken)
    {
        var sound = TimeProvider.System.GetTimestamp();
        while (true)
        {
            try
            {
                await WriteAddedAsync(write, cancellationToken);
                sound = TimeProvider.System.GetTimestamp();
            }
            catch (Exception e) when (e is LedgerException or DirectoryNotFoundException)
            {
                var isPatient = TimeProvider.System.GetElapsedTime(sound) < Patience;
                if (!await TakeNextAsync(isPatient, cancellationToken) && !isPatient)
                {
                    ExceptionDispatchInfo.Throw(e);
                }
            }

            Channel.Output.Wait(BetweenLooks);
        }
    }

    private async Task WriteAddedAsync(Action<OpenedLedger, IReadOnlyList<LedgerEntry>> write, CancellationToken cancellationToken)
    {
        var newest = _ledger.Session.ReadCurrent();
        if (newest.Size < _known?.Size)
        {
            throw new LedgerException($"the ledger has {newest.Size} entries, and had {_known.Size}: an older ledger was put back", LedgerException.WayOn);
        }

        if (newest.Size != _known?.Size)
        {
            if (_ledger.ReadEntries(newest, _known, _next ?? 0).Any(entry => entry.Pseudonym is { } pseudonym && pseudonym == entry.Secret))
            {
                // a new secret's entry is there before the vault that has its name
                Channel.Output.Wait(BetweenLooks);
                _ledger.Vault.Forget();
                _ledger = _ledger with { Opened = await _ledger.Vault.OpenAsync(cancellationToken) };
            }

            foreach (var some in _ledger.ReadEntries(newest, _known, _next ?? 0).Chunk(AtOnce))
            {
                NoteArchived(some[0].Index);
                write(_ledger, some);
                _next = some[^1].Index + 1;
            }

            NoteArchived(newest.Size);
        }

        (_known, _next) = (newest, newest.Size);
    }

    private void NoteArchived(long index)
    {
        if (_next < index)
        {
            var which = _next == index - 1 ? $"entry {_next}" : $"entries {_next} to {index - 1}";
            Notice.Warn($"archived before this could show them: {which}");
        }
    }

    /// <summary>Goes over to the ledger that the vault knows now; false where that is the same.</summary>
    private async Task<bool> TakeNextAsync(bool isPatient, CancellationToken cancellationToken)
    {
        OpenedLedger next;
        try
        {
            _ledger.Vault.Forget();
            next = await OpenedLedger.OpenAsync(_ledger.Vault, cancellationToken);
        }
        catch (SecretsException) when (isPatient)
        {
            return false;
        }

        if (next.Verifier.ToString() == _ledger.Verifier.ToString())
        {
            return false;
        }

        Notice.Warn($"the ledger {_ledger.Verifier.Name} was given up, perhaps with entries that are not shown here; what follows is in the new one, {next.Verifier.Name}");
        (_ledger, _known, _next) = (next, null, null);
        return true;
    }
}
