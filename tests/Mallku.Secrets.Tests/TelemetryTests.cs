using System.Diagnostics;
using System.Runtime.CompilerServices;
using Mallku.Secrets.Files;
using Mallku.Secrets.Sources;
using Mallku.Secrets.Tests.Ledger;

namespace Mallku.Secrets.Tests;

/// <summary>The metrics and traces that a user of OpenTelemetry gets, heard by the runtime's own listeners.</summary>
public sealed class TelemetryTests
{
    private const string Value = "sk-value-that-nobody-may-hear";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Changes_entries_and_failed_lookups_are_counted_exactly_and_without_names()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        using var heard = new Heard();
        var before = LedgerFile.Count(folder);
        var manager = folder.Open();
        using var value = SecretValue.FromString(Value);

        await manager.SetAsync("a_secret", value, cancellationToken: Cancel);
        await manager.SetAsync("a_secret", value, cancellationToken: Cancel);
        await manager.SetAsync("a_secret.2", value, cancellationToken: Cancel);
        for (var i = 0; i < 5; i++)
        {
            await manager.GetRequiredAsync("a_secret", Cancel);
        }

        await manager.GetAsync("no_secret", Cancel);
        await Assert.ThrowsAsync<SecretNotFoundException>(async () => await manager.GetRequiredAsync("no_secret", Cancel));
        await Assert.ThrowsAsync<SecretNameException>(async () => await manager.GetAsync("not a secret's name", Cancel));
        await manager.RemoveAsync("a_secret", Cancel);
        await manager.FlushAsync(Cancel);

        Assert.Equal(
            ["mallku.secrets.change=created: 2", "mallku.secrets.change=removed: 1", "mallku.secrets.change=updated: 1"],
            heard.Sums("mallku.secrets.changes"));
        Assert.Equal(
            ["error.type=invalid_name: 1", "error.type=missing: 2"], heard.Sums("mallku.secrets.lookup.failures"));
        Assert.Equal([$": {LedgerFile.Count(folder) - before}"], heard.Sums("mallku.secrets.ledger.entries"));

        // each change and the first use wait for a batch; the counts share one, or two where the clock was faster
        Assert.InRange(heard.Values("mallku.secrets.ledger.append.duration", "").Count, 6, 8);
        Assert.All(heard.Values("mallku.secrets.ledger.append.duration", ""), seconds => Assert.InRange(seconds, 1e-7, 60));
        Assert.DoesNotContain(Value, heard.All, StringComparison.Ordinal);
        Assert.DoesNotContain("a_secret", heard.All, StringComparison.Ordinal);
        Assert.DoesNotContain("no_secret", heard.All, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_reported_in_the_background_is_in_no_trace_of_a_lookup()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        using var heard = new Heard();
        var before = LedgerFile.Count(folder);
        var manager = folder.Open();
        await manager.GetRequiredAsync("a", Cancel);
        await manager.GetRequiredAsync("a", Cancel);
        while (LedgerFile.Count(folder) < before + 2)
        {
            await Task.Delay(10, Cancel);
        }

        await manager.FlushAsync(Cancel);
        Assert.Single(heard.Activities, activity => activity.OperationName == "mallku.secrets.ledger.append");
    }

    [Fact]
    public async Task Instruments_have_the_names_and_units_that_are_documented()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        using var heard = new Heard();
        await folder.SetAsync("a", "a1");
        await folder.GetAsync("a");
        await folder.GetAsync("nobody");
        await WithheldAsync(folder);
        var told = heard.Instruments;
        heard.Collect("mallku.secrets.reads");
        var instruments = told.Concat(heard.Instruments).ToList();

        Assert.Equal(
            [
                "mallku.secrets.changes Counter`1 {change}",
                "mallku.secrets.ledger.append.duration Histogram`1 s",
                "mallku.secrets.ledger.entries Counter`1 {entry}",
                "mallku.secrets.ledger.refusals Counter`1 {refusal}",
                "mallku.secrets.lookup.failures Counter`1 {lookup}",
                "mallku.secrets.vault.opens Counter`1 {open}",
                "mallku.secrets.reads ObservableCounter`1 {read}",
            ],
            instruments.Select(instrument => $"{instrument.Name} {instrument.GetType().Name} {instrument.Unit}"),
            StringComparer.Ordinal);
        Assert.All(instruments, instrument => Assert.False(string.IsNullOrEmpty(instrument.Description)));
        var guide = await File.ReadAllTextAsync(Directory.EnumerateFiles(AppContext.BaseDirectory, "library.md", SearchOption.AllDirectories).First(), Cancel);
        Assert.All(instruments, instrument => Assert.Contains($"| `{instrument.Name}` | `{instrument.Unit}` |", guide, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Uses_are_counted_by_source_alone_and_those_of_a_manager_that_is_gone_stay_in_the_total()
    {
        const int uses = 1000;
        using var heard = new Heard();
        var source = new OneSecret("source-" + Guid.NewGuid().ToString("N"));
        await UseAsync(source, uses);
        await UseAsync(source, uses);
        var third = new SecretsManager([source]);
        await third.GetRequiredAsync("a", Cancel);

        for (var i = 0; i < 3; i++)
        {
            Assert.Contains($"mallku.secrets.source={source.Name}: {(2 * uses) + 1}", heard.Collect("mallku.secrets.reads"), StringComparer.Ordinal);
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        await third.GetRequiredAsync("a", Cancel);
        Assert.Equal(
            [$"mallku.secrets.source={source.Name}: {(2 * uses) + 2}"],
            heard.Collect("mallku.secrets.reads").Where(sum => sum.Contains(source.Name, StringComparison.Ordinal)),
            StringComparer.Ordinal);
    }

    [Fact]
    public async Task Names_and_versions_are_tags_where_an_option_says_so()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        var name = "s" + Guid.NewGuid().ToString("N");
        await folder.SetAsync(name, "first");
        await folder.SetAsync(name, Value);
        using var heard = new Heard();
        var manager = SecretsManager.Open(folder.Options with { NamesInTelemetry = true });

        for (var i = 0; i < 7; i++)
        {
            await manager.GetRequiredAsync(name, Cancel);
        }

        await manager.WithPurpose("another").GetRequiredAsync(name, Cancel);
        await manager.GetAsync(name + "_missing", Cancel);

        Assert.Contains($"mallku.secrets.name={name} mallku.secrets.source=vault mallku.secrets.version=2", heard.Activities.Select(activity => Heard.Show(activity.TagObjects)), StringComparer.Ordinal);
        Assert.DoesNotContain(name + "_missing", heard.All, StringComparison.Ordinal);
        Assert.Equal(
            [$"mallku.secrets.name={name} mallku.secrets.source=vault mallku.secrets.version=2: 8"],
            heard.Collect("mallku.secrets.reads").Where(sum => sum.Contains(name, StringComparison.Ordinal)),
            StringComparer.Ordinal);
        Assert.DoesNotContain(Value, heard.All, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Opening_is_counted_with_what_prevented_it()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        using var heard = new Heard();

        await folder.GetAsync("a");
        using var wrong = Secrets.Crypto.Fernet.GenerateKey();
        await Assert.ThrowsAsync<VaultOpenException>(async () => await SecretsManager.Open(folder.Options with { Key = wrong }).GetAsync("a", Cancel));
        using var nothing = new TemporaryFolder();
        await Assert.ThrowsAsync<VaultOpenException>(async () => await SecretsManager.Open(nothing.Options).GetAsync("a", Cancel));

        // one, unless the machine is so slow that the vault is looked at again before the use is recorded
        var opened = heard.Activities.Count(activity => activity is { OperationName: "mallku.secrets.vault.open", Status: ActivityStatusCode.Unset });
        Assert.InRange(opened, 1, 2);
        Assert.Equal([$": {opened}", "error.type=vault: 2"], heard.Sums("mallku.secrets.vault.opens"));
        Assert.Equal(["error.type=vault: 2"], heard.Sums("mallku.secrets.lookup.failures"));
    }

    [Fact]
    public async Task What_the_ledger_can_not_record_is_counted()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        using var heard = new Heard();

        await WithheldAsync(folder);

        Assert.Equal(
            ["mallku.secrets.operation=lookup: 1", "mallku.secrets.operation=remove: 1", "mallku.secrets.operation=set: 1"],
            heard.Sums("mallku.secrets.ledger.refusals"));
        Assert.Equal(["error.type=ledger: 1"], heard.Sums("mallku.secrets.lookup.failures"));
        Assert.Equal(3, heard.Values("mallku.secrets.ledger.append.duration", "error.type=ledger").Count);
        Assert.Empty(heard.Sums("mallku.secrets.ledger.entries"));
        Assert.Empty(heard.Sums("mallku.secrets.changes"));
    }

    [Fact]
    public async Task A_trace_shows_what_a_lookup_and_a_change_waited_for()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        using var heard = new Heard();
        var manager = folder.Open();
        using var value = SecretValue.FromString(Value);

        await manager.SetAsync("a_secret", value, cancellationToken: Cancel);
        AssertTrace(heard, "mallku.secrets.set", "mallku.secrets.change=created mallku.secrets.version=1");
        await manager.GetAsync("a_secret", Cancel);
        AssertTrace(heard, "mallku.secrets.lookup", "mallku.secrets.source=vault mallku.secrets.version=1");

        await manager.GetAsync("no_secret", Cancel);
        var missing = heard.Activities.Single(activity => activity.OperationName == "mallku.secrets.lookup" && activity.GetTagItem("error.type") is not null);
        Assert.Equal(("missing", ActivityStatusCode.Unset), (missing.GetTagItem("error.type"), missing.Status));

        await manager.FlushAsync(Cancel);
        await manager.RemoveAsync("a_secret", Cancel);
        Assert.Equal("mallku.secrets.change=removed mallku.secrets.version=1", Heard.Show(heard.Activities.Single(activity => activity.OperationName == "mallku.secrets.remove").TagObjects));
        Assert.DoesNotContain(Value, heard.All, StringComparison.Ordinal);
        Assert.DoesNotContain("_secret", heard.All, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_lookup_that_is_in_memory_is_in_no_trace()
    {
        using var heard = new Heard();
        var manager = new SecretsManager([new OneSecret("here")]);
        for (var i = 0; i < 3; i++)
        {
            await manager.GetRequiredAsync("a", Cancel);
        }

        Assert.Single(heard.Activities);
    }

    [Fact]
    public async Task A_trace_shows_what_failed_and_not_the_message_which_may_have_a_name()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        using var heard = new Heard();
        using var wrong = Secrets.Crypto.Fernet.GenerateKey();
        await Assert.ThrowsAsync<VaultOpenException>(async () => await SecretsManager.Open(folder.Options with { Key = wrong }).GetAsync("a", Cancel));
        Assert.Equal(["mallku.secrets.vault.open", "mallku.secrets.lookup"], heard.Activities.Select(activity => activity.OperationName), StringComparer.Ordinal);
        Assert.All(heard.Activities, activity => Assert.Equal(
            ("error.type=vault", ActivityStatusCode.Error, null, 0), (Heard.Show(activity.TagObjects), activity.Status, activity.StatusDescription, activity.Events.Count())));
    }

    [Fact]
    public void Nothing_is_allocated_where_nobody_listens()
    {
        var found = new FoundSecret("a", SecretValue.FromString("a"), "vault", 1, null);
        var change = new SecretChange("a", 1, "vault", true, []);
        Run(found, change);
        var before = GC.GetAllocatedBytesForCurrentThread();
        Run(found, change);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        static void Run(FoundSecret found, SecretChange change)
        {
            for (var i = 0; i < 1000; i++)
            {
                using var lookup = Telemetry.Start(Telemetry.Lookup);
                Telemetry.LookedUp(lookup, found, isNamed: true);
                Telemetry.LookedUp(lookup, found: null, isNamed: true);
                Telemetry.Changed(lookup, change, "created", isNamed: true);
                using var opening = Telemetry.StartOpening();
                Telemetry.Opened();
                using var watch = Telemetry.StartAppending();
                Telemetry.Appended(1);
                watch.Succeed();
            }
        }
    }

    // an operation that opens the vault and writes a batch: both are its children
    private static void AssertTrace(Heard heard, string name, string tags)
    {
        var operation = heard.Activities.Single(activity => activity.OperationName == name);
        Assert.Equal((heard.Root, tags), (operation.ParentSpanId, Heard.Show(operation.TagObjects)));
        var children = heard.Activities.Where(activity => activity.ParentSpanId == operation.SpanId).ToList();
        Assert.Equal(
            ["mallku.secrets.ledger.append", "mallku.secrets.vault.open"],
            children.Select(activity => activity.OperationName).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal),
            StringComparer.Ordinal);
        Assert.All(children, child => Assert.Empty(child.TagObjects));
    }

    private static async Task WithheldAsync(TemporaryFolder folder)
    {
        var impatient = SecretsManager.Open(folder.Options with { LedgerTimeout = TimeSpan.FromMilliseconds(300) });
        var descriptor = Posix.OpenOrCreate(Path.Combine(LedgerFile.Folder(folder), ".lock"));
        try
        {
            Posix.Lock(descriptor, "the ledger's lock");
            await Assert.ThrowsAsync<LedgerException>(async () => await impatient.GetAsync("a", Cancel));
            using var value = SecretValue.FromString(Value);
            await Assert.ThrowsAsync<LedgerException>(async () => await impatient.SetAsync("a", value, cancellationToken: Cancel));
            await Assert.ThrowsAsync<LedgerException>(async () => await impatient.RemoveAsync("a", Cancel));
        }
        finally
        {
            Posix.Close(descriptor);
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static async Task UseAsync(ISecretSource source, int uses)
    {
        var manager = new SecretsManager([source]);
        for (var i = 0; i < uses; i++)
        {
            await manager.GetRequiredAsync("a", Cancel);
        }
    }

    private sealed class OneSecret(string name) : ISecretSource
    {
        private readonly FoundSecret _secret = new("a", SecretValue.FromString(Value), name, null, null);

        public string Name => name;

        public string DescribeLookup(SecretName name) => "here";

        public long GetChangeStamp(long now) => 0;

        public ValueTask<FoundSecret?> FindAsync(SecretName name, CancellationToken cancellationToken) => new(_secret);

        public ValueTask<IReadOnlyList<string>> FindLooseMatchesAsync(SecretName name, CancellationToken cancellationToken) => new([]);

        public ValueTask<IReadOnlyList<SecretFacts>> ListAsync(CancellationToken cancellationToken) => new([]);

        public ValueTask RefreshAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;
    }
}
