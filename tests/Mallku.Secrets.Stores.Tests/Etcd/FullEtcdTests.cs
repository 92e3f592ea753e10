using Mallku.Secrets.Ledger;
using Mallku.Secrets.Stores.Tests.Command;

namespace Mallku.Secrets.Stores.Tests.Etcd;

/// <summary>A cluster that has no room left, and takes no writes.</summary>
public sealed class FullEtcdTests
{
    private static readonly string Large = new('x', 60_000);

    [Fact]
    public async Task A_set_says_that_it_is_full_once_in_the_ledger_too()
    {
        using var servers = await StartAsync();
        await using var stage = await StoreStage.CreateAsync(servers.Open("full"));
        var store = stage.Open();
        await StoreStage.SetAsync(store, "small", "value");
        var fault = await FillAsync(store);
        Assert.Contains("is full; nothing was changed", fault.Problem, StringComparison.Ordinal);
        Assert.Contains("defragment", fault.Remedy, StringComparison.Ordinal);
        Assert.Equal([SealedStore.NotTaken], stage.Told.Where(static told => told.Kind == LedgerKind.Aborted).Select(static told => told.Note), StringComparer.Ordinal);
        fault = await Assert.ThrowsAsync<SecretsException>(() => store.ResealAsync(progress: null, TestContext.Current.CancellationToken).AsTask());
        Assert.Contains("is full", fault.Problem, StringComparison.Ordinal);
        Assert.Equal("value", await StoreStage.GetAsync(store, "small"));
    }

    [Fact]
    public async Task What_all_machines_have_told_can_be_read()
    {
        using var servers = await StartAsync();
        using var machine = new Machine(servers.Url("full"));
        machine.Run("mallku store init && printf value | mallku set small");
        await using (var stage = await StoreStage.CreateAsync(servers.Open("other")))
        {
            await FillAsync(stage.Open());
        }

        Assert.Contains("is full; nothing was changed", machine.Run(1, "printf value | mallku set small").Error, StringComparison.Ordinal);
        foreach (var verb in new[] { "verify", "log", "report" })
        {
            var shown = machine.Run(0, $"mallku audit {verb} --all");
            Assert.NotEmpty(shown.Output);
            Assert.Contains("is full", shown.Error, StringComparison.Ordinal);
        }
    }

    private static async Task<SecretsException> FillAsync(SealedStore store)
    {
        for (var i = 0; i < 40; i++)
        {
            try
            {
                await StoreStage.SetAsync(store, $"large_{i}", Large);
            }
            catch (SecretsException e)
            {
                return e;
            }
        }

        Assert.Fail("it never was full");
        return null!;
    }

    private static Task<EtcdServers> StartAsync() => EtcdServers.StartAsync(1, null, "--unsafe-no-fsync", "--quota-backend-bytes", "400000");
}
