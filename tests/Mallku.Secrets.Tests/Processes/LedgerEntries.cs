using System.Text;
using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Tests.Processes;

/// <summary>What a vault's ledger says, read and checked line by line, as another program would.</summary>
internal sealed class LedgerEntries
{
    private readonly List<LedgerEntry> _entries = [];
    private readonly TreeFrontier _tree = new();
    private TreeHash _previous = MerkleTree.Empty;
    private byte[] _checked = [];

    /// <summary>Every entry up to the newest checkpoint, which must have been signed by the vault's key for just these lines.</summary>
    internal static async Task<IReadOnlyList<LedgerEntry>> ReadAsync(TemporaryFolder folder) => await new LedgerEntries().ReadOnAsync(folder);

    /// <summary>The same without reading anew what was checked before, which must be there unchanged.</summary>
    internal async Task<IReadOnlyList<LedgerEntry>> ReadOnAsync(TemporaryFolder folder)
    {
        var vault = folder.Open().Vault;
        var opened = await vault.OpenAsync(TestContext.Current.CancellationToken);
        // what lies behind a checkpoint may be more by then, and never less
        var checkpoint = vault.Ledger.Find(opened.Document)!.ReadCurrent();
        Assert.Equal(0, checkpoint.SegmentStart);
        var bytes = await File.ReadAllBytesAsync(vault.Ledger.Folder.SegmentFile(0), TestContext.Current.CancellationToken);
        Assert.True(checkpoint.SegmentLength <= bytes.Length, $"{bytes.Length} bytes are left of {checkpoint.SegmentLength}");
        bytes = bytes[..(int)checkpoint.SegmentLength];
        Assert.True(bytes.AsSpan().StartsWith(_checked), "what was there is there no more");

        var text = Encoding.UTF8.GetString(bytes, _checked.Length, bytes.Length - _checked.Length);
        Assert.True(text.Length == 0 || text[^1] == '\n', "it does not end with a whole line");
        foreach (var line in text.Split('\n')[..^1])
        {
            Assert.StartsWith($"{{\"index\":{_entries.Count},\"previous\":\"{_previous}\",", line, StringComparison.Ordinal);
            _entries.Add(Assert.IsType<LedgerEntry>(EntryLine.Parse(Encoding.UTF8.GetBytes(line))));
            _previous = MerkleTree.HashLeaf(Encoding.UTF8.GetBytes(line));
            _tree.Append(_previous);
        }

        Assert.Equal((checkpoint.Size, checkpoint.Root, checkpoint.LastLeaf), (_tree.Size, _tree.GetRoot(), _previous));
        _checked = bytes;
        return _entries;
    }

    /// <summary>
    /// Writes once more, and requires that the vault's new state had its entry before, and that an entry whose change never
    /// reached the vault is closed, once.
    /// </summary>
    /// <param name="folder">A vault in one of the two states.</param>
    /// <param name="known">How many entries there were before the change.</param>
    /// <param name="isNew">Whether the change is in the vault.</param>
    internal static async Task SettleAsync(TemporaryFolder folder, int known, bool isNew)
    {
        var recorded = (await ReadAsync(folder)).Skip(known).Any(entry => entry.Generation is not null);
        Assert.True(recorded || !isNew, "a change without a trace");
        await VaultChange.SettleAsync(folder);
        Assert.Equal(recorded && !isNew ? 1 : 0, (await ReadAsync(folder)).Skip(known).Count(entry => entry.Kind == LedgerKind.Aborted));
    }
}
