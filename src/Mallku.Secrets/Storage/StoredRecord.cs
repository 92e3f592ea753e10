namespace Mallku.Secrets.Storage;

/// <summary>What a record is about, as far as the medium may know. The medium keeps each kind apart, with rights of its own.</summary>
public enum RecordKind
{
    /// <summary>The store itself, with its data keys, wrapped; and who may rotate.</summary>
    Store,

    /// <summary>A secret's head: what is known of it, and of its versions but for their values.</summary>
    Secret,

    /// <summary>A version's value.</summary>
    Version,

    /// <summary>An instance that uses the store.</summary>
    Instance,

    /// <summary>A batch of an instance's ledger. Only ever added, never changed or removed.</summary>
    Audit,
}

/// <summary>Names a record.</summary>
/// <param name="Kind">Which records it is among.</param>
/// <param name="Id">1 to 200 of the characters <c>a</c>–<c>z</c>, <c>0</c>–<c>9</c>, <c>-</c> and <c>.</c></param>
public readonly record struct RecordKey(RecordKind Kind, string Id);

/// <summary>A record as it is in the medium.</summary>
/// <param name="Key">Its name.</param>
/// <param name="Revision">Another one after each write, also after it was removed and written anew. Opaque.</param>
/// <param name="Data">A JSON object in UTF-8, with the members and their values as they were written; a medium may keep it as JSON, and white space and the order of members are not kept.</param>
public sealed record StoredRecord(RecordKey Key, string Revision, ReadOnlyMemory<byte> Data);

/// <summary>One record of a write.</summary>
/// <param name="Key">Its name.</param>
/// <param name="Expected">The revision that it must have; null where it must not be there.</param>
/// <param name="Data">The new data, a JSON object in UTF-8; null to remove the record, or, where it must not be there, to demand just that.</param>
public sealed record RecordWrite(RecordKey Key, string? Expected, ReadOnlyMemory<byte>? Data)
{
    /// <summary>The most records in one write.</summary>
    public const int MostAtOnce = 64;

    private const int MostTerms = 8, LongestId = 200;

    /// <summary>Under what it is found by <see cref="IRecordStore.FindAsync"/>, at most 8, each like an id. They replace those of before.</summary>
    public IReadOnlyList<string> Terms { get; init; } = [];

    /// <summary>Refuses what no medium takes.</summary>
    /// <exception cref="ArgumentException">
    /// No write, or too many, or two of one key, or a key or a term that is none, or too many terms, or anything but the adding
    /// of an audit record.
    /// </exception>
    /// <exception cref="SecretsException">A record is larger than the medium takes.</exception>
    public static void Require(IReadOnlyList<RecordWrite> writes, int maxDataLength)
    {
        ArgumentNullException.ThrowIfNull(writes);
        if (writes.Count is 0 or > MostAtOnce || writes.Select(static write => write.Key).Distinct().Count() != writes.Count)
        {
            throw new ArgumentException($"A write has 1 to {MostAtOnce} records, each of another key.", nameof(writes));
        }

        foreach (var write in writes)
        {
            if (!IsId(write.Key.Id) || write.Terms.Count > MostTerms || !write.Terms.All(IsId))
            {
                throw new ArgumentException($"An id or a term is 1 to {LongestId} of a-z, 0-9, '-' and '.', and a record has at most {MostTerms} terms.", nameof(writes));
            }

            if (write.Key.Kind == RecordKind.Audit && (write.Expected is not null || write.Data is null))
            {
                throw new ArgumentException("An audit record is only ever added.", nameof(writes));
            }

            if (write.Data?.Length > maxDataLength)
            {
                throw new SecretsException(
                    $"a record of {write.Data.Value.Length} bytes is larger than the store takes, {maxDataLength}; nothing was changed", "keep only the key itself as a secret");
            }
        }
    }

    private static bool IsId(string text) => text.Length is > 0 and <= LongestId && text.All(static c => c is (>= 'a' and <= 'z') or (>= '0' and <= '9') or '-' or '.');
}
