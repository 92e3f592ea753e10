using Mallku.Secrets.Sources;
using Mallku.Secrets.Vault;

namespace Mallku.Secrets.Tests.Sources;

/// <summary>What every <see cref="ISecretSource"/> must do, run over each implementation.</summary>
public abstract class SourceContract : IAsyncLifetime
{
    private protected abstract ISecretSource Source { get; }

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    /// <summary>Changes the medium behind the source's back.</summary>
    protected abstract Task PutAsync(string name, string? value);

    public abstract ValueTask InitializeAsync();

    public abstract ValueTask DisposeAsync();

    [Fact]
    public async Task Finds_what_is_there_under_its_name()
    {
        await PutAsync("test_secret_one", "value");
        var found = await FindAsync("test_secret_one");
        Assert.Equal(("test_secret_one", "value", Source.Name), (found!.Name, found.Value.RevealString(), found.Source));
    }

    [Fact]
    public async Task Says_that_it_does_not_have_what_is_not_there()
    {
        Assert.Null(await FindAsync("test_secret_absent"));
        Assert.Empty(await Source.FindLooseMatchesAsync(SecretName.Parse("test_secret_absent"), Cancel));
    }

    [Fact]
    public async Task Hands_out_values_that_a_borrower_can_not_wipe()
    {
        await PutAsync("test_secret_one", "value");
        var found = await FindAsync("test_secret_one");
        found!.Value.Dispose();
        Assert.Equal("value", found.Value.RevealString());
    }

    [Fact]
    public async Task Gives_another_stamp_after_a_refresh_that_finds_a_change_and_then_the_new_value()
    {
        await PutAsync("test_secret_one", "before");
        await FindAsync("test_secret_one");
        var stamp = Source.GetChangeStamp(Environment.TickCount64);
        await PutAsync("test_secret_one", "after");
        await Source.RefreshAsync(Cancel);
        Assert.NotEqual(stamp, Source.GetChangeStamp(Environment.TickCount64));
        Assert.Equal("after", (await FindAsync("test_secret_one"))!.Value.RevealString());
    }

    [Fact]
    public async Task Gives_another_stamp_within_a_second_of_a_change_without_a_refresh()
    {
        await PutAsync("test_secret_one", "before");
        await FindAsync("test_secret_one");
        var stamp = Source.GetChangeStamp(Environment.TickCount64);
        await PutAsync("test_secret_one", "after");
        Assert.NotEqual(stamp, Source.GetChangeStamp(Environment.TickCount64 + 1000));
    }

    [Fact]
    public async Task Sees_a_removal()
    {
        await PutAsync("test_secret_one", "value");
        await FindAsync("test_secret_one");
        await PutAsync("test_secret_one", null);
        await Source.RefreshAsync(Cancel);
        Assert.Null(await FindAsync("test_secret_one"));
    }

    [Fact]
    public async Task Keeps_its_stamp_while_nothing_changes()
    {
        await PutAsync("test_secret_one", "value");
        await FindAsync("test_secret_one");
        // what was read just after a change is looked at once more
        var now = Environment.TickCount64;
        Source.GetChangeStamp(now + 1000);
        await FindAsync("test_secret_one");
        var stamp = Source.GetChangeStamp(now + 2000);
        Assert.Equal(stamp, Source.GetChangeStamp(now + 3000));
        Assert.Equal(stamp, Source.GetChangeStamp(now + 4000));
    }

    [Fact]
    public async Task Lists_only_what_it_also_finds()
    {
        await PutAsync("test_secret_one", "value");
        foreach (var facts in await Source.ListAsync(Cancel))
        {
            Assert.NotNull(await FindAsync(facts.Name));
        }
    }

    private ValueTask<FoundSecret?> FindAsync(string name) => Source.FindAsync(SecretName.Parse(name), Cancel);
}

public sealed class EnvironmentSourceContract : SourceContract
{
    private protected override ISecretSource Source { get; } = new EnvironmentSource();

    protected override Task PutAsync(string name, string? value)
    {
        Environment.SetEnvironmentVariable(name.ToUpperInvariant(), value);
        return Task.CompletedTask;
    }

    public override ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public override async ValueTask DisposeAsync() => await PutAsync("test_secret_one", null);
}

public sealed class VaultSourceContract : SourceContract
{
    private TemporaryFolder _folder = null!;
    private VaultSource _source = null!;

    private protected override ISecretSource Source => _source;

    protected override async Task PutAsync(string name, string? value)
    {
        if (value is null)
        {
            await _folder.Open().RemoveAsync(name, TestContext.Current.CancellationToken);
        }
        else
        {
            await _folder.SetAsync(name, value);
        }
    }

    public override async ValueTask InitializeAsync()
    {
        _folder = await TemporaryFolder.WithVaultAsync();
        _source = new VaultSource(new FileVault(_folder.Settings));
    }

    public override ValueTask DisposeAsync()
    {
        _folder.Dispose();
        return ValueTask.CompletedTask;
    }
}
