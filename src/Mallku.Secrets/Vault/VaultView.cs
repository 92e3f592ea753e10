using System.Diagnostics.CodeAnalysis;
using System.Runtime.ExceptionServices;

namespace Mallku.Secrets.Vault;

/// <summary>What a vault's folder holds, kept for as long as nobody changes it. Safe for concurrent use.</summary>
[SuppressMessage("Design", "CA1001", Justification = "A semaphore whose wait handle nobody asks for holds nothing to dispose of.")]
internal sealed class VaultView(VaultSettings settings)
{
    private const int MillisecondsBetweenLooks = 500;
    private readonly SemaphoreSlim _opening = new(1, 1);
    private Look? _opened;
    private Failure? _failed;
    private long _stamp;
    private long _lastLook = Environment.TickCount64;

    internal VaultFolder Folder { get; } = new(settings);

    internal VaultLedger Ledger { get; } = new(settings);

    /// <summary>What the folder holds, as it was at most half a second ago.</summary>
    /// <exception cref="VaultOpenException">It can't be opened.</exception>
    internal async ValueTask<OpenedVault> OpenAsync(CancellationToken cancellationToken)
    {
        if (FindOpened() is { } opened)
        {
            return opened;
        }

        var asked = Environment.TickCount64;
        await _opening.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (FindOpened() is { } byAnother)
            {
                return byAnother;
            }

            if (_failed is { } failed && failed.Began >= asked)
            {
                // whoever waited for that look has its answer: a broken vault takes its time to be called so
                ExceptionDispatchInfo.Throw(failed.Error);
            }

            var stamp = Volatile.Read(ref _stamp);
            var began = Environment.TickCount64;
            try
            {
                var fresh = await ReadAsync(isBeginning: false, cancellationToken).ConfigureAwait(false);
                if (fresh.Key is not null)
                {
                    Ledger.RequirePinned(fresh.Document);
                }

                Volatile.Write(ref _lastLook, Environment.TickCount64);
                Volatile.Write(ref _opened, new Look(fresh, stamp));
                return fresh;
            }
            catch (SecretsException e)
            {
                _failed = new Failure(e, began);
                throw;
            }
        }
        finally
        {
            _opening.Release();
        }
    }

    /// <summary>Another number when the folder may hold something else; looks at it every half second at most.</summary>
    internal long GetChangeStamp(long now)
    {
        var last = Volatile.Read(ref _lastLook);
        if (now - last >= MillisecondsBetweenLooks
            && Interlocked.CompareExchange(ref _lastLook, now, last) == last
            && FindOpened() is { } opened
            && opened.Watch.HasChanged())
        {
            Forget();
        }

        return Volatile.Read(ref _stamp);
    }

    /// <summary>Makes the next reader read the folder where it has changed.</summary>
    internal void LookNow()
    {
        if (FindOpened() is { } opened && opened.Watch.HasChanged())
        {
            Forget();
        }
    }

    /// <summary>Makes the next reader read the folder.</summary>
    internal void Forget()
    {
        Volatile.Write(ref _opened, null);
        Interlocked.Increment(ref _stamp);
    }

    /// <summary>Reads the folder, whatever is kept of it; what is returned is the caller's.</summary>
    /// <exception cref="VaultOpenException">It can't be opened.</exception>
    internal async ValueTask<OpenedVault> ReadAsync(bool isBeginning, CancellationToken cancellationToken)
    {
        using var activity = Telemetry.StartOpening();
        try
        {
            var opened = await Folder.OpenAsync(isBeginning, cancellationToken).ConfigureAwait(false);
            if (opened.Key is not null)
            {
                Telemetry.Opened();
            }

            return opened;
        }
        catch (Exception e)
        {
            Telemetry.OpeningFailed(activity, e);
            throw;
        }
    }

    // null when somebody changed the folder, or asked for a fresh look, since that look began
    private OpenedVault? FindOpened() =>
        Volatile.Read(ref _opened) is { } look && look.Stamp == Volatile.Read(ref _stamp) ? look.Vault : null;

    private sealed record Look(OpenedVault Vault, long Stamp);

    private sealed record Failure(SecretsException Error, long Began);
}
