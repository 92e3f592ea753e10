using System.Globalization;
using Mallku.Secrets.Rotation;

namespace Mallku.Secrets.Tests.Rotation;

/// <summary>A provider in memory: it makes keys that carry a token, knows which are live, and fails or forgets to answer on request.</summary>
internal sealed class KeyShop : IRotator
{
    private int _made;

    /// <summary>The live keys' values with the tokens that they were made for.</summary>
    internal SortedDictionary<string, string?> Live { get; } = new(StringComparer.Ordinal);

    internal List<string> Keys => [.. Live.Keys];

    internal List<string> Steps { get; } = [];

    /// <summary>The accounts in which keys were to be revoked.</summary>
    internal List<string?> Accounts { get; } = [];

    /// <summary>The step that fails, until it is null again.</summary>
    internal string? FailsAt { get; set; }

    /// <summary>Whether the answer to <c>create</c> is lost once, after the key was made.</summary>
    internal bool LosesAnswer { get; set; }

    /// <summary>Whether the next <c>create</c> gets no answer, and the key is made when <see cref="Arrive"/> is called.</summary>
    internal bool IsSlow { get; set; }

    /// <summary>The token of the key that was asked for and is not made yet.</summary>
    internal string? Awaited { get; private set; }

    /// <summary>What happens during a step.</summary>
    internal Func<string, Task> During { get; set; } = static _ => Task.CompletedTask;

    public string Name { get; init; } = "shop";

    public bool CanRevoke { get; init; } = true;

    public bool NeedsPerson { get; init; }

    internal string? InUse { get; private set; }

    public void Require(RotatedKey current)
    {
    }

    public async ValueTask<NewKey> CreateAsync(RotatedKey key, CancellationToken cancellationToken)
    {
        await DoAsync("create");
        if (IsSlow)
        {
            (IsSlow, Awaited) = (false, key.Token);
            throw new SecretsException("no answer came", "try again");
        }

        var number = ++_made;
        var value = string.Create(CultureInfo.InvariantCulture, $"{(Name == "shop" ? "made" : Name)}-{number}");
        Live.Add(value, key.Token);
        if (LosesAnswer)
        {
            LosesAnswer = false;
            throw new SecretsException("the answer was lost", "try again");
        }

        return new NewKey(SecretValue.FromString(value), string.Create(CultureInfo.InvariantCulture, $"id-{number}"));
    }

    public async ValueTask SetAsync(RotatedKey key, SecretValue value, CancellationToken cancellationToken)
    {
        await DoAsync("set");
        InUse = value.RevealString();
    }

    public async ValueTask TestAsync(RotatedKey key, SecretValue value, CancellationToken cancellationToken)
    {
        await DoAsync("test");
        if (!Live.ContainsKey(value.RevealString()))
        {
            throw new SecretsException("the shop does not know the key", "make another");
        }
    }

    public async ValueTask DiscardAsync(RotatedKey key, CancellationToken cancellationToken)
    {
        await DoAsync("discard");
        foreach (var (value, _) in Live.Where(pair => pair.Value == key.Token).ToList())
        {
            Live.Remove(value);
        }
    }

    public async ValueTask RevokeAsync(RotatedKey key, SecretValue? value, CancellationToken cancellationToken)
    {
        await DoAsync("revoke");
        Accounts.Add(key.Policy.Account);
        if (value is not null)
        {
            Live.Remove(value.RevealString());
            return;
        }

        foreach (var (live, _) in Live.Where(pair => pair.Value is not null && pair.Value == key.Token).ToList())
        {
            Live.Remove(live);
        }
    }

    /// <summary>The key is made that was asked for long ago.</summary>
    internal void Arrive(string value) => Live.Add(value, Awaited);

    private async Task DoAsync(string step)
    {
        Steps.Add(step);
        await During(step);
        if (step == FailsAt)
        {
            throw new SecretsException($"the shop is closed for '{step}'", "wait until it opens");
        }
    }
}
