using System.Security.Cryptography;
using System.Text;

namespace Mallku.Secrets.Storage;

/// <summary>
/// The right to rotate in a shared store: a record that its holder writes anew all the time. Whoever finds it unchanged for
/// longer than any holder takes for that, by his own clock, takes it over; so no clocks are compared.
/// </summary>
internal sealed class StoreTurn : IAsyncDisposable
{
    private static readonly RecordKey Key = new(RecordKind.Store, "turn");
    private static readonly TimeSpan Renewal = TimeSpan.FromSeconds(5), Lifetime = TimeSpan.FromSeconds(30), Look = TimeSpan.FromMilliseconds(250), Patience = TimeSpan.FromSeconds(60);

    private readonly IRecordStore _records;
    private readonly TimeProvider _clock;
    private readonly CancellationTokenSource _end = new();
    private Task _renewing = Task.CompletedTask;
    private string _revision;

    private StoreTurn(IRecordStore records, TimeProvider clock, string revision) => (_records, _clock, _revision) = (records, clock, revision);

    /// <summary>Waits until nobody else has it.</summary>
    /// <exception cref="SecretsException">Somebody else had it all the time, or the store does not answer.</exception>
    internal static async ValueTask<StoreTurn> TakeAsync(IRecordStore records, TimeProvider clock, CancellationToken cancellationToken)
    {
        var began = clock.GetTimestamp();
        var seen = await records.ReadAsync(Key, cancellationToken).ConfigureAwait(false);
        var unchangedSince = began;
        while (true)
        {
            if (seen is null || clock.GetElapsedTime(unchangedSince) > Lifetime)
            {
                if (await WriteAsync(records, seen?.Revision, cancellationToken).ConfigureAwait(false) is { } revision)
                {
                    var turn = new StoreTurn(records, clock, revision);
                    turn._renewing = turn.RenewAsync();
                    return turn;
                }
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
            await _records.WriteAsync([new RecordWrite(Key, _revision, Data: null)], CancellationToken.None).ConfigureAwait(false);
        }
        catch (SecretsException)
        {
            // it ends by itself
        }
    }

    private async Task RenewAsync()
    {
        while (true)
        {
            await Task.Delay(Renewal, _clock, _end.Token).ConfigureAwait(false);
            try
            {
                if (await WriteAsync(_records, _revision, CancellationToken.None).ConfigureAwait(false) is { } revision)
                {
                    _revision = revision;
                }
            }
            catch (SecretsException)
            {
                // the next try comes soon enough
            }
        }
    }

    // null where another one was faster
    private static async ValueTask<string?> WriteAsync(IRecordStore records, string? expected, CancellationToken cancellationToken)
    {
        var text = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));
        var data = Encoding.UTF8.GetBytes($$"""{"turn":"{{text}}"}""");
        if (!await records.WriteAsync([new RecordWrite(Key, expected, data)], cancellationToken).ConfigureAwait(false))
        {
            return null;
        }

        var written = await records.ReadAsync(Key, cancellationToken).ConfigureAwait(false);
        return written is not null && Encoding.UTF8.GetString(written.Data.Span).Contains(text, StringComparison.Ordinal) ? written.Revision : null;
    }
}
