namespace Mallku.Secrets.Storage;

/// <summary>
/// The values of a change, as far as one write with the secret's head has no room for them: they are written before it, in
/// parts. Nothing refers to them until the head does, which comes last.
/// </summary>
/// <remarks>
/// With each part the head is written again as it was: nobody else can have changed the secret meanwhile, and whoever changes
/// it next drops what a change that was cut off has left.
/// </remarks>
internal sealed class ValueParts(IRecordStore records, StoreRoot root, StoreSealing sealing)
{
    /// <summary>Below what etcd takes as one request, but for a single record.</summary>
    internal const int MostBytes = 1 << 20;

    // beside the head and what it demands
    private const int MostValues = RecordWrite.MostAtOnce - 2;

    /// <summary>Writes the first of a change's values, and takes them from the list, until the others fit into one write with the head.</summary>
    /// <param name="next">The head that the change leads to.</param>
    /// <param name="values">The values that it brings.</param>
    /// <param name="cancellationToken">Ends it between two parts.</param>
    /// <returns>The head that the change leads to after these writes; null where somebody else was faster.</returns>
    /// <exception cref="SecretsException">They can't be written; nothing was changed.</exception>
    internal async ValueTask<OpenedHead?> WriteAsync(OpenedHead next, List<RecordWrite> values, CancellationToken cancellationToken)
    {
        if (CountFitting(values) == values.Count)
        {
            return next;
        }

        try
        {
            var now = await FindAsync(next).ConfigureAwait(false);
            while (now is not null && CountFitting(values) is var count && count < values.Count)
            {
                cancellationToken.ThrowIfCancellationRequested();
                now = await WriteAsync(now, values[..count]).ConfigureAwait(false);
                values.RemoveRange(0, count);
            }

            return now is null ? null : next with { Generation = now.Generation + 1, Revision = now.Revision };
        }
        catch (StoreUnreachableException e)
        {
            // a part may be there, and nothing refers to it
            throw e.Refusal is { } refusal
                ? new SecretsException($"{refusal.Problem}; nothing was changed", refusal.Remedy, e)
                : new StoreUnreachableException($"{e.Problem}; nothing was changed", e.Remedy, e);
        }
    }

    // the head that the change began with, which it has changed in memory
    private async ValueTask<OpenedHead?> FindAsync(OpenedHead next) => await records.ReadAsync(KeyOf(next), CancellationToken.None).ConfigureAwait(false) switch
    {
        null when next.Revision is null => next with { Record = new SecretRecord(next.Record.Name), Generation = 0 },
        { } found when await OpenAsync(found).ConfigureAwait(false) is { } head && head.Revision == next.Revision => head,
        _ => null,
    };

    private async ValueTask<OpenedHead?> WriteAsync(OpenedHead head, List<RecordWrite> part)
    {
        // Under the data key that the values are under: where a reseal replaces it, the write of one that is new is refused, and
        // one that has sealed the head anew since has dropped them.
        var again = head with { Generation = head.Generation + 1, Write = VersionRecord.NewId() };
        return await records.WriteAsync([sealing.SealHead(again), .. sealing.DemandsOf(again), .. part], CancellationToken.None).ConfigureAwait(false)
            && await records.ReadAsync(KeyOf(head), CancellationToken.None).ConfigureAwait(false) is { } found
            && await OpenAsync(found).ConfigureAwait(false) is { } written
            && written.Write == again.Write
            && written.KeyId == sealing.Newest
            ? written
            : null;
    }

    private ValueTask<OpenedHead?> OpenAsync(StoredRecord found) => root.OpenAsync(found, static (sealing, found) => sealing.OpenHead(found), CancellationToken.None);

    private static RecordKey KeyOf(OpenedHead head) => new(RecordKind.Secret, head.Id);

    // at least one
    private static int CountFitting(List<RecordWrite> values)
    {
        var (count, bytes) = (0, 0);
        while (count < Math.Min(values.Count, MostValues) && (count == 0 || bytes + values[count].Data!.Value.Length <= MostBytes))
        {
            bytes += values[count++].Data!.Value.Length;
        }

        return count;
    }
}
