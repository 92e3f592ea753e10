namespace Mallku.Secrets.Tests.Processes;

/// <summary>Runs the child under <c>strace</c>, which notes what it does to the vault's files, or makes a call fail or kill it.</summary>
internal static class Strace
{
    // a name that an architecture does not have is no error with the question mark
    private const string Recorded =
        "?open,openat,lseek,write,fsync,fdatasync,ftruncate,?rename,?renameat,renameat2,?unlink,unlinkat";

    internal static async Task<IReadOnlyList<FileEvent>> RecordAsync(TemporaryFolder folder, IReadOnlyList<string> injections, string[] verb)
    {
        var log = Path.Combine(folder.Path, "strace.log");
        using var child = Start(["-y", "-xx", "-s", "10000000", "-o", log, "-e", "trace=" + Recorded, .. Inject(injections)], verb);
        await child.ReadToEndAsync();
        return StraceLog.Parse(await File.ReadAllLinesAsync(log, TestContext.Current.CancellationToken), folder.Vault);
    }

    /// <summary>The child's one line of answer, with one call made to fail where it concerns one of the files.</summary>
    internal static async Task<string> AskAsync(TemporaryFolder folder, string injection, IEnumerable<string> names, params string[] verb)
    {
        using var child = Start(folder, injection, names, verb);
        return Assert.Single(await child.ReadToEndAsync());
    }

    /// <summary>The same while it still runs.</summary>
    internal static Child Start(TemporaryFolder folder, string injection, IEnumerable<string> names, params string[] verb) =>
        Start(["-o", "/dev/null", .. Inject([injection]), .. Concern(folder, names)], verb);

    /// <summary>Injects into a child that runs already, for as long as the returned one does.</summary>
    internal static Child Attach(Child child, string injection, string path)
    {
        Requires.Program("strace");
        return Child.StartOther("strace", ["-f", "-qq", "-o", "/dev/null", .. Inject([injection]), "-P", path, "-p", child.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)]);
    }

    internal static async Task WaitUntilAttachedAsync(Child child)
    {
        var watch = System.Diagnostics.Stopwatch.StartNew();
        while (File.ReadLines($"/proc/{child.Id}/status").First(line => line.StartsWith("TracerPid:", StringComparison.Ordinal)).EndsWith("\t0", StringComparison.Ordinal))
        {
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(30), "strace did not attach");
            await Task.Delay(10, TestContext.Current.CancellationToken);
        }
    }

    /// <summary>Kills the child as it enters a call that concerns one of the files for the n-th time. False when it made fewer.</summary>
    internal static async Task<(bool Killed, IReadOnlyList<string> Answer)> KillAsync(
        TemporaryFolder folder, string call, int n, IEnumerable<string> names, IReadOnlyList<string> injections, string[] verb)
    {
        using var child = Start(
            ["-o", "/dev/null", .. Inject([.. injections, $"{call}:signal=KILL:when={n}"]), .. Concern(folder, names)], verb);
        var (exitCode, lines) = await child.WaitAsync();
        const int killed = 128 + 9;
        Assert.True(exitCode is 0 or killed, $"exit code {exitCode}");
        return (exitCode == killed, lines);
    }

    /// <summary>
    /// Every name that a write may touch. The n-th call is that of one thread: the ledger has a thread of its own, and what
    /// is written follows it on another than what is read before. So each group is counted for itself.
    /// </summary>
    internal static string[][] TouchedNames =>
    [
        ["ledger", LedgerLock, LedgerSegment, LedgerCheckpoint, LedgerCheckpoint + ".tmp"],
        [.. VaultNames.Where(name => name.EndsWith(".tmp", StringComparison.Ordinal))],
        [".", ".lock", "filed.secret", .. VaultNames.Where(name => !name.EndsWith(".tmp", StringComparison.Ordinal))],
    ];

    private static readonly string[] VaultNames =
    [
        .. from name in new[] { "mallku-secrets.json.encrypted", ".encryption.key", ".encryption.key.next" }
           from suffix in new[] { "", ".tmp", ".previous", ".previous.tmp" }
           select name + suffix,
    ];

    internal const string LedgerLock = "ledger/.lock", LedgerSegment = "ledger/00000000000000000000.jsonl", LedgerCheckpoint = "ledger/checkpoint";

    private static Child Start(IEnumerable<string> options, string[] verb)
    {
        Requires.Program("strace");
        return Child.StartOther("strace", ["-f", "-qq", .. options, Child.Program, .. verb]);
    }

    private static IEnumerable<string> Inject(IEnumerable<string> injections) => injections.SelectMany(injection => new[] { "-e", "inject=" + injection });

    private static IEnumerable<string> Concern(TemporaryFolder folder, IEnumerable<string> names) =>
        names.SelectMany(name => new[] { "-P", name == "." ? folder.Vault : Path.Combine(folder.Vault, name) });
}
