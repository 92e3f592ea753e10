using System.Security.Cryptography;
using System.Text;

namespace Mallku.Secrets.Storage;

/// <summary>
/// The right to rotate in a shared store: a record that its holder writes anew all the time. Whoever finds it unchanged for
/// longer than any holder takes for that, by his own clock, takes it over; so no clocks are compared. It has its holder's
/// random id, by which he finds it again where the answer to a write was lost.
/// </summary>
internal sealed class StoreTurn : IAsyncDisposable
{
    private static readonly RecordKey Key = new(RecordKind.Store, "turn");
    private static readonly TimeSpan Renewal = TimeSpan.FromSeconds(5), Lifetime = TimeSpan.FromSeconds(30), Look = TimeSpan.FromMilliseconds(250), Patience = TimeSpan.FromSeconds(60);

    private readonly IRecordStore _records;
    private readonly TimeProvider _clock;
    private readonly CancellationTokenSource _end = new();
    private readonly string _holder;
    private Task _renewing = Task.CompletedTask;

    private StoreTurn(IRecordStore records, TimeProvider clock, string holder) => (_records, _clock, _holder) = (records, clock, holder);

    /// <summary>Waits until nobody else has it.</summary>
    /// <exception cref="SecretsException">Somebody else had it all the time, or the store does not answer.</exception>
    internal static async ValueTask<StoreTurn> TakeAsync(IRecordStore records, TimeProvider clock, CancellationToken cancellationToken)
    {
        var holder = NewText();
        var began = clock.GetTimestamp();
        var seen = await records.ReadAsync(Key, cancellationToken).ConfigureAwait(false);
        var unchangedSince = began;
        var tries = new WriteTries("who rotates", $"the store '{records.Description}'");
        while (true)
        {
            var isRefused = false;
            if (seen is null || clock.GetElapsedTime(unchangedSince) > Lifetime)
            {
                var turn = new StoreTurn(records, clock, holder);
                if (await turn.IsTakenAsync(seen?.Revision, tries, cancellationToken).ConfigureAwait(false))
                {
                    turn._renewing = turn.RenewAsync();
                    return turn;
                }

                isRefused = true;
            }
            else if (clock.GetElapsedTime(began) > Patience)
            {
                throw new SecretsException($"another instance rotates in the store '{records.Description}' for more than {Patience.TotalSeconds:0} s; nothing was changed", "try again");
            }
            else
            {
                await Task.Delay(Look, clock, cancellationToken).ConfigureAwait(false);
            }

            var now = await records.ReadAsync(Key, cancellationToken).ConfigureAwait(false);
            if (isRefused)
            {
                tries.NoteRefused(now?.Revision == seen?.Revision);
                await tries.WaitAsync(cancellationToken).ConfigureAwait(false);
            }

            if (now?.Revision != seen?.Revision)
            {
                (seen, unchangedSince) = (now, clock.GetTimestamp());
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync().ConfigureAwait(false);
        await _renewing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _end.Dispose();
        try
        {
            if (await FindOwnAsync().ConfigureAwait(false) is { } own)
            {
                await _records.WriteAsync([new RecordWrite(Key, own, Data: null)], CancellationToken.None).ConfigureAwait(false);
            }
        }
        catch (SecretsException)
        {
            // it ends by itself
        }
    }

    private async ValueTask<bool> IsTakenAsync(string? expected, WriteTries tries, CancellationToken cancellationToken)
    {
        try
        {
            return await _records.WriteAsync([Write(_holder, expected)], cancellationToken).ConfigureAwait(false);
        }
        catch (StoreUnreachableException e) when (e.MayBeWritten)
        {
            // a turn that nobody knows to have would hold all others off
            if (await FindOwnAsync().ConfigureAwait(false) is not null)
            {
                return true;
            }

            tries.NoteNotMade(e);
            return false;
        }
    }

    private async Task RenewAsync()
    {
        while (true)
        {
            await Task.Delay(Renewal, _clock, _end.Token).ConfigureAwait(false);
            try
            {
                if (await FindOwnAsync().ConfigureAwait(false) is not { } own)
                {
                    // another one has taken it over
                    return;
                }

                await _records.WriteAsync([Write(_holder, own)], CancellationToken.None).ConfigureAwait(false);
            }
            catch (SecretsException)
            {
                // the next try comes soon enough
            }
        }
    }

    // the revision of the holder's own record; null where there is none any more
    private async ValueTask<string?> FindOwnAsync()
    {
        var found = await _records.ReadAsync(Key, CancellationToken.None).ConfigureAwait(false);
        return found is not null && Encoding.UTF8.GetString(found.Data.Span).Contains(_holder, StringComparison.Ordinal) ? found.Revision : null;
    }

    // another text each time, since a medium may give the same one the same revision
    private static RecordWrite Write(string holder, string? expected) =>
        new(Key, expected, Encoding.UTF8.GetBytes($$"""{"turn":"{{NewText()}}","holder":"{{holder}}"}"""));

    private static string NewText() => Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));
}
