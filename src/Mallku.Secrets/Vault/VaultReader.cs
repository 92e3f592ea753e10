using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using Mallku.Secrets.Keys;
using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Vault;

/// <summary>Reads the plaintext of format 1, and takes note of what other programs changed since the last write.</summary>
[SuppressMessage("Design", "CA1001", Justification = "The document is what the reader makes, for its caller.")]
internal sealed class VaultReader : SecretReader
{
    private readonly Memory<byte> _readable;
    private readonly string _path;
    private readonly VaultDocument _document;
    private readonly Dictionary<string, ReadOnlyMemory<byte>> _flat = new(StringComparer.Ordinal);

    private VaultReader(Memory<byte> plaintext, Memory<byte> readable, string path, DateTimeOffset written)
        : base(plaintext, valuesLieApart: false)
    {
        _readable = readable;
        _path = path;
        _document = new VaultDocument(plaintext) { Written = written };
    }

    /// <summary>Reads a document, whose values stay in <paramref name="plaintext"/>, which it takes over.</summary>
    /// <param name="plaintext">The decrypted file, in an array that stays in place.</param>
    /// <param name="written">When the file was written, as its token says: the time of outside changes.</param>
    /// <param name="key">Names outside changes.</param>
    /// <param name="path">The file, for errors.</param>
    /// <exception cref="VaultOpenException">It is no JSON object, or its reserved member is not what this program writes.</exception>
    internal static VaultDocument Read(Memory<byte> plaintext, DateTimeOffset written, DataKey key, string path)
    {
        var reader = new VaultReader(plaintext, plaintext, path, written);
        try
        {
            reader.ReadMembers();
        }
        catch (JsonException)
        {
            // or its finalizer would wipe the plaintext, which the next document lies in
            reader._document.LetGo();

            // Python writes NaN and infinities, which JSON does not have
            var masked = PythonJson.MaskNonFiniteNumbers(plaintext.Span);
            try
            {
                reader = new VaultReader(plaintext, masked, path, written);
                reader.ReadMembers();
            }
            catch (JsonException e)
            {
                // its own message would quote the plaintext
                throw Damaged(path, string.Create(CultureInfo.InvariantCulture, $"is no JSON at byte {e.BytePositionInLine ?? 0}"));
            }
            finally
            {
                CryptographicOperations.ZeroMemory(masked);
            }
        }

        return reader.Reconcile(written, key);
    }

    /// <summary>Takes note of a value that another program wrote.</summary>
    internal static void AddExternal(SecretRecord record, ReadOnlyMemory<byte> value, DateTimeOffset written, DataKey key)
    {
        record.Add(value, key.DeriveExternalVersionId(record.Name, record.Next, value.Span), written, VersionSources.External);
        record.IsChangedOutside = true;
    }

    private VaultDocument Reconcile(DateTimeOffset written, DataKey key)
    {
        foreach (var (name, value) in _flat)
        {
            var record = _document.GetOrAdd(name);
            if (record.Current is not { Value: { } known } current || !JsonToken.AreSame(known, value))
            {
                AddExternal(record, value, written, key);
            }
            else
            {
                // the same value, as the other program spells it
                current.Value = value;
            }
        }

        foreach (var record in _document.Secrets.Values)
        {
            if (record.Current is not null && !_flat.ContainsKey(record.Name))
            {
                _document.Remove(record, written);
                record.IsRemovedOutside = true;
            }
        }

        return _document;
    }

    private void ReadMembers()
    {
        var json = new Utf8JsonReader(_readable.Span, new JsonReaderOptions { MaxDepth = SecretFormat.MaxDepth });
        json.Read();
        if (json.TokenType != JsonTokenType.StartObject)
        {
            throw Damaged(_path, "holds no JSON object");
        }

        while (ReadMember(ref json, out var nameToken, out var name))
        {
            if (name == VaultFormat.ReservedMember)
            {
                ReadReserved(ref json);
            }
            else if (name is null)
            {
                _document.Unreadable.Add(new RawMember(nameToken, SkipValue(ref json)));
            }
            else
            {
                // the last one counts where a name is there twice, as in Python
                _flat[name] = SkipValue(ref json);
            }
        }

        if (json.TokenType != JsonTokenType.EndObject || json.Read())
        {
            throw Damaged(_path, "holds no whole JSON object");
        }
    }

    private void ReadReserved(ref Utf8JsonReader json)
    {
        RequireToken(json, JsonTokenType.StartObject, VaultFormat.ReservedMember);
        Require(!_document.HasHistory, VaultFormat.ReservedMember);
        _document.HasHistory = true;
        bool hasFormat = false, hasGeneration = false, hasSecrets = false;
        while (ReadMember(ref json, out var nameToken, out var name))
        {
            switch (name)
            {
                case "format":
                    // before anything else is judged: what a newer format holds is not for this program to say
                    RequireFormat(ReadNumber(ref json, "format", long.MaxValue));
                    hasFormat = true;
                    break;
                case "generation":
                    hasGeneration = true;
                    _document.Generation = ReadNumber(ref json, "generation", long.MaxValue - 1);
                    break;
                case "first":
                    _document.First = (int)ReadNumber(ref json, "first", int.MaxValue / 2);
                    Require(_document.First > 0, "first");
                    break;
                case "keep":
                    var keep = (int)ReadNumber(ref json, "keep", SecretFormat.MostKept);
                    _document.Keep = keep >= SecretFormat.FewestKept ? keep : throw Misunderstood("keep");
                    break;
                case "ledger":
                    ReadLedger(ref json);
                    break;
                case "secrets":
                    hasSecrets = true;
                    ReadSecrets(ref json);
                    break;
                default:
                    _document.Others.Add(new RawMember(nameToken, SkipValue(ref json)));
                    break;
            }
        }

        Require(hasFormat, "format");
        Require(hasGeneration, "generation");
        Require(hasSecrets, "secrets");
    }

    private void RequireFormat(long format)
    {
        Require(format > 0, "format");
        if (format != VaultFormat.Version)
        {
            throw new VaultOpenException(
                string.Create(CultureInfo.InvariantCulture, $"'{_path}' is of format {format}, and this mallku knows format {VaultFormat.Version}"),
                "use a newer mallku");
        }
    }

    private void ReadLedger(ref Utf8JsonReader json)
    {
        RequireToken(json, JsonTokenType.StartObject, "ledger");
        string? origin = null, checkpoint = null;
        ReadOnlyMemory<byte> seed = default;
        var suspended = false;
        long? suspendedAt = null;
        var others = new List<RawMember>();
        while (ReadMember(ref json, out var nameToken, out var name))
        {
            switch (name)
            {
                case "origin":
                    origin = ReadString(ref json, "ledger");
                    break;
                case "seed":
                    RequireToken(json, JsonTokenType.String, "ledger");
                    seed = SkipValue(ref json)[1..^1];
                    break;
                case "checkpoint":
                    checkpoint = ReadString(ref json, "ledger");
                    break;
                case "suspended":
                    Require(json.TokenType is JsonTokenType.True or JsonTokenType.False, "ledger");
                    suspended = json.TokenType == JsonTokenType.True;
                    break;
                case "suspendedAt":
                    suspendedAt = ReadNumber(ref json, "ledger", long.MaxValue - 1);
                    break;
                case "names":
                    // one that this program does not know may be stricter
                    Require(ReadString(ref json, "ledger") == VaultFormat.Pseudonyms, "ledger");
                    _document.UsesPseudonyms = true;
                    break;
                default:
                    others.Add(new RawMember(nameToken, SkipValue(ref json)));
                    break;
            }
        }

        Require(origin is not null && checkpoint is not null && !seed.IsEmpty, "ledger");
        _document.Ledger = new LedgerLink(origin!, seed, checkpoint!, suspended) { SuspendedAt = suspended ? suspendedAt : null, Others = others };
    }

    private void ReadSecrets(ref Utf8JsonReader json)
    {
        RequireToken(json, JsonTokenType.StartObject, "secrets");
        while (ReadMember(ref json, out _, out var name))
        {
            RequireToken(json, JsonTokenType.StartObject, "secrets");
            var record = new SecretRecord(name ?? throw Misunderstood("secrets"));
            if (!_document.Secrets.TryAdd(name, record))
            {
                throw Misunderstood("secrets");
            }

            ReadSecret(ref json, record);
        }
    }

    protected override VaultOpenException Misunderstood(string member) => Damaged(_path, $"has a '{member}' in \"{VaultFormat.ReservedMember}\" that no mallku wrote");

    private static VaultOpenException Damaged(string path, string what) => new(
        $"the vault '{path}' opens and {what}",
        path.EndsWith(Files.FileReplacement.FormerSuffix, StringComparison.Ordinal)
            ? "put a backup in its place, or remove it"
            : $"put {Files.FileReplacement.DescribeBackup(path)}") { IsDamage = true };
}
