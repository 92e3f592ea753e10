using System.Text.Json.Nodes;

namespace Mallku.ArangoDb.TestServer;

/// <summary>An error as ArangoDB answers it.</summary>
public sealed class ArangoException(int status, int number, string message) : Exception(message)
{
    public int Status => status;

    public int Number => number;

    internal static ArangoException BadRequest(string message) => new(400, 400, message);

    internal static ArangoException Conflict() => new(409, 1200, "conflict");

    internal static ArangoException DocumentNotFound() => new(404, 1202, "document not found");

    internal static ArangoException CollectionNotFound(string name) => new(404, 1203, $"collection or view not found: {name}");

    internal static ArangoException UniqueConstraint(string key) => new(409, 1210, $"unique constraint violated - in index primary of type primary over '_key'; conflicting key: {key}");

    internal JsonObject ToJson() => new() { ["error"] = true, ["code"] = status, ["errorNum"] = number, ["errorMessage"] = Message };

    /// <summary>As one of several documents' outcomes.</summary>
    internal JsonObject ToOutcome() => new() { ["error"] = true, ["errorNum"] = number, ["errorMessage"] = Message };
}
