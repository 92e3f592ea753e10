using System.Globalization;
using System.Text;

namespace Mallku.Secrets.Stores.Etcd;

/// <summary>
/// A record's revision: the cluster's at its last write, and the terms that it was written with, so that whoever replaces it
/// knows which keys of terms go, without asking again. In etcd a line of the terms stands before the data.
/// </summary>
internal readonly record struct EtcdRevision(long Number, string[] Terms)
{
    private const byte EndOfTerms = (byte)'\n';

    /// <summary>What is there before a record is.</summary>
    private static readonly EtcdRevision None = new(0, []);

    public override string ToString() => Number.ToString(CultureInfo.InvariantCulture) + (Terms.Length == 0 ? "" : " " + string.Join(',', Terms));

    /// <summary>Reads what <see cref="ToString"/> wrote; nothing stands for no record.</summary>
    internal static bool TryParse(string? text, out EtcdRevision revision)
    {
        revision = None;
        if (text is null)
        {
            return true;
        }

        var parts = text.Split(' ', 2);
        if (!long.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out var number) || number == 0)
        {
            return false;
        }

        revision = new(number, parts is [_, var terms] ? terms.Split(',') : []);
        return true;
    }

    internal static ReadOnlyMemory<byte> Join(IEnumerable<string> terms, ReadOnlyMemory<byte> data) =>
        (byte[])[.. Encoding.UTF8.GetBytes(string.Join(',', terms)), EndOfTerms, .. data.Span];

    internal static bool TrySplit(EtcdRecord record, out EtcdRevision revision, out ReadOnlyMemory<byte> data)
    {
        var end = record.Value.Span.IndexOf(EndOfTerms);
        data = record.Value[(end + 1)..];
        revision = new(record.Revision, end > 0 ? Encoding.UTF8.GetString(record.Value.Span[..end]).Split(',') : []);
        return end >= 0;
    }
}
