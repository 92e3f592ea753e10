using System.Text;
using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Tests.Processes;

/// <summary>What the system is asked to do, in which order, and what a loss of power at each moment would leave.</summary>
public sealed class OrderTests
{
    private const string Vault = "mallku-secrets.json.encrypted", Key = ".encryption.key";

    // the entries, then what the ledger commits itself to
    private static readonly string[] Record =
    [
        $"write {Strace.LedgerSegment}", $"flush {Strace.LedgerSegment}",
        $"create {Strace.LedgerCheckpoint}.tmp 0600", $"write {Strace.LedgerCheckpoint}.tmp", $"flush {Strace.LedgerCheckpoint}.tmp",
        $"rename {Strace.LedgerCheckpoint}.tmp {Strace.LedgerCheckpoint}", "flush ledger",
    ];

    private static readonly string[] Replace =
    [
        $"create {Vault}.tmp 0600", $"write {Vault}.tmp", $"flush {Vault}.tmp", $"exchange {Vault}.tmp {Vault}",
        $"rename {Vault}.tmp {Vault}.previous", "flush .",
    ];

    private static readonly string[] PrepareKey =
        [$"create {Key}.next.tmp 0600", $"write {Key}.next.tmp", $"flush {Key}.next.tmp", $"rename {Key}.next.tmp {Key}.next", "flush ."];

    private static readonly string[] PromoteKey =
    [
        $"create {Key}.previous.tmp 0600", $"write {Key}.previous.tmp", $"flush {Key}.previous.tmp",
        $"rename {Key}.previous.tmp {Key}.previous", "flush .", $"rename {Key}.next {Key}", "flush .",
    ];

    private static readonly string[] CopyFormer =
    [
        $"create {Vault}.tmp 0600", $"write {Vault}.tmp", $"flush {Vault}.tmp",
        $"create {Vault}.previous.tmp 0600", $"write {Vault}.previous.tmp", $"flush {Vault}.previous.tmp",
        $"rename {Vault}.previous.tmp {Vault}.previous", $"rename {Vault}.tmp {Vault}", "flush .",
    ];

    private static readonly string[] TakeFileIn = ["remove filed.secret", "flush ."];

    public static TheoryData<string> Changes =>
        ["set", "set, and take a file in", "set, where files can't be exchanged", "remove", "rotate", "rotate, and take a file in"];

    [Theory]
    [MemberData(nameof(Changes))]
    public async Task It_is_answered_when_everything_is_on_the_disk_and_in_this_order(string title)
    {
        var change = VaultChange.Of(title);
        using var folder = await change.PrepareAsync();
        var events = await Strace.RecordAsync(folder, change.Injections, change.For(folder));

        string[] expected =
        [
            .. Record,
            .. title switch
            {
                "rotate" => [.. PrepareKey, .. Replace, .. PromoteKey],
                "rotate, and take a file in" => [.. PrepareKey, .. Replace, .. PromoteKey, .. TakeFileIn],
                "set, and take a file in" => [.. Replace, .. TakeFileIn],
                "set, where files can't be exchanged" => CopyFormer,
                _ => Replace,
            },
            "answer",
        ];
        Assert.Equal(expected, Describe(events), StringComparer.Ordinal);
    }

    [Fact]
    public async Task A_value_is_told_when_the_ledger_says_so_on_the_disk()
    {
        using var folder = await VaultChange.Of("set").PrepareAsync();
        var events = await Strace.RecordAsync(folder, [], ["get", folder.Vault, "changed"]);

        Assert.Equal([.. Record, "answer"], Describe(events), StringComparer.Ordinal);
        Assert.Equal("got the old value\n", Assert.Single(events.OfType<FileEvent.Answered>()).Text);
        var line = Encoding.UTF8.GetString(events.OfType<FileEvent.Written>().First(e => e.Name == Strace.LedgerSegment).Bytes).TrimEnd('\n');
        var entry = EntryLine.Parse(Encoding.UTF8.GetBytes(line))!;
        Assert.Equal((LedgerKind.Read, "changed", 1, "vault", 1L), (entry.Kind, entry.Secret, entry.Version, entry.Source, entry.Count));
    }

    [Fact]
    public async Task A_value_that_was_told_is_in_the_ledger_after_a_loss_of_power()
    {
        using var folder = await VaultChange.Of("set").PrepareAsync();
        var image = FolderImage.Read(folder.Vault);
        var before = (await LedgerEntries.ReadAsync(folder)).Count;
        var events = await Strace.RecordAsync(folder, [], ["get", folder.Vault, "changed"]);

        var (told, moments) = (false, 0);
        foreach (var step in events.SelectMany(Halve))
        {
            image.Apply(step);
            told |= step is FileEvent.Answered;
            moments++;
            foreach (var afterPowerLoss in new[] { false, true })
            {
                image.Restore(folder.Vault, afterPowerLoss);
                var entries = await LedgerEntries.ReadAsync(folder);
                Assert.True(entries.Count == before + 1 || (entries.Count == before && !told), $"{entries.Count} entries after '{step}', power lost: {afterPowerLoss}");
                await VaultChange.SettleAsync(folder);
            }
        }

        Assert.True(told && moments > Record.Length);
    }

    [Theory]
    [MemberData(nameof(Changes))]
    public async Task Every_moment_holds_the_old_or_the_new_state(string title)
    {
        var change = VaultChange.Of(title);
        using var folder = await change.PrepareAsync();
        var old = await VaultChange.DescribeAsync(folder);
        var known = (await LedgerEntries.ReadAsync(folder)).Count;
        var image = FolderImage.Read(folder.Vault);
        var events = await Strace.RecordAsync(folder, change.Injections, change.For(folder));
        var final = FolderImage.Read(folder.Vault);
        var @new = await VaultChange.DescribeAsync(folder);
        Assert.NotEqual(old, @new, StringComparer.Ordinal);

        var (isNew, answered) = (false, false);
        foreach (var step in events.SelectMany(Halve))
        {
            image.Apply(step);
            answered |= step is FileEvent.Answered;
            foreach (var afterPowerLoss in new[] { false, true })
            {
                image.Restore(folder.Vault, afterPowerLoss);
                var found = await VaultChange.DescribeAsync(folder);
                Assert.True(found == old || found == @new, $"after '{step}', power lost: {afterPowerLoss}:\n{found}\nnot\n{old}\nnor\n{@new}");
                Assert.True(found == @new || !answered, $"answered, and the old state is there, power lost: {afterPowerLoss}");
                Assert.True(found == @new || !isNew, $"back to the old state after '{step}', power lost: {afterPowerLoss}");
                isNew = found == @new;
                await LedgerEntries.SettleAsync(folder, known, isNew);
            }
        }

        Assert.True(answered);
        // so no call that changes files has escaped
        Assert.Equal(final.Describe(), image.Describe(), StringComparer.Ordinal);
    }

    // the lock's content only tells whom a writer waits for, and the ledger's lock has none
    private static IEnumerable<string> Describe(IReadOnlyList<FileEvent> events) =>
        events.Select(e => e.ToString()).Where(e => !e.Contains(".lock", StringComparison.Ordinal));

    // a write may be cut off in the middle
    private static IEnumerable<FileEvent> Halve(FileEvent change)
    {
        if (change is not FileEvent.Written { Bytes: { Length: > 1 } bytes } written)
        {
            return [change];
        }

        var half = bytes.Length / 2;
        return [written with { Bytes = bytes[..half] }, written with { Offset = written.Offset + half, Bytes = bytes[half..] }];
    }
}
