using System.Collections.Concurrent;
using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Tests.Processes;

/// <summary>Many processes on one folder at once.</summary>
public sealed class RaceTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Eight_processes_write_fifty_secrets_each_and_none_is_lost()
    {
        const int processes = 8, each = 50;
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("steady", "value of steady");
        var before = (await folder.Open().Vault.OpenAsync(Cancel)).Document.Generation;
        var acknowledged = new ConcurrentQueue<string>(["steady"]);

        using var ended = new CancellationTokenSource();
        var readers = Task.WhenAll(
            Task.Run(() => ReadAfreshAsync(folder, acknowledged, ended.Token), Cancel),
            Task.Run(() => ReadOnAsync(folder, acknowledged, ended.Token), Cancel));
        await Task.WhenAll(Enumerable.Range(0, processes).Select(async writer =>
        {
            using var child = Child.Start("fill", folder.Vault, "p" + writer, each.ToString());
            while (await child.ReadLineAsync() is { } line)
            {
                Assert.StartsWith("set ", line, StringComparison.Ordinal);
                acknowledged.Enqueue(line["set ".Length..]);
            }

            await child.ReadToEndAsync();
        }));
        await ended.CancelAsync();
        var reads = await readers;

        var entries = await LedgerEntries.ReadAsync(folder);
        Assert.Equal(reads.Sum(), entries.Where(entry => entry.Kind == LedgerKind.Read).Sum(entry => entry.Count));
        Assert.Equal(
            acknowledged.Order(StringComparer.Ordinal),
            entries.Where(entry => entry.Kind == LedgerKind.Created).Select(entry => entry.Secret!).Order(StringComparer.Ordinal),
            StringComparer.Ordinal);
        Assert.DoesNotContain(entries, entry => entry.Kind is LedgerKind.Aborted or LedgerKind.Recovered);

        var manager = folder.Open();
        var expected = Enumerable.Range(0, processes).SelectMany(writer => Enumerable.Range(0, each).Select(i => $"p{writer}_{i}")).Append("steady");
        Assert.Equal(expected.Order(StringComparer.Ordinal), acknowledged.Order(StringComparer.Ordinal), StringComparer.Ordinal);
        var listed = await manager.ListAsync(Cancel);
        Assert.Equal(acknowledged.Order(StringComparer.Ordinal), listed.Select(facts => facts.Name).Order(StringComparer.Ordinal), StringComparer.Ordinal);
        Assert.All(listed, facts => Assert.Equal(1, facts.Version));
        foreach (var name in acknowledged)
        {
            Assert.Equal("value of " + name, (await manager.GetAsync(name, Cancel))?.RevealString());
        }

        Assert.Equal(before + (processes * each), (await manager.Vault.OpenAsync(Cancel)).Document.Generation);
        string[] files = [".encryption.key", ".gitignore", ".lock", "ledger", "mallku-secrets.json.encrypted", "mallku-secrets.json.encrypted.previous"];
        Assert.Equal(files, Directory.EnumerateFileSystemEntries(folder.Vault).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal), StringComparer.Ordinal);
    }

    [Fact]
    public async Task Readers_see_every_value_while_another_process_writes_and_rotates_the_key()
    {
        const int rotations = 40;
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("steady", "value of steady");
        using var ended = new CancellationTokenSource();
        var readers = Task.WhenAll(
            Task.Run(() => ReadAfreshAsync(folder, new(["steady"]), ended.Token), Cancel),
            Task.Run(() => ReadOnAsync(folder, new(["steady"]), ended.Token), Cancel));
        using (var child = Child.Start("loop", folder.Vault))
        {
            for (var rotated = 0; rotated < rotations && !readers.IsCompleted;)
            {
                rotated += await child.ReadLineAsync() == "rotated" ? 1 : 0;
            }

            await ended.CancelAsync();
            var reads = await readers;
            await child.KillAsync();
            Assert.Equal(reads.Sum(), (await LedgerEntries.ReadAsync(folder)).Where(entry => entry.Kind == LedgerKind.Read).Sum(entry => entry.Count));
        }
    }

    // what is acknowledged is there for everybody who opens the vault from then on; how often it was asked for
    private static async Task<long> ReadAfreshAsync(TemporaryFolder folder, ConcurrentQueue<string> acknowledged, CancellationToken ended)
    {
        var reads = 0L;
        while (!ended.IsCancellationRequested)
        {
            var name = acknowledged.Last();
            Assert.Equal("value of " + name, await folder.GetAsync(name));
            reads++;
            await Task.Delay(1, Cancel);
        }

        return reads;
    }

    // a reader that stays may be a little late; what it has seen once stays there; how often it got a value
    private static async Task<long> ReadOnAsync(TemporaryFolder folder, ConcurrentQueue<string> acknowledged, CancellationToken ended)
    {
        var reads = 0L;
        var manager = folder.Open();
        var seen = new HashSet<string>(StringComparer.Ordinal) { "steady" };
        while (!ended.IsCancellationRequested)
        {
            foreach (var name in acknowledged)
            {
                var value = (await manager.GetAsync(name, Cancel))?.RevealString();
                Assert.True(value == "value of " + name || (value is null && !seen.Contains(name)), $"'{name}' is gone");
                if (value is not null)
                {
                    seen.Add(name);
                    reads++;
                }
            }

            await manager.RefreshAsync(Cancel);
            await Task.Delay(1, Cancel);
        }

        await manager.FlushAsync(Cancel);
        return reads;
    }
}
