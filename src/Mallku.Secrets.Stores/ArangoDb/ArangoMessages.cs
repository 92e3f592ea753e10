using System.Text.Json;
using System.Text.Json.Serialization;

namespace Mallku.Secrets.Stores.ArangoDb;

/// <summary>What is sent to ArangoDB and what it answers, as far as it is used here.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    NumberHandling = JsonNumberHandling.AllowReadingFromString)]
[JsonSerializable(typeof(Login))]
[JsonSerializable(typeof(Session))]
[JsonSerializable(typeof(Failure))]
[JsonSerializable(typeof(Answer<DatabaseInfo>))]
[JsonSerializable(typeof(Answer<List<CollectionInfo>>))]
[JsonSerializable(typeof(Answer<TransactionInfo>))]
[JsonSerializable(typeof(CollectionRequest))]
[JsonSerializable(typeof(CollectionRevision))]
[JsonSerializable(typeof(IndexList))]
[JsonSerializable(typeof(IndexRequest))]
[JsonSerializable(typeof(Document))]
[JsonSerializable(typeof(List<Outcome>))]
[JsonSerializable(typeof(Query))]
[JsonSerializable(typeof(Batch))]
[JsonSerializable(typeof(TransactionRequest))]
internal sealed partial class ArangoJson : JsonSerializerContext;

internal sealed class Answer<T>
{
    public required T Result { get; init; }
}

internal sealed class Login
{
    public string? Username { get; init; }

    public required string Password { get; init; }
}

internal sealed class Session
{
    public required string Jwt { get; init; }
}

internal sealed class Failure
{
    public required bool Error { get; init; }

    public required int ErrorNum { get; init; }
}

/// <summary>How one document of several fared; without an error where it is written.</summary>
internal sealed class Outcome
{
    public bool Error { get; init; }

    public int ErrorNum { get; init; }
}

/// <summary>A database; only one in a cluster tells how it spreads its collections.</summary>
internal sealed class DatabaseInfo
{
    public string? Sharding { get; init; }
}

internal sealed class CollectionInfo
{
    public required string Name { get; init; }
}

internal sealed class CollectionRequest
{
    public required string Name { get; init; }
}

internal sealed class CollectionRevision
{
    public required string Revision { get; init; }
}

internal sealed class IndexList
{
    public required List<IndexInfo> Indexes { get; init; }
}

internal sealed class IndexInfo
{
    public required string Type { get; init; }

    public List<string> Fields { get; init; } = [];
}

internal sealed class IndexRequest
{
    public string Type { get; } = "persistent";

    public required string[] Fields { get; init; }

    public required bool Sparse { get; init; }

    /// <summary>Or writers of the collection would wait for it.</summary>
    public bool InBackground { get; } = true;
}

internal sealed class Document
{
    [JsonPropertyName("_key")]
    public required string Key { get; init; }

    [JsonPropertyName("_rev")]
    public required string Revision { get; init; }

    public JsonElement Data { get; init; }
}

internal sealed class Query
{
    [JsonPropertyName("query")]
    public required string Text { get; init; }

    public required Dictionary<string, string> BindVars { get; init; }

    public required int BatchSize { get; init; }

    /// <summary>For how many seconds the server keeps the rest between two pages.</summary>
    public required int Ttl { get; init; }

    public QueryOptions Options { get; } = new();
}

internal sealed class QueryOptions
{
    /// <summary>Found while it is read, instead of being kept whole in the server's memory.</summary>
    public bool Stream { get; } = true;
}

internal sealed class Batch
{
    public required List<Document> Result { get; init; }

    public required bool HasMore { get; init; }

    public string? Id { get; init; }

    public long? NextBatchId { get; init; }
}

internal sealed class TransactionRequest
{
    public required TransactionCollections Collections { get; init; }

    public bool WaitForSync { get; } = true;
}

internal sealed class TransactionCollections
{
    public required string[] Write { get; init; }
}

internal sealed class TransactionInfo
{
    public required string Id { get; init; }

    public required string Status { get; init; }
}
