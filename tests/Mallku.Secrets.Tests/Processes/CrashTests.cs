using System.Globalization;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Sources;

namespace Mallku.Secrets.Tests.Processes;

/// <summary>A writer that is killed at any moment loses nothing that it has acknowledged, and leaves a vault that opens.</summary>
public sealed class CrashTests(ITestOutputHelper output)
{
    private const int Kills = 300;
    private const int KillsPerVerification = 20;
    private const int MostAnswers = 5;
    private const int MostDelay = 20;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Three_hundred_kills_lose_no_acknowledged_version()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        var random = new Random();
        var acknowledged = new Dictionary<string, (int Version, string Value)>(StringComparer.Ordinal);
        var lines = new List<string>();
        int insideWrite = 0, insideRotation = 0, unacknowledged = 0;
        for (var kill = 1; kill <= Kills; kill++)
        {
            using (var child = Child.Start("loop", folder.Vault))
            {
                while (await child.ReadLineAsync() is { } line && line != "ready")
                {
                    Note(line, acknowledged, lines);
                }

                // so that every kind of write is hit, be the disk fast or slow
                for (var more = random.Next(MostAnswers); more > 0 && await child.ReadLineAsync() is { } line; more--)
                {
                    Note(line, acknowledged, lines);
                }

                await Task.Delay(random.Next(MostDelay + 1), Cancel);
                foreach (var line in await child.KillAsync())
                {
                    Note(line, acknowledged, lines);
                }
            }

            var leftovers = FindLeftovers(folder);
            insideWrite += leftovers.Count > 0 ? 1 : 0;
            insideRotation += leftovers.Contains(".encryption.key.next") ? 1 : 0;
            unacknowledged += await RequireAcknowledgedAsync(folder, acknowledged, kill);
            if (kill % 2 == 0)
            {
                // every other time the next child finds what is left
                await folder.SetAsync("settled", "kill " + kill);
                Assert.Empty(FindLeftovers(folder));
                await RequireAcknowledgedAsync(folder, acknowledged, kill);
            }

            if (kill % KillsPerVerification == 0)
            {
                RequireRecorded(lines, await LedgerEntries.ReadAsync(folder));
            }
        }

        output.WriteLine($"{Kills} kills: {insideWrite} left a file of an unfinished write, {insideRotation} of them the next key; " +
            $"{unacknowledged} left a version that was not acknowledged yet; {acknowledged.Values.Sum(known => known.Version)} versions in all");
        Assert.True(insideWrite > 0 && insideRotation > 0, "no kill hit a write, or none a rotation");
    }

    private static void Note(string line, Dictionary<string, (int Version, string Value)> acknowledged, List<string> lines)
    {
        lines.Add(line);
        if (line.Split(' ') is ["set", var name, var version, var value])
        {
            acknowledged[name] = (int.Parse(version, CultureInfo.InvariantCulture), value);
        }
        else
        {
            Assert.Equal("rotated", line);
        }
    }

    private static void RequireRecorded(List<string> lines, IReadOnlyList<LedgerEntry> entries)
    {
        var changes = entries.Where(entry => entry.Kind is LedgerKind.Created or LedgerKind.Updated).Select(entry => $"set {entry.Secret} {entry.Version}").ToHashSet(StringComparer.Ordinal);
        var set = lines.Where(line => line != "rotated").ToList();
        Assert.All(set, line => Assert.Contains(line[..line.LastIndexOf(' ')], changes));
        Assert.True(entries.Count(entry => entry.Kind == LedgerKind.KeyRotated) >= lines.Count - set.Count, "a rotation is missing");
    }

    /// <summary>Opens the vault afresh, and takes note of the one version more that may be there.</summary>
    private static async Task<int> RequireAcknowledgedAsync(
        TemporaryFolder folder, Dictionary<string, (int Version, string Value)> acknowledged, int kill)
    {
        var manager = folder.Open();
        var more = 0;
        var all = await manager.ListAsync(Cancel);
        // at once, so that the ledger's entries share a flush, and once, so that no counts are left to write beside the next child
        foreach (var (facts, secret) in all.Zip(await Task.WhenAll(all.Select(facts => manager.FindAsync(facts.Name, Cancel).AsTask()))))
        {
            var found = secret!;
            Assert.Equal((VaultSource.SourceName, facts.Version), (found.Source, found.Version));
            var value = found.Value.RevealString();
            if (facts.Name == "settled")
            {
                continue;
            }

            var (version, expected) = acknowledged.GetValueOrDefault(facts.Name);
            if (found.Version == version)
            {
                Assert.Equal(expected, value);
            }
            else
            {
                Assert.True(found.Version == version + 1, $"kill {kill}: {facts.Name} is at {found.Version} after {version}");
                Assert.StartsWith("value-", value, StringComparison.Ordinal);
                acknowledged[facts.Name] = (version + 1, value);
                more++;
            }
        }

        var gone = acknowledged.Keys.Except(all.Select(facts => facts.Name), StringComparer.Ordinal).ToList();
        Assert.True(gone.Count == 0, $"kill {kill}: gone are {string.Join(", ", gone)}");
        Assert.True(more <= 1, $"kill {kill}: {more} changes that were not acknowledged");
        return more;
    }

    private static HashSet<string> FindLeftovers(TemporaryFolder folder) =>
        [.. Directory.EnumerateFiles(folder.Vault).Select(file => Path.GetFileName(file)!)
            .Where(name => name.EndsWith(".tmp", StringComparison.Ordinal) || name.EndsWith(".next", StringComparison.Ordinal))];
}
