using System.Globalization;

namespace Mallku.Secrets.Tests.Vault;

/// <summary>One manager used by many threads, while values are replaced, forgotten, collected and wiped.</summary>
public sealed class VaultConcurrencyTests
{
    private const int Threads = 8;
    private const int Shared = 4;
    private static readonly TimeSpan Duration = TimeSpan.FromSeconds(2);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task No_value_is_ever_torn_wiped_or_older_than_what_its_reader_wrote()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        var manager = folder.Open();
        for (var i = 0; i < Shared; i++)
        {
            await SetAsync(manager, $"shared_{i}", 0);
        }

        using var end = new CancellationTokenSource(Duration);
        var collecting = Task.Run(
            () =>
            {
                while (!end.IsCancellationRequested)
                {
                    GC.Collect();
                    GC.WaitForPendingFinalizers();
                }
            },
            Cancel);
        var writes = await Task.WhenAll(Enumerable.Range(0, Threads).Select(thread => Task.Run(() => WorkAsync(manager, thread, end.Token), Cancel)));
        await collecting;

        for (var thread = 0; thread < Threads; thread++)
        {
            using var fresh = (await folder.Open().GetRequiredAsync($"own_{thread}", Cancel)).Copy();
            Assert.Equal(writes[thread], Check(fresh));
        }
    }

    [Fact]
    public async Task A_set_is_seen_by_every_lookup_after_it_while_others_look_and_refresh()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        var manager = folder.Open();
        await SetAsync(manager, "key", 0);
        using var end = new CancellationTokenSource(Duration);
        var written = 0;
        var others = Enumerable.Range(0, 3).Select(_ => Task.Run(
            async () =>
            {
                while (!end.IsCancellationRequested)
                {
                    var least = Volatile.Read(ref written);
                    Assert.InRange(Check(await manager.GetRequiredAsync("key", Cancel)), least, int.MaxValue);
                    await manager.RefreshAsync(Cancel);
                }
            },
            Cancel)).ToList();
        while (!end.IsCancellationRequested)
        {
            await SetAsync(manager, "key", written + 1);
            Interlocked.Increment(ref written);
            Assert.Equal(written, Check(await manager.GetRequiredAsync("key", Cancel)));
        }

        await Task.WhenAll(others);
    }

    private static async Task<int> WorkAsync(SecretsManager manager, int thread, CancellationToken end)
    {
        var random = new Random(thread);
        var own = 0;
        await SetAsync(manager, $"own_{thread}", own);
        var held = new Queue<(SecretValue Value, int Number)>();
        while (!end.IsCancellationRequested)
        {
            switch (random.Next(40))
            {
                case 0:
                    await SetAsync(manager, $"own_{thread}", ++own);
                    break;
                case 1:
                    await SetAsync(manager, $"shared_{random.Next(Shared)}", random.Next());
                    break;
                case < 5:
                    await manager.RefreshAsync(Cancel);
                    break;
                default:
                    Assert.Equal(own, Check(await manager.GetRequiredAsync($"own_{thread}", Cancel)));
                    var value = await manager.GetRequiredAsync($"shared_{random.Next(Shared)}", Cancel);
                    held.Enqueue((value, Check(value)));
                    break;
            }

            // long after the manager has replaced it
            if (held.Count > 100)
            {
                var (value, number) = held.Dequeue();
                Assert.Equal(number, Check(value));
            }
        }

        return own;
    }

    private static async Task SetAsync(SecretsManager manager, string name, int number)
    {
        using var value = SecretValue.FromString(Pattern(number));
        await manager.SetAsync(name, value, cancellationToken: Cancel);
    }

    // every part of it tells the whole
    private static string Pattern(int number) => string.Concat(Enumerable.Repeat($"<{number:0000000000}>", 40 + number % 50));

    private static int Check(SecretValue value)
    {
        var text = value.RevealString();
        var number = int.Parse(text.AsSpan(1, 10), CultureInfo.InvariantCulture);
        Assert.True(text == Pattern(number), $"a value of {text.Length} characters is torn");
        return number;
    }
}
