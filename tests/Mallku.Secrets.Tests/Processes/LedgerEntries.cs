using System.Text;
using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Tests.Processes;

/// <summary>What a vault's ledger says, read and checked line by line, as another program would.</summary>
internal static class LedgerEntries
{
    /// <summary>Every entry up to the newest checkpoint, which must have been signed by the vault's key for just these lines.</summary>
    internal static async Task<IReadOnlyList<LedgerEntry>> ReadAsync(TemporaryFolder folder)
    {
        var vault = folder.Open().Vault;
        var opened = await vault.OpenAsync(TestContext.Current.CancellationToken);
        // what lies behind a checkpoint may be more by then, and never less
        var checkpoint = vault.Ledger.Find(opened.Document)!.ReadCurrent();
        Assert.Equal(0, checkpoint.SegmentStart);
        var bytes = await File.ReadAllBytesAsync(vault.Ledger.Folder.SegmentFile(0), TestContext.Current.CancellationToken);
        Assert.True(checkpoint.SegmentLength <= bytes.Length, $"{bytes.Length} bytes are left of {checkpoint.SegmentLength}");

        var text = Encoding.UTF8.GetString(bytes, 0, (int)checkpoint.SegmentLength);
        Assert.EndsWith("\n", text, StringComparison.Ordinal);
        var entries = new List<LedgerEntry>();
        var (tree, previous) = (new TreeFrontier(), MerkleTree.Empty);
        foreach (var line in text[..^1].Split('\n'))
        {
            Assert.StartsWith($"{{\"index\":{entries.Count},\"previous\":\"{previous}\",", line, StringComparison.Ordinal);
            entries.Add(Assert.IsType<LedgerEntry>(EntryLine.Parse(Encoding.UTF8.GetBytes(line))));
            previous = MerkleTree.HashLeaf(Encoding.UTF8.GetBytes(line));
            tree.Append(previous);
        }

        Assert.Equal((checkpoint.Size, checkpoint.Root, checkpoint.LastLeaf), (tree.Size, tree.GetRoot(), previous));
        return entries;
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
