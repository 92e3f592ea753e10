namespace Mallku.Secrets.Ledger;

/// <summary>Reads the entries of a ledger, as far as its checkpoint goes.</summary>
internal static class LedgerLog
{
    /// <summary>Whether the last line is of that kind; false where there is none. A glance that checks nothing.</summary>
    internal static bool EndsWith(LedgerFolder folder, LedgerKind kind)
    {
        try
        {
            if (!folder.Exists || folder.FindSegments() is not [.., var last])
            {
                return false;
            }

            using var file = new FileStream(folder.SegmentFile(last), FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            file.Seek(-Math.Min(file.Length, EntryLine.MaxLength), SeekOrigin.End);
            using var text = new StreamReader(file);
            return text.ReadToEnd().TrimEnd('\n').Split('\n')[^1].Contains($"\"kind\":\"{EntryLine.ToText(kind)}\"", StringComparison.Ordinal);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
