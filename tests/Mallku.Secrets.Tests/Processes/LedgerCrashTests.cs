using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Tests.Processes;

/// <summary>Readers and writers that are killed at any moment leave a ledger that verifies and has all that was answered.</summary>
public sealed class LedgerCrashTests(ITestOutputHelper output)
{
    private const int Kills = 300;
    private const int Answers = 6;
    private const int MostDelay = 30;

    [Fact]
    public async Task Three_hundred_kills_under_load_lose_no_change_and_no_first_read()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        foreach (var name in Enumerable.Range(0, 10).Select(i => $"key_{i / 5}_{i % 5}"))
        {
            await folder.SetAsync(name, "value of " + name);
        }

        var random = new Random();
        var ledger = new LedgerEntries();
        var known = (await ledger.ReadOnAsync(folder)).Count;
        var errors = new List<string>();
        int changes = 0, reads = 0, settled = 0;
        for (var kill = 1; kill <= Kills; kill++)
        {
            var lines = new List<string>();
            int process;
            using (var child = Child.Start("load", folder.Vault))
            {
                process = child.Id;
                while (lines.Count(IsAnswer) < Answers && await child.ReadLineAsync() is { } line)
                {
                    lines.Add(line);
                }

                await Task.Delay(random.Next(MostDelay + 1), TestContext.Current.CancellationToken);
                lines.AddRange(await child.KillAsync());
            }

            // every line and every hash, up to a checkpoint that the vault's key signed
            var entries = await ledger.ReadOnAsync(folder);
            var own = entries.Skip(known).Where(entry => entry.Actor.ProcessId == process)
                .GroupBy(Describe, StringComparer.Ordinal).ToDictionary(same => same.Key, same => same.Sum(entry => entry.Count), StringComparer.Ordinal);
            foreach (var (line, answers) in lines.Where(IsAnswer).CountBy(line => line, StringComparer.Ordinal))
            {
                var recorded = own.GetValueOrDefault(line);
                Assert.True(answers <= recorded, $"kill {kill}: '{line}' was answered {answers} times, and is in the ledger {recorded} times");
            }

            changes += lines.Count(line => line.StartsWith("set ", StringComparison.Ordinal));
            reads += lines.Count(line => line.StartsWith("read ", StringComparison.Ordinal));
            errors.AddRange(lines.Where(line => line.StartsWith("error ", StringComparison.Ordinal)));
            settled = entries.Count(entry => entry.Kind is LedgerKind.Recovered or LedgerKind.Aborted);
            known = entries.Count;
        }

        output.WriteLine($"{Kills} kills: {changes} changes and {reads} first reads were answered, {known} entries; {settled} times a kill left something to settle; {errors.Count} errors{errors.Select(error => ", such as " + error).FirstOrDefault()}");
        Assert.True(changes > 0 && reads > 0, "nothing was answered");
        Assert.True(settled > 0, "no kill hit a write");
        Assert.Null((await folder.Open().Ledger.VerifyAsync(cancellationToken: TestContext.Current.CancellationToken)).Fault);
    }

    // on a slow machine a child may also say that it could not do something in time: nothing was acknowledged by that
    private static bool IsAnswer(string line) => line.StartsWith("set ", StringComparison.Ordinal) || line.StartsWith("read ", StringComparison.Ordinal);

    private static string Describe(LedgerEntry entry)
    {
        var verb = entry.Kind switch
        {
            LedgerKind.Read => "read",
            LedgerKind.Created or LedgerKind.Updated => "set",
            var other => other.ToString(),
        };
        return $"{verb} {entry.Secret} {entry.Version}";
    }
}
