using System.Runtime.CompilerServices;
using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Tests.Storage;

/// <summary>Records that do not answer, or lose an answer, as the test says.</summary>
internal sealed class ForgetfulRecords(IRecordStore inner) : IRecordStore
{
    private static StoreUnreachableException Down => new("the store does not answer", "try again");

    /// <summary>What happens in the place of the next write of a secret, whose answer is lost; null: it is made and answered.</summary>
    internal Func<Func<Task>, Task>? Instead { get; set; }

    /// <summary>Whether reads and writes fail.</summary>
    internal bool IsDown { get; set; }

    /// <summary>What happens once between the next read of secrets, or of another kind, and its answer.</summary>
    internal Func<Task>? AfterRead { get; set; }

    /// <summary>Of which kind that read is.</summary>
    internal RecordKind Read { get; init; } = RecordKind.Secret;

    /// <summary>What happens once before the next write of a secret.</summary>
    internal Func<Task>? BeforeWrite { get; set; }

    /// <summary>What happens once after the next write of a secret.</summary>
    internal Func<Task>? Written { get; set; }

    public string Description => inner.Description;

    public int MaxDataLength => inner.MaxDataLength;

    public ValueTask PrepareAsync(CancellationToken cancellationToken) => inner.PrepareAsync(cancellationToken);

    public async ValueTask<StoredRecord?> ReadAsync(RecordKey key, CancellationToken cancellationToken)
    {
        var found = IsDown ? throw Down : await inner.ReadAsync(key, cancellationToken);
        await PauseAsync(key.Kind);
        return found;
    }

    public async IAsyncEnumerable<StoredRecord> ListAsync(RecordKind kind, string from, string? before, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var found in IsDown ? throw Down : inner.ListAsync(kind, from, before, cancellationToken))
        {
            await PauseAsync(kind);
            yield return found;
        }
    }

    public IAsyncEnumerable<StoredRecord> FindAsync(RecordKind kind, string first, string last, CancellationToken cancellationToken) =>
        inner.FindAsync(kind, first, last, cancellationToken);

    public async ValueTask<bool> WriteAsync(IReadOnlyList<RecordWrite> writes, CancellationToken cancellationToken)
    {
        if (IsDown)
        {
            throw Down;
        }

        if (writes[0].Key.Kind == RecordKind.Secret && BeforeWrite is { } before)
        {
            BeforeWrite = null;
            await before();
        }

        if (Instead is not { } instead || writes[0].Key.Kind != RecordKind.Secret)
        {
            var isWritten = await inner.WriteAsync(writes, cancellationToken);
            if (Written is { } then && writes[0].Key.Kind == RecordKind.Secret)
            {
                Written = null;
                await then();
            }

            return isWritten;
        }

        Instead = null;
        await instead(async () => Assert.True(await inner.WriteAsync(writes, cancellationToken)));
        throw new StoreUnreachableException("the answer was lost", "try again") { MayBeWritten = true };
    }

    public IAsyncEnumerable<RecordKey?> WatchAsync(CancellationToken cancellationToken) => inner.WatchAsync(cancellationToken);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private async Task PauseAsync(RecordKind kind)
    {
        if (kind == Read && AfterRead is { } pause)
        {
            AfterRead = null;
            await pause();
        }
    }
}
