using Mallku.FireCircle.Adapters;
using Mallku.FireCircle.Providers;
using Mallku.Secrets.Rotation;

namespace Mallku.FireCircle.Rotators;

/// <summary>
/// For providers whose interface can't make keys: a person makes one and types it in; it is tried by the provider's cheap
/// request. The old one is deactivated where the interface can do that (Anthropic), and otherwise it is said that somebody
/// has to. The provider is the one in the catalogue that looks for a key under the secret's name; where there is none, nobody
/// tries the new key, which <see cref="FindProvider"/> tells before a person relies on it. Safe for concurrent use.
/// </summary>
/// <param name="factory">Where the providers and their connections come from; stays the caller's.</param>
/// <param name="ask">Asks a person for the new key of a secret, which he makes on the page that is named, where one is known.</param>
public sealed class AssistedRotator(AdapterFactory factory, Func<RotatedKey, Uri?, CancellationToken, ValueTask<SecretValue>> ask) : IRotator
{
    /// <inheritdoc/>
    public string Name => "assisted";

    /// <inheritdoc/>
    public bool CanRevoke => true;

    /// <inheritdoc/>
    public bool NeedsPerson => true;

    /// <summary>The provider at which the keys of a secret are tried; null for none, so that they are not.</summary>
    /// <param name="secret">The secret's name.</param>
    public Provider? FindProvider(string secret)
    {
        ArgumentNullException.ThrowIfNull(secret);
        return factory.Providers.All.FirstOrDefault(provider => provider.Key.IsLookedForAs(secret));
    }

    /// <inheritdoc/>
    public void Require(RotatedKey current)
    {
    }

    /// <inheritdoc/>
    public async ValueTask<NewKey> CreateAsync(RotatedKey key, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(key);
        return new NewKey(await ask(key, FindProvider(key.Secret)?.Key.Console, cancellationToken).ConfigureAwait(false));
    }

    /// <inheritdoc/>
    public ValueTask SetAsync(RotatedKey key, SecretValue value, CancellationToken cancellationToken) => default;

    /// <inheritdoc/>
    public async ValueTask TestAsync(RotatedKey key, SecretValue value, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(key);
        if (FindProvider(key.Secret) is { } provider)
        {
            var verdict = await factory.CheckAsync(provider.Id, new AdapterOptions { Key = value }, cancellationToken).ConfigureAwait(false);
            if (verdict.Outcome != KeyOutcome.Works)
            {
                throw new SecretsException(
                    $"the new key does not work at {provider.Name}: {verdict.Reason}",
                    verdict.Outcome == KeyOutcome.Refused ? $"if it was mistyped, give it up (mallku rotate {key.Secret} --abandon) and begin anew" : "try again when it can be reached");
            }
        }
    }

    /// <inheritdoc/>
    /// <remarks>What a person has made and not typed in, only he can find.</remarks>
    public ValueTask DiscardAsync(RotatedKey key, CancellationToken cancellationToken) => default;

    /// <inheritdoc/>
    public async ValueTask RevokeAsync(RotatedKey key, SecretValue? value, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(key);
        var provider = FindProvider(key.Secret);
        if (value is null || provider is not { Protocol: ProviderProtocol.Anthropic, Management: { } management } || !management.Can.Contains(KeyAction.Disable))
        {
            throw new SecretsException(
                $"only a person can revoke version {key.Version} of '{key.Secret}'",
                $"do it{(provider?.Key.Console is { } console ? $" ({console})" : " at its provider")}, then say so: mallku rotate {key.Secret} --abandon");
        }

        using var desk = new KeyDesk(factory, provider);
        var keys = await desk.ListAsync(
            "api_keys?status=active",
            KeyPages.Anthropic,
            static listed => new ListedKey(KeyDesk.ReadText(listed, "id"), listed.GetProperty("partial_key_hint").GetString() ?? "", ServiceAccount: null),
            cancellationToken).ConfigureAwait(false);
        if (await desk.FindAsync(keys, key, value, place: null, cancellationToken).ConfigureAwait(false) is not { } found)
        {
            return;
        }

        await desk.PostAsync(
            $"api_keys/{Uri.EscapeDataString(found.Id)}",
            static json =>
            {
                json.WriteStartObject();
                json.WriteString("status", "inactive");
                json.WriteEndObject();
            },
            static _ => true,
            cancellationToken).ConfigureAwait(false);
        await desk.RequireRefusedAsync(key, value, cancellationToken).ConfigureAwait(false);
    }
}
