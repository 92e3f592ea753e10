using System.Collections.Immutable;
using System.Text.Json.Nodes;

namespace Mallku.ArangoDb.TestServer;

/// <summary>A document. Its attributes are never changed.</summary>
internal sealed record StoredDocument(string Collection, string Key, string Revision, JsonObject Attributes)
{
    internal JsonObject ToJson()
    {
        var whole = Identity();
        foreach (var (name, value) in Attributes)
        {
            whole[name] = value?.DeepClone();
        }

        return whole;
    }

    internal JsonObject Identity() => new() { ["_key"] = Key, ["_id"] = $"{Collection}/{Key}", ["_rev"] = Revision };

    internal string? Text(string attribute) => Attributes[attribute]?.GetValue<string>();
}

internal sealed record StoredIndex(string Id, ImmutableArray<string> Fields, bool IsSparse, bool IsUnique)
{
    internal JsonObject ToJson(string collection) => new()
    {
        ["id"] = $"{collection}/{Id}",
        ["type"] = Id == "0" ? "primary" : "persistent",
        ["name"] = Id == "0" ? "primary" : $"idx_{Id}",
        ["fields"] = new JsonArray([.. Fields.Select(static field => JsonValue.Create(field))]),
        ["sparse"] = IsSparse,
        ["unique"] = IsUnique,
    };
}

/// <summary>A collection at one moment.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Id">Its number.</param>
/// <param name="Revision">Another one after each change of a document.</param>
/// <param name="Documents">By their keys.</param>
/// <param name="Touched">When each key was last written or removed.</param>
/// <param name="Indexes">Of which the first is that of the keys.</param>
internal sealed record StoredCollection(
    string Name,
    string Id,
    string Revision,
    ImmutableDictionary<string, StoredDocument> Documents,
    ImmutableDictionary<string, long> Touched,
    ImmutableList<StoredIndex> Indexes)
{
    internal JsonObject ToJson() => new()
    {
        ["id"] = Id,
        ["name"] = Name,
        ["status"] = 3,
        ["type"] = 2,
        ["isSystem"] = false,
        ["globallyUniqueId"] = $"h{Id}",
    };
}

/// <summary>A stream transaction: sees the database as it was when it began, and what it has written itself.</summary>
internal sealed class StoredTransaction(string id, ImmutableDictionary<string, StoredCollection> snapshot, IReadOnlySet<string> writable, DateTimeOffset began)
{
    internal string Id => id;

    internal ImmutableDictionary<string, StoredCollection> Snapshot => snapshot;

    internal IReadOnlySet<string> Writable => writable;

    /// <summary>What it has written; null for what it has removed.</summary>
    internal Dictionary<(string Collection, string Key), StoredDocument?> Written { get; } = [];

    internal string Status { get; set; } = "running";

    internal DateTimeOffset LastUsed { get; set; } = began;

    internal JsonObject ToJson() => new() { ["id"] = id, ["status"] = Status };
}

/// <summary>What is left of a query's result.</summary>
internal sealed class StoredCursor(string id, IReadOnlyList<JsonObject> rows, int batchSize, TimeSpan timeToLive)
{
    internal string Id => id;

    internal int Next { get; set; }

    internal int NextBatch { get; set; } = 1;

    internal TimeSpan TimeToLive => timeToLive;

    internal DateTimeOffset LastUsed { get; set; }

    internal bool HasMore => Next < rows.Count;

    internal JsonArray Take()
    {
        var batch = new JsonArray([.. rows.Skip(Next).Take(batchSize).Select(static row => row.DeepClone())]);
        Next += batch.Count;
        NextBatch++;
        return batch;
    }
}
