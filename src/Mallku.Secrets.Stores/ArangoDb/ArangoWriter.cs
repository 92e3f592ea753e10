using System.Security.Cryptography;
using System.Text.Json;
using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Stores.ArangoDb;

/// <summary>
/// Writes records whole or not at all: one by itself, which ArangoDB does atomically, several in a stream transaction.
/// </summary>
/// <remarks>
/// <para>Each record of a write locks its key until the end: also one whose absence is demanded, which is inserted and removed
/// again. ArangoDB refuses a key that another transaction has locked, or has changed since this one began, as a conflict. So
/// no two writes that share a record are ever made at the same time.</para>
/// <para>A conflict does not tell whether a record is not as expected, or is only being written by somebody who may still give
/// up. So it is looked at, and where it is as expected, the write is tried again.</para>
/// </remarks>
internal sealed class ArangoWriter(
    ArangoConnection connection, string prefix, TimeProvider clock, Func<IReadOnlyList<RecordWrite>, CancellationToken, ValueTask<bool>> isAsExpected)
{
    private const int LongestPauseInMilliseconds = 40;

    private enum Fate
    {
        Written,
        Refused,
        Conflict,
    }

    internal async ValueTask<bool> WriteAsync(IReadOnlyList<RecordWrite> writes, CancellationToken cancellationToken)
    {
        var steps = StepsOf(writes);
        for (var began = clock.GetTimestamp(); ;)
        {
            var fate = writes.Count == 1
                ? await ApplyAsync(steps[0], null, writes: true, cancellationToken).ConfigureAwait(false)
                : await TransactAsync(steps, cancellationToken).ConfigureAwait(false);
            if (fate != Fate.Conflict)
            {
                return fate == Fate.Written;
            }

            if (!await isAsExpected(writes, cancellationToken).ConfigureAwait(false))
            {
                return false;
            }

            if (clock.GetElapsedTime(began) > ArangoConnection.Limit)
            {
                throw new StoreUnreachableException(
                    $"others have written the same records for {ArangoConnection.Limit.TotalSeconds:0} seconds, and nothing was changed", "try again");
            }

            await Task.Delay(TimeSpan.FromMilliseconds(RandomNumberGenerator.GetInt32(1, LongestPauseInMilliseconds)), clock, cancellationToken).ConfigureAwait(false);
        }
    }

    private static string TransactionPath(string id) => $"_api/transaction/{Uri.EscapeDataString(id)}";

    // in an order that all share, so that no two wait for each other. What changes a document always goes as the body of a request,
    // and never without one: that could be sent a second time by itself when a connection breaks, and find its own doing.
    private List<Step> StepsOf(IReadOnlyList<RecordWrite> writes)
    {
        var steps = new List<Step>();
        foreach (var kind in writes.GroupBy(static write => write.Key.Kind).OrderBy(static kind => kind.Key))
        {
            var collection = ArangoRecords.CollectionOf(kind.Key, prefix);
            var sorted = kind.OrderBy(static write => write.Key.Id, StringComparer.Ordinal).ToList();
            Add(HttpMethod.Post, "waitForSync=true", sorted.Where(static write => write.Expected is null), withData: true);
            Add(HttpMethod.Put, "waitForSync=true&ignoreRevs=false", sorted.Where(static write => write is { Expected: not null, Data: not null }), withData: true);
            Add(HttpMethod.Delete, "waitForSync=true&ignoreRevs=false", sorted.Where(static write => write.Data is null), withData: false);

            void Add(HttpMethod method, string how, IEnumerable<RecordWrite> some, bool withData)
            {
                var those = some.ToList();
                if (those.Count > 0)
                {
                    steps.Add(new Step(method, collection, how, ArangoRecords.Documents(those, withData), those.Count));
                }
            }
        }

        return steps;
    }

    private async Task<Fate> TransactAsync(List<Step> steps, CancellationToken cancellationToken)
    {
        var collections = steps.Select(static step => step.Collection).Distinct(StringComparer.Ordinal).ToArray();
        var request = JsonSerializer.SerializeToUtf8Bytes(new TransactionRequest { Collections = new() { Write = collections } }, ArangoJson.Default.TransactionRequest);
        var answer = await connection.SendAsync(new(HttpMethod.Post, "_api/transaction/begin") { Body = request }, cancellationToken).ConfigureAwait(false);
        var id = connection.Read(answer, ArangoJson.Default.AnswerTransactionInfo).Result.Id;
        var isOver = false;
        try
        {
            foreach (var step in steps)
            {
                var fate = await ApplyAsync(step, id, writes: false, cancellationToken).ConfigureAwait(false);
                if (fate != Fate.Written)
                {
                    return fate;
                }
            }

            await CommitAsync(id, cancellationToken).ConfigureAwait(false);
            isOver = true;
            return Fate.Written;
        }
        catch (StoreUnreachableException e) when (e.MayBeWritten)
        {
            isOver = true;
            throw;
        }
        finally
        {
            if (!isOver)
            {
                await AbortAsync(id).ConfigureAwait(false);
            }
        }
    }

    private async Task<Fate> ApplyAsync(Step step, string? transaction, bool writes, CancellationToken cancellationToken)
    {
        var request = new ArangoRequest(step.Method, $"_api/document/{step.Collection}?{step.How}") { Body = step.Documents, Transaction = transaction, Writes = writes };
        var answer = await connection.SendAsync(request, cancellationToken).ConfigureAwait(false);
        if (answer.ErrorNumber == ArangoError.Conflict)
        {
            return Fate.Conflict;
        }

        var outcomes = connection.Read(answer, ArangoJson.Default.ListOutcome);
        if (outcomes.Count != step.Count)
        {
            throw new StoreUnreachableException("ArangoDB told the outcome of another number of records than it was sent", "see its log, and what stands between") { MayBeWritten = writes };
        }

        var fate = Fate.Written;
        foreach (var outcome in outcomes.Where(static outcome => outcome.Error))
        {
            fate = outcome.ErrorNum switch
            {
                ArangoError.KeyExists or ArangoError.DocumentNotFound => Fate.Refused,
                ArangoError.Conflict => fate == Fate.Refused ? Fate.Refused : Fate.Conflict,
                _ => throw connection.Refusal(answer with { ErrorNumber = outcome.ErrorNum }),
            };
        }

        return fate;
    }

    private async Task CommitAsync(string id, CancellationToken cancellationToken)
    {
        try
        {
            await CommitOnceAsync(id, cancellationToken).ConfigureAwait(false);
        }
        catch (StoreUnreachableException e) when (e.MayBeWritten && !cancellationToken.IsCancellationRequested)
        {
            // a commit may be asked for again, and tells then that it was made: who asks knows more than who gives up
            try
            {
                await CommitOnceAsync(id, cancellationToken).ConfigureAwait(false);
            }
            catch (SecretsException)
            {
                throw new StoreUnreachableException(e.Problem, e.Remedy, e.InnerException) { MayBeWritten = true };
            }
        }
    }

    // whatever it is that was refused: it may have been made before, and forgotten since
    private async Task CommitOnceAsync(string id, CancellationToken cancellationToken)
    {
        var answer = await connection.SendAsync(new(HttpMethod.Put, TransactionPath(id)) { Writes = true }, cancellationToken).ConfigureAwait(false);
        if (answer.ErrorNumber != 0)
        {
            throw connection.Unable(answer, mayBeWritten: true);
        }

        connection.Read(answer, ArangoJson.Default.AnswerTransactionInfo);
    }

    // the server ends it by itself after a minute
    private async Task AbortAsync(string id)
    {
        try
        {
            await connection.SendAsync(new(HttpMethod.Delete, TransactionPath(id)), CancellationToken.None).ConfigureAwait(false);
        }
        catch (SecretsException)
        {
            // what was to be told is told already
        }
    }

    /// <summary>One request: what is done to documents of one collection.</summary>
    private sealed record Step(HttpMethod Method, string Collection, string How, byte[] Documents, int Count);
}
