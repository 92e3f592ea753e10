using System.Buffers;
using System.Text;
using System.Text.Json;
using Mallku.Secrets.Crypto;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Models;

namespace Mallku.Secrets.Stores.Tests;

/// <summary>
/// Whatever JSON somebody puts in a record's place, also with the keys that it is sealed by: nobody gets it for what was there,
/// and whoever uses the store is told why he can't, and by nothing unexpected.
/// </summary>
[Collection(Machines.Name)]
public sealed class OddRecordsTests : IAsyncDisposable
{
    private static readonly string[] Odd =
    [
        "null", "true", "-1", "1099511627776", "9223372036854775807", "1e999", "1e99999999999999999999", "\"\"", "\"\\ud800\"", "\"\\udc00\\ud800\"", "\"AAAA\"", "\"9999-12-31T23:59:59+00:00\"",
        "\"0000\"", "{}", "[]", "[null]", "{\"\\ud800\":1}", "{\"a\":1,\"a\":2}", $"{new string('[', 100)}{new string(']', 100)}",
    ];

    private static readonly string[] OddNames = ["", "\\ud800", "$names", "$key", "$format", "x"];

    private readonly Machines _machines = new();
    private LedgerView? _ledger;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public ValueTask DisposeAsync() => _machines.DisposeAsync();

    [Fact]
    public async Task By_who_has_the_database()
    {
        var records = await UseAsync();
        foreach (var record in records)
        {
            await RequireRefusedAsync(records, record.Key, Encoding.UTF8.GetString(record.Data.Span), static json => Encoding.UTF8.GetBytes(json), isKept: true);
            foreach (var bytes in new[] { "", " ", "abc", "{", "\"\\ud800\"", "{\"$key\":", "{\"$key\":\"\\ud800\"}", "{\"$format\":99}", "{\"$format\":\"x\"}" })
            {
                await RequireRefusedAsync(new AlteredRecords(records, record.Key, Encoding.UTF8.GetBytes(bytes)), bytes, isKept: true);
            }

            await RequireRefusedAsync(new AlteredRecords(records, record.Key, new byte[] { (byte)'{', (byte)'"', 0xff, (byte)'"', (byte)':', (byte)'"', 0xfe, (byte)'"', (byte)'}' }), "no UTF-8", isKept: true);
        }
    }

    [Theory]
    [InlineData(RecordKind.Store, "store", "keys", "keep", "generation", "resealed")]
    [InlineData(RecordKind.Secret, "secret", "name", "generation", "write", "recorded", "record")]
    [InlineData(RecordKind.Instance, "instance", "key", "host", "user", "began", "told", "size", "checkpoint", "pseudonyms")]
    [InlineData(RecordKind.Audit, "audit", "lines", "checkpoint")]
    public async Task By_who_has_the_keys_too(RecordKind kind, string model, params string[] fields)
    {
        var records = await UseAsync();
        var record = records.First(record => record.Key.Kind == kind);
        var deployment = await DeploymentOfAsync(record.Key);
        var seal = new DocumentSeal(deployment.Keys.Current, deployment.StoreId, new SealContext(model, record.Key.Id));
        using var document = JsonDocument.Parse(record.Data);
        var plain = fields.ToDictionary(field => deployment.Index.FieldId(model, field).ToString(), StringComparer.Ordinal)
            .ToDictionary(static pair => pair.Key, pair => Decrypt(pair.Key, document.RootElement), StringComparer.Ordinal);
        foreach (var (name, json) in plain)
        {
            await RequireRefusedAsync(records, record.Key, json, altered => Seal(plain.Select(pair => (pair.Key, pair.Key == name ? altered : pair.Value))));
        }

        string Decrypt(string member, JsonElement whole)
        {
            var value = whole.GetProperty(member);
            var json = new byte[value.GetRawText().Length];
            Assert.True(seal.TryDecrypt(member, value, json, out var length));
            return Encoding.UTF8.GetString(json, 0, length);
        }

        ReadOnlyMemory<byte> Seal(IEnumerable<(string Member, string Json)> members)
        {
            var sealing = new ArrayBufferWriter<byte>();
            using (var json = new Utf8JsonWriter(sealing))
            {
                json.WriteStartObject();
                seal.WriteHead(json);
                foreach (var (member, value) in members)
                {
                    json.WriteBase64String(member, seal.Encrypt(member, Encoding.UTF8.GetBytes(value)));
                }

                json.WriteEndObject();
            }

            return seal.Finish(sealing.WrittenMemory);
        }
    }

    [Fact]
    public async Task In_the_place_of_a_value()
    {
        var records = await UseAsync();
        var sealing = await new StoreRoot(_machines.Records, _machines.Key).OpenAsync(Token);
        var head = sealing.OpenHead(records.Single(static record => record.Key.Kind == RecordKind.Secret));
        foreach (var json in Odd)
        {
            var value = sealing.SealValue(head.Id, head.Record.Current!, Encoding.UTF8.GetBytes(json), revision: null);
            await RequireRefusedAsync(new AlteredRecords(records, value.Key, value.Data!.Value), json);
        }
    }

    private async Task<List<StoredRecord>> UseAsync()
    {
        var one = await _machines.OpenAsync("one");
        using var value = SecretValue.FromString("sk-shared");
        await one.SetAsync("key", value, cancellationToken: Token);
        await one.SetAsync("key", value, cancellationToken: Token);
        await one.GetRequiredAsync("key", Token);
        await one.FlushAsync(Token);
        await one.StoreLedger!.TellAsync(Token);

        // and some more, which is to be told
        await one.SetAsync("key", value, cancellationToken: Token);
        _ledger = await one.Vault.ViewLedgerAsync(Token);
        return await Enum.GetValues<RecordKind>().ToAsyncEnumerable().SelectMany(kind => _machines.Records.ListAsync(kind, "", before: null, Token)).ToListAsync(Token);
    }

    private async Task<Deployment> DeploymentOfAsync(RecordKey key)
    {
        var sealing = await new StoreRoot(_machines.Records, _machines.Key).OpenAsync(Token);
        var (id, derived) = key.Kind switch
        {
            RecordKind.Store => ("root", _machines.Key.Derive("mallku/v1/store-key-wrapping"u8)),
            RecordKind.Secret => ("", []),
            _ => ("audit", _machines.Key.Derive(Encoding.ASCII.GetBytes("mallku/v1/store-audit " + key.Id.Split('.')[0]))),
        };
        return id.Length == 0 ? sealing.Deployment : sealing.Deployment with { Keys = new DataKeyRing(new SealingKey(id, new AesGcmSealing(derived))) };
    }

    private async Task RequireRefusedAsync(List<StoredRecord> records, RecordKey key, string json, Func<string, ReadOnlyMemory<byte>> write, bool isKept = false)
    {
        using var parsed = JsonDocument.Parse(json);
        foreach (var variant in Variants(parsed.RootElement))
        {
            await RequireRefusedAsync(new AlteredRecords(records, key, write(variant)), variant, isKept);
        }
    }

    // an error of another kind ends the test
    private async Task RequireRefusedAsync(AlteredRecords records, string what, bool isKept = false)
    {
        await using var stage = new StoreStage { Records = records, Key = CopyOf(_machines.Key) };
        var store = stage.Open();
        var ledger = new StoreLedger(store);
        Func<Task>[] uses =
        [
            async () => Assert.True(await StoreStage.GetAsync(store, "key") == "sk-shared" || !isKept, "another value"),
            () => store.ReadAsync("key", Token).AsTask(),
            () => store.ListAsync(Token).AsTask(),
            () => StoreStage.SetAsync(store, "key", "value"),
            () => StoreStage.SetAsync(store, "new", "value"),
            () => store.RemoveAsync(SecretName.Parse("key"), Token).AsTask(),
            () => StoreStatus.ReadAsync(store, Token).AsTask(),
            () => store.ResealAsync(null, Token).AsTask(),
            () => ledger.VerifyAsync(cancellationToken: Token).AsTask(),
            () => ledger.ReportAsync(cancellationToken: Token).AsTask(),
            () => new AuditShipper(records, store.Root.Audit, store.SeenInstances, TimeProvider.System, _ => new(_ledger)).ShipAsync(Token).AsTask(),
        ];
        foreach (var use in uses)
        {
            try
            {
                await use();
            }
            catch (SecretsException)
            {
                // as it should be
            }
            catch (Exception e)
            {
                Assert.Fail($"use {Array.IndexOf(uses, use)}, {records.Altered.Kind} altered to {what}: {e}");
            }
        }
    }

    private static StoreKey CopyOf(StoreKey key)
    {
        using var text = key.ToText();
        return StoreKey.Parse(text.Bytes, "the test");
    }

    /// <summary>The same JSON with one thing in it that is otherwise.</summary>
    private static IEnumerable<string> Variants(JsonElement json)
    {
        foreach (var odd in Odd)
        {
            yield return odd;
        }

        if (json.ValueKind == JsonValueKind.Array)
        {
            var items = json.EnumerateArray().Select(static item => item.GetRawText()).ToList();
            foreach (var (i, item) in json.EnumerateArray().Index())
            {
                foreach (var variant in Variants(item).Append(item.GetRawText() + "," + item.GetRawText()))
                {
                    yield return $"[{string.Join(',', items.Select((other, at) => at == i ? variant : other))}]";
                }
            }
        }
        else if (json.ValueKind == JsonValueKind.Object)
        {
            var members = json.EnumerateObject().Select(static member => (Name: $"\"{member.Name}\"", Value: member.Value.GetRawText())).ToList();
            foreach (var (i, member) in json.EnumerateObject().Index())
            {
                var variants = Variants(member.Value).Select(value => $"{members[i].Name}:{value}")
                    .Concat(OddNames.Select(name => $"\"{name}\":{members[i].Value}"))
                    .Append($"{members[i].Name}:{members[i].Value},{members[i].Name}:{members[i].Value}")
                    .Append($"\"\\ud800\":1,{members[i].Name}:{members[i].Value}");
                foreach (var variant in variants)
                {
                    yield return $"{{{string.Join(',', members.Select((other, at) => at == i ? variant : $"{other.Name}:{other.Value}"))}}}";
                }

                yield return $"{{{string.Join(',', members.Where((_, at) => at != i).Select(static other => $"{other.Name}:{other.Value}"))}}}";
            }
        }
    }

    /// <summary>Records of which one is another than it was. What is written goes nowhere.</summary>
    private sealed class AlteredRecords(List<StoredRecord> records, RecordKey altered, ReadOnlyMemory<byte> data) : IRecordStore
    {
        internal RecordKey Altered => altered;

        public string Description => "altered";

        public int MaxDataLength => 1 << 20;

        private IEnumerable<StoredRecord> Records => records.Select(record => record.Key == altered ? record with { Data = data } : record);

        public ValueTask PrepareAsync(CancellationToken cancellationToken) => default;

        public ValueTask<StoredRecord?> ReadAsync(RecordKey key, CancellationToken cancellationToken) => new(Records.FirstOrDefault(record => record.Key == key));

        public IAsyncEnumerable<StoredRecord> ListAsync(RecordKind kind, string from, string? before, CancellationToken cancellationToken) => Records
            .Where(record => record.Key.Kind == kind && string.CompareOrdinal(record.Key.Id, from) >= 0 && (before is null || string.CompareOrdinal(record.Key.Id, before) < 0))
            .ToAsyncEnumerable();

        public IAsyncEnumerable<StoredRecord> FindAsync(RecordKind kind, string first, string last, CancellationToken cancellationToken) => throw new NotSupportedException();

        public ValueTask<bool> WriteAsync(IReadOnlyList<RecordWrite> writes, CancellationToken cancellationToken) => writes.All(static write => write.Key.Kind is not RecordKind.Audit)
            ? new(true)
            : throw new StoreUnreachableException("nothing is taken", "try again");

        public IAsyncEnumerable<RecordKey?> WatchAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

        public ValueTask DisposeAsync() => default;
    }
}
