using Mallku.Secrets.Ledger;
using Mallku.Secrets.Sources;
using Mallku.Secrets.Tests.Processes;
using Microsoft.Extensions.Time.Testing;

namespace Mallku.Secrets.Tests;

/// <summary>What a caller gets whose value was refused: the current version, and those before it within their grace.</summary>
public sealed class LiveVersionTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_previous_version_is_live_within_its_grace_and_no_longer()
    {
        var clock = new FakeTimeProvider(new DateTimeOffset(2026, 11, 24, 10, 0, 0, TimeSpan.Zero));
        using var folder = await TemporaryFolder.WithVaultAsync();
        var writer = SecretsManager.Open(folder.Options with { TimeProvider = clock });
        var reader = SecretsManager.Open(folder.Options with { TimeProvider = clock });
        await SetAsync(writer, "one", TimeSpan.Zero);
        Assert.Equal("one", (await reader.GetAsync("key", Cancel))?.RevealString());

        await SetAsync(writer, "two", TimeSpan.FromHours(2));
        await SetAsync(writer, "three", TimeSpan.FromHours(1));
        Assert.Equal(["three 3", "two 2", "one 1"], await FindLiveAsync(reader, "KEY"));
        clock.Advance(TimeSpan.FromHours(1));
        Assert.Equal(["three 3", "one 1"], await FindLiveAsync(reader, "key"));
        clock.Advance(TimeSpan.FromHours(1));
        Assert.Equal(["three 3"], await FindLiveAsync(reader, "key"));
        Assert.Equal(
            [SecretVersionState.Current, SecretVersionState.Retired, SecretVersionState.Retired],
            (await reader.GetHistoryAsync("key", Cancel))!.Versions.Select(version => version.State));

        await SetAsync(writer, "four", TimeSpan.Zero);
        Assert.Equal(["four 4"], await FindLiveAsync(reader, "key"));
        await writer.RemoveAsync("key", Cancel);
        Assert.Empty(await FindLiveAsync(reader, "key"));
    }

    [Fact]
    public async Task Each_version_that_is_handed_out_is_in_the_ledger_first()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        var writer = folder.Open();
        await SetAsync(writer, "one", TimeSpan.Zero);
        await SetAsync(writer, "two", TimeSpan.FromDays(1));
        var reader = folder.Open();
        Assert.Equal(2, (await reader.FindLiveAsync("key", Cancel)).Count);
        var entries = await LedgerEntries.ReadAsync(folder);
        Assert.Equal([2, 1], entries.Where(entry => entry.Kind == LedgerKind.Read).Select(entry => entry.Version!.Value));
        Assert.Equal([1L, 1L], reader.GetAccessCounts().Select(access => access.Count));
        await reader.FlushAsync(Cancel);
    }

    [Fact]
    public async Task A_source_without_versions_answers_with_what_it_has()
    {
        var manager = new SecretsManager([new EnvironmentSource()]);
        Assert.Empty(await manager.FindLiveAsync("no_such_name", Cancel));
        Assert.Equal("PATH", Assert.Single(await manager.FindLiveAsync("PATH", Cancel)).Name);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(367)]
    public async Task A_grace_out_of_its_range_changes_nothing(int days)
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await Assert.ThrowsAnyAsync<ArgumentException>(() => SetAsync(folder.Open(), "one", TimeSpan.FromDays(days)));
        Assert.Null(await folder.GetAsync("key"));
    }

    private static async Task SetAsync(SecretsManager manager, string value, TimeSpan grace)
    {
        using var secret = SecretValue.FromString(value);
        await manager.SetAsync("key", secret, new SetOptions { Grace = grace }, Cancel);
    }

    private static async Task<string[]> FindLiveAsync(SecretsManager manager, string name) =>
        [.. (await manager.FindLiveAsync(name, Cancel)).Select(found => $"{found.Value.RevealString()} {found.Version}")];
}
