using System.Text;
using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Stores.Etcd;

/// <summary>
/// Where records lie in etcd: <c>prefix/record/kind/id</c>, and for each of its terms an empty key
/// <c>prefix/term/kind/term,id</c>. The comma sorts before all characters of ids and terms, so that etcd's order of bytes is
/// the ordinal order of the terms, and of the ids under each.
/// </summary>
internal sealed class EtcdKeys(string prefix)
{
    private readonly string _records = $"{prefix}/record/", _terms = $"{prefix}/term/";

    /// <summary>All records.</summary>
    internal (ReadOnlyMemory<byte> First, ReadOnlyMemory<byte> Before) Records => (Utf8(_records), Utf8(After(_records)));

    /// <summary>Those of the kinds that are watched: the others come often, nobody waits for them, and they sort before.</summary>
    internal (ReadOnlyMemory<byte> First, ReadOnlyMemory<byte> Before) Watched => (Utf8(KindOf(RecordKind.Secret)), Utf8(After(_records)));

    internal ReadOnlyMemory<byte> Record(RecordKey key) => Utf8($"{KindOf(key.Kind)}{key.Id}");

    internal ReadOnlyMemory<byte> Term(RecordKey key, string term) => Utf8($"{TermsOf(key.Kind)}{term},{key.Id}");

    internal (ReadOnlyMemory<byte> First, ReadOnlyMemory<byte> Before) Ids(RecordKind kind, string from, string? before)
    {
        var records = KindOf(kind);
        return (Utf8(records + from), Utf8(before is null ? After(records) : records + before));
    }

    internal (ReadOnlyMemory<byte> First, ReadOnlyMemory<byte> Before) Terms(RecordKind kind, string first, string last)
    {
        var terms = TermsOf(kind);
        return (Utf8($"{terms}{first},"), Utf8(After($"{terms}{last},")));
    }

    /// <summary>The record of a key of one; null where it is something else, such as a kind that a later version has.</summary>
    internal RecordKey? RecordOf(ReadOnlyMemory<byte> key)
    {
        var text = Encoding.UTF8.GetString(key.Span);
        foreach (var kind in Enum.GetValues<RecordKind>())
        {
            var records = KindOf(kind);
            if (text.StartsWith(records, StringComparison.Ordinal))
            {
                return new(kind, text[records.Length..]);
            }
        }

        return null;
    }

    /// <summary>The id at the end of a term's key.</summary>
    internal static string IdOf(ReadOnlyMemory<byte> termKey)
    {
        var text = Encoding.UTF8.GetString(termKey.Span);
        return text[(text.LastIndexOf(',') + 1)..];
    }

    private string KindOf(RecordKind kind) => $"{_records}{NameOf(kind)}/";

    private string TermsOf(RecordKind kind) => $"{_terms}{NameOf(kind)}/";

    private static string NameOf(RecordKind kind) => kind switch
    {
        RecordKind.Audit => "audit",
        RecordKind.Instance => "instance",
        RecordKind.Secret => "secret",
        RecordKind.Store => "store",
        RecordKind.Version => "version",
        _ => throw new ArgumentOutOfRangeException(nameof(kind)),
    };

    // the first key after all that begin like this
    private static string After(string start) => start[..^1] + (char)(start[^1] + 1);

    private static ReadOnlyMemory<byte> Utf8(string text) => Encoding.UTF8.GetBytes(text);
}
