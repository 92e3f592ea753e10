using System.Diagnostics;
using Mallku.FireCircle.Adapters;
using Mallku.FireCircle.TestServer;
using Mallku.Secrets;
using Mallku.Secrets.Rotation;
using Microsoft.Extensions.AI;

namespace Mallku.Bench;

/// <summary>How long after a rotation in one process the new key is first used in another, which shares the vault.</summary>
internal static class RotationReach
{
    private const string Secret = "provider_0_api_key";
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(500), Grace = TimeSpan.FromHours(1);

    internal static async Task MeasureAsync(int rotations)
    {
        using var vault = new TemporaryVault(secrets: 5);
        await using var server = await ProviderServer.StartAsync();
        server.AcceptsAnyKey = true;
        var secrets = SecretsManager.Open(vault.Options);
        var rotator = new TimedRotator();
        var runner = secrets.CreateRotationRunner(rotator);
        using var other = Process.Start(new ProcessStartInfo(Environment.ProcessPath!, ["follow", vault.Options.Directory!, server.BaseUrl("openai").AbsoluteUri])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
        })!;
        await WaitForAsync(server, (await secrets.GetRequiredAsync(Secret)).RevealString());

        var figures = new List<double>();
        for (var i = 0; i < rotations; i++)
        {
            // so that a rotation comes at any time between two looks of the other process
            await Task.Delay(Random.Shared.Next((int)BetweenLooks.TotalMilliseconds));
            await runner.RotateAsync(Secret, new RotationPolicy { Rotator = rotator.Name, Grace = Grace });
            await secrets.RefreshAsync();
            var used = await WaitForAsync(server, (await secrets.GetRequiredAsync(Secret)).RevealString());
            figures.Add(Stopwatch.GetElapsedTime(rotator.Tested, used.Arrived).TotalMilliseconds);
        }

        other.StandardInput.Close();
        await other.WaitForExitAsync();
        figures.Sort();
        Console.WriteLine($"{rotations} rotations, from before finish to the first use in another process: median {figures[rotations / 2]:F0} ms, 90 % within {figures[rotations * 9 / 10]:F0} ms, longest {figures[^1]:F0} ms    (goal: at most 1000)");
    }

    /// <summary>The other process: asks through an adapter, over and over, until its input ends.</summary>
    internal static async Task FollowAsync(string directory, string server)
    {
        using var factory = new AdapterFactory(SecretsManager.Open(new SecretsOptions { Directory = directory }));
        using var client = await factory.CreateAsync("openai", new AdapterOptions { BaseUrl = new Uri(server), Secret = Secret });
        var end = Task.Run(Console.In.ReadToEnd);
        while (!end.IsCompleted)
        {
            await client.GetResponseAsync("hello");
            await Task.Delay(1);
        }
    }

    private static async Task<SeenRequest> WaitForAsync(ProviderServer server, string key)
    {
        while (true)
        {
            if (server.Seen.FirstOrDefault(request => request.Key == key) is { } used)
            {
                return used;
            }

            await Task.Delay(10);
        }
    }

    /// <summary>Makes random values, and tells when the last step before finish was done.</summary>
    private sealed class TimedRotator : IRotator
    {
        private readonly GenerateRotator _generate = new();

        internal long Tested { get; private set; }

        public string Name => "timed";

        public bool CanRevoke => false;

        public bool NeedsPerson => false;

        public void Require(RotatedKey current)
        {
        }

        public ValueTask<NewKey> CreateAsync(RotatedKey key, CancellationToken cancellationToken) => _generate.CreateAsync(key, cancellationToken);

        public ValueTask SetAsync(RotatedKey key, SecretValue value, CancellationToken cancellationToken) => default;

        public ValueTask TestAsync(RotatedKey key, SecretValue value, CancellationToken cancellationToken)
        {
            Tested = Stopwatch.GetTimestamp();
            return default;
        }

        public ValueTask DiscardAsync(RotatedKey key, CancellationToken cancellationToken) => default;

        public ValueTask RevokeAsync(RotatedKey key, SecretValue? value, CancellationToken cancellationToken) => default;
    }
}
