using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Http;

namespace Mallku.ArangoDb.TestServer;

/// <summary>The requests that are understood.</summary>
internal sealed partial class Endpoints(ArangoServerOptions options, Users users, Database database)
{
    internal async Task<Reply> AnswerAsync(HttpContext context, string path)
    {
        var request = await StrictRequest.ReadAsync(context);
        var parts = path.TrimStart('/').Split('/');
        if (parts is ["_db", var name, ..])
        {
            if (parts is [_, _, "_open", ..])
            {
                return LogIn(request);
            }

            users.Require(context.Request);
            return name == options.Database ? Answer(request, parts[2..]) : throw new ArangoException(404, 1228, "database not found");
        }

        return parts is ["_open", "auth"] ? LogIn(request) : throw new ArangoException(404, 404, $"unknown path '{path}'");
    }

    private Reply LogIn(StrictRequest request)
    {
        request.Parameters();
        request.RequireNoTransaction();
        return new Reply(200, new JsonObject { ["jwt"] = users.LogIn(request.Object("username", "password")) });
    }

    private Reply Answer(StrictRequest request, string[] path)
    {
        if (path is not ["_api", "document", ..])
        {
            request.RequireNoTransaction();
        }

        return (request.Method, path) switch
        {
            ("GET", ["_api", "database", "current"]) => CurrentDatabase(request),
            ("GET", ["_api", "collection"]) => ListCollections(request),
            ("POST", ["_api", "collection"]) => CreateCollection(request),
            ("GET", ["_api", "collection", var name, "revision"]) => Revision(request, name),
            ("GET", ["_api", "index"]) => ListIndexes(request),
            ("POST", ["_api", "index"]) => CreateIndex(request),
            ("GET", ["_api", "document", var collection, var key]) => ReadDocument(request, collection, key),
            ("POST", ["_api", "document", var collection]) => Insert(request, collection),
            ("PUT", ["_api", "document", var collection]) => Replace(request, collection),
            ("DELETE", ["_api", "document", var collection]) => Remove(request, collection),
            ("POST", ["_api", "cursor"]) => OpenCursor(request),
            ("POST", ["_api", "cursor", var id, var batch]) => NextBatch(request, id, batch),
            ("DELETE", ["_api", "cursor", var id]) => ForgetCursor(request, id),
            ("POST", ["_api", "transaction", "begin"]) => Begin(request),
            ("GET", ["_api", "transaction", var id]) => Transaction(request, () => database.Transaction(id)),
            ("PUT", ["_api", "transaction", var id]) => Transaction(request, () => database.End(id, commits: true)),
            ("DELETE", ["_api", "transaction", var id]) => Transaction(request, () => database.End(id, commits: false)),
            _ => throw new ArangoException(404, 404, $"unknown path '/{string.Join('/', path)}'"),
        };
    }

    private static Reply Plain(int status, JsonObject body)
    {
        body["error"] = false;
        body["code"] = status;
        return new Reply(status, body);
    }

    private Reply CurrentDatabase(StrictRequest request)
    {
        request.Parameters();
        request.RequireNoBody();
        var result = new JsonObject { ["id"] = "1", ["name"] = options.Database, ["path"] = "", ["isSystem"] = options.Database == "_system" };
        if (options.Sharding is { } sharding)
        {
            result["sharding"] = sharding;
            result["replicationFactor"] = 3;
            result["writeConcern"] = 2;
        }

        return Plain(200, new JsonObject { ["result"] = result });
    }

    private Reply ListCollections(StrictRequest request)
    {
        request.Flag(request.Parameters("excludeSystem"), "excludeSystem", otherwise: false);
        request.RequireNoBody();
        return Plain(200, new JsonObject { ["result"] = new JsonArray([.. database.Collections.Select(static one => one.ToJson())]) });
    }

    private Reply CreateCollection(StrictRequest request)
    {
        request.Parameters();
        return Plain(200, database.CreateCollection(StrictRequest.Text(request.Object("name"), "name")).ToJson());
    }

    private Reply Revision(StrictRequest request, string name)
    {
        request.Parameters();
        request.RequireNoBody();
        var found = database.Collection(name);
        var body = found.ToJson();
        body["revision"] = found.Revision;
        return Plain(200, body);
    }

    private Reply ListIndexes(StrictRequest request)
    {
        var collection = database.Collection(request.Parameters("collection").GetValueOrDefault("collection") ?? throw ArangoException.BadRequest("missing collection parameter"));
        request.RequireNoBody();
        return Plain(200, new JsonObject { ["indexes"] = new JsonArray([.. collection.Indexes.Select(index => index.ToJson(collection.Name))]) });
    }

    private Reply CreateIndex(StrictRequest request)
    {
        var collection = request.Parameters("collection").GetValueOrDefault("collection") ?? throw ArangoException.BadRequest("missing collection parameter");
        var body = request.Object("type", "fields", "sparse", "inBackground");
        if (StrictRequest.Text(body, "type") != "persistent" || body["fields"] is not JsonArray { Count: > 0 } fields)
        {
            throw new ArangoException(400, 10, "bad parameter");
        }

        StrictRequest.Value<bool>(body, "inBackground");
        var (index, isNew) = database.CreateIndex(collection, [.. fields.Select(static field => field!.GetValue<string>())], StrictRequest.Value<bool>(body, "sparse"));
        var made = index.ToJson(collection);
        made["isNewlyCreated"] = isNew;
        return Plain(isNew ? 201 : 200, made);
    }

    private Reply ReadDocument(StrictRequest request, string collection, string key)
    {
        request.Parameters();
        request.RequireNoBody();
        var found = database.Read(request.Transaction, collection, RequireKey(key));
        return new Reply(200, found.ToJson()) { Revision = found.Revision };
    }

    private Reply Insert(StrictRequest request, string collection)
    {
        var parameters = request.Parameters("waitForSync");
        return Each(request, collection, 201, parameters, (document, key) => database.Change(request.Transaction, collection, key, (there, revision) =>
            there is null ? new StoredDocument(collection, key, revision(), Attributes(document)) : throw ArangoException.UniqueConstraint(key)));
    }

    private Reply Replace(StrictRequest request, string collection)
    {
        var parameters = request.Parameters("waitForSync", "ignoreRevs");
        var ignores = request.Flag(parameters, "ignoreRevs", otherwise: true);
        return Each(request, collection, 201, parameters, (document, key) => database.Change(request.Transaction, collection, key, (there, revision) =>
            new StoredDocument(collection, key, Require(there, document, ignores) is not null ? revision() : "", Attributes(document))));
    }

    private Reply Remove(StrictRequest request, string collection)
    {
        var parameters = request.Parameters("waitForSync", "ignoreRevs");
        var ignores = request.Flag(parameters, "ignoreRevs", otherwise: true);
        return Each(request, collection, 200, parameters, (document, key) =>
        {
            StoredDocument? removed = null;
            database.Change(request.Transaction, collection, key, (there, _) =>
            {
                removed = Require(there, StrictRequest.Known(document, "selector", "_key", "_rev"), ignores);
                return null;
            });
            return removed;
        });
    }

    private static StoredDocument Require(StoredDocument? there, JsonObject wanted, bool ignoresRevisions) =>
        there is null ? throw ArangoException.DocumentNotFound()
        : !ignoresRevisions && StrictRequest.Value<string>(wanted, "_rev") is { } revision && revision != there.Revision ? throw new ArangoException(412, 1200, "conflict, _rev values do not match")
        : there;

    private static JsonObject Attributes(JsonObject document) =>
        new(document.Where(static member => member.Key is not ("_key" or "_rev" or "_id")).Select(static member => KeyValuePair.Create(member.Key, member.Value?.DeepClone())));

    // one that fails does not hinder the others
    private Reply Each(StrictRequest request, string collection, int synced, IReadOnlyDictionary<string, string> parameters, Func<JsonObject, string, StoredDocument?> work)
    {
        database.Collection(collection);
        var isSynced = request.Flag(parameters, "waitForSync", otherwise: false);
        var outcomes = new JsonArray();
        var errors = new SortedDictionary<int, int>();
        foreach (var node in request.Array())
        {
            try
            {
                var document = node as JsonObject ?? throw new ArangoException(400, 1227, "invalid document type");
                outcomes.Add(work(document, RequireKey(StrictRequest.Text(document, "_key")))!.Identity());
            }
            catch (ArangoException fault) when (fault.Number is 1200 or 1202 or 1210 or 1221 or 1227)
            {
                outcomes.Add(fault.ToOutcome());
                errors[fault.Number] = errors.GetValueOrDefault(fault.Number) + 1;
            }
        }

        return new Reply(isSynced && errors.Count == 0 ? synced : 202, outcomes) { ErrorCodes = string.Join(',', errors.Select(static error => $"{error.Key}:{error.Value}")) };
    }

    private static string RequireKey(string key) => KeyForm().IsMatch(key) ? key : throw new ArangoException(400, 1221, "illegal document key");

    private Reply OpenCursor(StrictRequest request)
    {
        request.Parameters();
        var body = request.Object("query", "bindVars", "batchSize", "ttl", "options");
        var bound = StrictRequest.Known(body["bindVars"], "bindVars", "@records", "first", "last");
        StrictRequest.Value<bool>(StrictRequest.Known(body["options"], "options", "stream"), "stream");
        var batchSize = StrictRequest.Value<int>(body, "batchSize");
        var seconds = StrictRequest.Value<int>(body, "ttl");
        if (batchSize <= 0 || seconds <= 0 || bound.Count != 3)
        {
            throw new ArangoException(400, 10, "bad parameter");
        }

        var text = StrictRequest.Text(body, "query");
        var needed = KnownQueries.IndexesOf(text);
        var collection = database.Collection(StrictRequest.Text(bound, "@records"));
        if (needed.FirstOrDefault(field => !collection.Indexes.Exists(index => index.Fields is [var only] && only == field)) is { } missing)
        {
            throw ArangoException.BadRequest($"emulation: no index on {missing} for this query");
        }

        var rows = KnownQueries.Run(text, collection.Documents.Values, StrictRequest.Text(bound, "first"), StrictRequest.Text(bound, "last"));
        var cursor = database.Open(rows, batchSize, TimeSpan.FromSeconds(seconds));
        var first = database.NextBatch(cursor.Id, 1);
        first["extra"] = new JsonObject { ["warnings"] = new JsonArray(), ["stats"] = new JsonObject() };
        return Plain(201, first);
    }

    private Reply NextBatch(StrictRequest request, string id, string batch)
    {
        request.Parameters();
        request.RequireNoBody();
        return Plain(200, database.NextBatch(id, int.TryParse(batch, CultureInfo.InvariantCulture, out var number) ? number : 0));
    }

    private Reply ForgetCursor(StrictRequest request, string id)
    {
        request.Parameters();
        request.RequireNoBody();
        database.Forget(id);
        return Plain(202, new JsonObject { ["id"] = id });
    }

    private Reply Begin(StrictRequest request)
    {
        request.Parameters();
        var body = request.Object("collections", "waitForSync");
        StrictRequest.Value<bool>(body, "waitForSync");
        var names = StrictRequest.Known(body["collections"], "collections", "write")["write"] as JsonArray ?? throw ArangoException.BadRequest("emulation: write is no array");
        var begun = database.Begin(names.Select(static name => name!.GetValue<string>()).ToHashSet(StringComparer.Ordinal));
        return Plain(201, new JsonObject { ["result"] = begun.ToJson() });
    }

    private static Reply Transaction(StrictRequest request, Func<StoredTransaction> work)
    {
        request.Parameters();
        request.RequireNoBody();
        return Plain(200, new JsonObject { ["result"] = work().ToJson() });
    }

    // what ArangoDB takes as a document's key
    [GeneratedRegex("^[a-zA-Z0-9_:.@()+,=;$!*'%-]{1,254}$", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex KeyForm();
}
