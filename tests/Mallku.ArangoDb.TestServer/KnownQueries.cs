using System.Text.Json.Nodes;

namespace Mallku.ArangoDb.TestServer;

/// <summary>The queries that the emulation understands, letter by letter. Any other text is answered as a syntax error.</summary>
internal static class KnownQueries
{
    private const string ById =
        "FOR d IN @@records FILTER d.order >= @first AND d.order < @last SORT d.order RETURN { _key: d._key, _rev: d._rev, data: d.data }";

    private const string ByTerm =
        "FOR d IN @@records FILTER (d.t0 >= @first AND d.t0 <= @last) OR (d.t1 >= @first AND d.t1 <= @last) OR (d.t2 >= @first AND d.t2 <= @last) "
        + "OR (d.t3 >= @first AND d.t3 <= @last) OR (d.t4 >= @first AND d.t4 <= @last) OR (d.t5 >= @first AND d.t5 <= @last) OR (d.t6 >= @first AND d.t6 <= @last) "
        + "OR (d.t7 >= @first AND d.t7 <= @last) FOR t IN [d.t0, d.t1, d.t2, d.t3, d.t4, d.t5, d.t6, d.t7] FILTER t >= @first AND t <= @last SORT t, d.order "
        + "RETURN { _key: d._key, _rev: d._rev, data: d.data }";

    private static readonly ServerLanguage Language = ServerLanguage.Instance;

    /// <summary>Which attributes a query needs an index on, or it would read whole collections.</summary>
    internal static IReadOnlyList<string> IndexesOf(string text) => text switch
    {
        ById => ["order"],
        ByTerm => ["t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7"],
        _ => throw new ArangoException(400, 1501, "AQL: syntax error, unexpected identifier"),
    };

    internal static List<JsonObject> Run(string text, IEnumerable<StoredDocument> documents, string first, string last) => text switch
    {
        ById => [.. documents
            .Where(d => AtLeast(d.Text("order"), first) && Language.Compare(d.Text("order") ?? "", last) < 0)
            .OrderBy(static d => d.Text("order"), Language)
            .Select(Row)],
        _ => [.. documents
            .SelectMany(static d => Enumerable.Range(0, 8).Select(i => (Term: d.Text($"t{i}"), Document: d)))
            .Where(found => AtLeast(found.Term, first) && Language.Compare(found.Term, last) <= 0)
            .OrderBy(static found => found.Term, Language).ThenBy(static found => found.Document.Text("order"), Language)
            .Select(static found => Row(found.Document))],
    };

    // null is less than any text
    private static bool AtLeast(string? text, string bound) => text is not null && Language.Compare(text, bound) >= 0;

    private static JsonObject Row(StoredDocument document) => new()
    {
        ["_key"] = document.Key,
        ["_rev"] = document.Revision,
        ["data"] = document.Attributes["data"]?.DeepClone(),
    };
}
