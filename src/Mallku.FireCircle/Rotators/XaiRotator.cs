using System.Text.Json;
using Mallku.FireCircle.Adapters;
using Mallku.Secrets.Rotation;

namespace Mallku.FireCircle.Rotators;

/// <summary>
/// Makes keys by xAI's management interface, named by the secret and the rotation's token, with the rights that the current
/// key has. Needs the management key among the secrets, and the team as the policy's account. Safe for concurrent use.
/// </summary>
/// <remarks>
/// The interface can also give a key another value by itself; whoever loses that answer has a key that works for nobody, and
/// the former value for a week at most.
/// </remarks>
/// <param name="factory">Where the provider and its connections come from; stays the caller's.</param>
public sealed class XaiRotator(AdapterFactory factory)
    : ProviderRotator(factory, "xai", "the rotator 'xai' needs the team in which keys are made", "name it: --account TEAM, whose id xAI's console shows")
{
    /// <inheritdoc/>
    public override async ValueTask<NewKey> CreateAsync(RotatedKey key, CancellationToken cancellationToken)
    {
        using var desk = Open(key);
        RequireOwn(key, key.Current);

        // A key that may do less than all is not to be replaced by one that may do all: it is this one that is asked with, and
        // none that the environment or a grace would give.
        var current = await desk.AskWithAsync(new AdapterOptions { Key = key.Current, Secret = key.Secret }, "api-key", Read, cancellationToken).ConfigureAwait(false)
            ?? throw new SecretsException(
                $"xAI refuses the current key of '{key.Secret}', and a new one would have its rights", "make one by hand, with the rights that it needs, and set it; then rotate");
        return await desk.PostAsync(
            Keys(key),
            json =>
            {
                json.WriteStartObject();
                json.WriteString("name", KeyDesk.NameOf(key));
                json.WriteStartArray("acls");
                foreach (var right in current.Rights)
                {
                    json.WriteStringValue(right);
                }

                json.WriteEndArray();
                json.WriteEndObject();
            },
            static made => new NewKey(SecretValue.FromString(KeyDesk.ReadText(made, "apiKey")), KeyDesk.ReadText(made, "apiKeyId")),
            cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public override async ValueTask DiscardAsync(RotatedKey key, CancellationToken cancellationToken)
    {
        using var desk = Open(key);
        var all = await desk.ListAsync(
            Keys(key),
            KeyPages.Xai,
            static listed => (Id: KeyDesk.ReadText(listed, "apiKeyId"), Name: listed.TryGetProperty("name", out var name) ? name.GetString() : null),
            cancellationToken).ConfigureAwait(false);
        foreach (var (id, _) in all.Where(listed => KeyDesk.IsOf(listed.Name, key)))
        {
            await DeleteAsync(desk, key, id, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    public override async ValueTask RevokeAsync(RotatedKey key, SecretValue? value, CancellationToken cancellationToken)
    {
        using var desk = Open(key);
        if (key.KeyId is null && value is null)
        {
            await DiscardAsync(key, cancellationToken).ConfigureAwait(false);
            return;
        }

        // One that was made by hand says itself what it is: what the list shows of a value may be that of several.
        var id = key.KeyId;
        if (id is null)
        {
            RequireOwn(key, value);
            id = (await desk.AskWithAsync(new AdapterOptions { Key = value }, "api-key", Read, cancellationToken).ConfigureAwait(false))?.Id;
        }

        if (id is null)
        {
            // a refusal is no word of a deletion: xAI answers with it to what it can't make out too
            await desk.RequireGoneAsync(
                await desk.ListAsync(Keys(key), KeyPages.Xai, ReadListed, cancellationToken).ConfigureAwait(false), key, value!, cancellationToken).ConfigureAwait(false);
        }
        else if (!await DeleteAsync(desk, key, id, cancellationToken).ConfigureAwait(false) && value is not null)
        {
            // it may be one of a team that the management key does not see
            await desk.RequireRefusedAsync(key, value, cancellationToken).ConfigureAwait(false);
        }
    }

    private static ListedKey ReadListed(JsonElement listed) => new(
        KeyDesk.ReadText(listed, "apiKeyId"),
        listed.TryGetProperty("redactedApiKey", out var hint) ? hint.GetString() ?? "" : "",
        ServiceAccount: null);

    private static KeyFacts Read(JsonElement told) =>
        new(KeyDesk.ReadText(told, "api_key_id"), [.. told.GetProperty("acls").EnumerateArray().Select(static right => right.GetString() ?? throw new JsonException())]);

    private static string Keys(RotatedKey key) => $"auth/teams/{key.Policy.Account}/api-keys";

    private static ValueTask<bool> DeleteAsync(KeyDesk desk, RotatedKey key, string id, CancellationToken cancellationToken) => desk.DeleteAsync(
        PathOf(id), id, () => desk.ListAsync(Keys(key), KeyPages.Xai, static listed => KeyDesk.ReadText(listed, "apiKeyId"), cancellationToken), cancellationToken);

    private static string PathOf(string id) => $"auth/api-keys/{Uri.EscapeDataString(id)}";

    /// <summary>What a key tells of itself.</summary>
    private sealed record KeyFacts(string Id, IReadOnlyList<string> Rights);
}
