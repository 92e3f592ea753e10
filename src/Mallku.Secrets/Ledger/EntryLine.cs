using System.Buffers;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Mallku.Secrets.Ledger;

/// <summary>
/// An entry as a line of JSON (docs/formats/ledger-v1.md). The tree is made of the lines' bytes, without the newline, so
/// nothing depends on how another program would have written them.
/// </summary>
internal static class EntryLine
{
    internal const int MaxLength = 1 << 16;
    private const string TimeFormat = "yyyy-MM-dd'T'HH:mm:ss.fff'Z'";

    /// <summary>The kinds that are known, in the order of <see cref="LedgerKind"/>.</summary>
    internal static readonly string[] Kinds =
    [
        "opened", "read", "missing", "denied", "exported", "created", "updated", "removed", "merged", "key-rotated", "aborted",
        "recovered", "restored", "suspended", "resumed", "restarted", "names-switched",
        "policy-set", "rotation-begun", "rotation-step", "rotation-failed", "rotation-abandoned", "rotated", "rolled-back", "retired", "revoked",
    ];

    private static readonly JsonWriterOptions Writing = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    internal static string FormatTime(DateTimeOffset time) => time.UtcDateTime.ToString(TimeFormat, CultureInfo.InvariantCulture);

    internal static string ToText(LedgerKind kind) => kind == LedgerKind.Unknown ? "unknown" : Kinds[(int)kind];

    /// <summary>The kind of that word; <see cref="LedgerKind.Unknown"/> for every other.</summary>
    internal static LedgerKind ParseKind(string text) => (LedgerKind)Array.IndexOf(Kinds, text);

    /// <summary>Where the index stands in a line, and before it nothing else: so a reader that only counts need not parse.</summary>
    internal static ReadOnlySpan<byte> IndexPrefix => "{\"index\":"u8;

    internal static ReadOnlySpan<byte> PreviousPrefix => ",\"previous\":\""u8;

    /// <summary>Writes the line, without a newline.</summary>
    /// <param name="output">Where to.</param>
    /// <param name="entry">What happened.</param>
    /// <param name="previous">The leaf hash of the entry before; of the first one, the root of an empty tree.</param>
    internal static void Write(IBufferWriter<byte> output, LedgerEntry entry, TreeHash previous)
    {
        using (var json = new Utf8JsonWriter(output, Writing))
        {
            json.WriteStartObject();
            json.WriteNumber("index", entry.Index);
            json.WriteString("previous", previous.ToString());
            json.WriteString("time", FormatTime(entry.Time));
            json.WriteString("kind", entry.KindText);
            WriteString(json, "secret", entry.Secret);
            WriteNumber(json, "version", entry.Version);
            WriteString(json, "source", entry.Source);
            json.WriteStartObject("actor");
            json.WriteString("user", entry.Actor.User);
            json.WriteString("host", entry.Actor.Host);
            json.WriteString("process", entry.Actor.Process);
            json.WriteNumber("pid", entry.Actor.ProcessId);
            WriteString(json, "voice", entry.Actor.Voice);
            json.WriteEndObject();
            WriteString(json, "purpose", entry.Purpose);
            json.WriteNumber("count", entry.Count);
            WriteNumber(json, "generation", entry.Generation);
            WriteString(json, "graceEnds", entry.GraceEnds is { } ends ? FormatTime(ends) : null);
            WriteString(json, "note", entry.Note);
            json.WriteEndObject();
        }
    }

    /// <summary>Reads a line without its newline; null where it is no entry. Members that are not known are passed over, and a kind that is not is kept as it is.</summary>
    internal static LedgerEntry? Parse(ReadOnlySpan<byte> line)
    {
        try
        {
            var json = new Utf8JsonReader(line);
            return new Reader().Read(ref json);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException or OverflowException)
        {
            return null;
        }
    }

    private static void WriteString(Utf8JsonWriter json, string name, string? value)
    {
        if (value is not null)
        {
            json.WriteString(name, value);
        }
    }

    private static void WriteNumber(Utf8JsonWriter json, string name, long? value)
    {
        if (value is { } number)
        {
            json.WriteNumber(name, number);
        }
    }

    /// <summary>What has been read so far.</summary>
    private ref struct Reader
    {
        private long? _index, _count, _generation;
        private int? _version, _pid;
        private DateTimeOffset? _time, _graceEnds;
        private string? _kind, _secret, _source, _user, _host, _process, _voice, _purpose, _note;

        internal LedgerEntry? Read(ref Utf8JsonReader json)
        {
            json.Read();
            ReadObject(ref json, within: null);
            return !json.Read() && _kind is not null && _index is { } index && _time is { } time && _count is { } count and > 0
                && _user is not null && _host is not null && _process is not null && _pid is { } pid
                ? new LedgerEntry(
                    index, time, ParseKind(_kind), _secret, _version, _source, new LedgerActor(_user, _host, _process, pid, _voice), _purpose, count,
                    _generation, _note)
                {
                    GraceEnds = _graceEnds,
                    UnknownKind = ParseKind(_kind) == LedgerKind.Unknown ? _kind : null,
                }
                : null;
        }

        private static DateTimeOffset ParseTime(ref Utf8JsonReader json) =>
            DateTimeOffset.ParseExact(json.GetString() ?? "", TimeFormat, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal);

        private void ReadObject(ref Utf8JsonReader json, string? within)
        {
            if (json.TokenType != JsonTokenType.StartObject)
            {
                throw new JsonException();
            }

            while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
            {
                var name = json.GetString();
                json.Read();
                switch (within, name)
                {
                    case (null, "index"): _index = json.GetInt64(); break;
                    case (null, "time"): _time = ParseTime(ref json); break;
                    case (null, "kind"): _kind = json.GetString(); break;
                    case (null, "secret"): _secret = json.GetString(); break;
                    case (null, "version"): _version = json.GetInt32(); break;
                    case (null, "source"): _source = json.GetString(); break;
                    case (null, "actor"): ReadObject(ref json, "actor"); break;
                    case (null, "purpose"): _purpose = json.GetString(); break;
                    case (null, "count"): _count = json.GetInt64(); break;
                    case (null, "generation"): _generation = json.GetInt64(); break;
                    case (null, "graceEnds"): _graceEnds = ParseTime(ref json); break;
                    case (null, "note"): _note = json.GetString(); break;
                    case ("actor", "user"): _user = json.GetString(); break;
                    case ("actor", "host"): _host = json.GetString(); break;
                    case ("actor", "process"): _process = json.GetString(); break;
                    case ("actor", "pid"): _pid = json.GetInt32(); break;
                    case ("actor", "voice"): _voice = json.GetString(); break;
                    default: json.Skip(); break;
                }
            }
        }
    }
}
