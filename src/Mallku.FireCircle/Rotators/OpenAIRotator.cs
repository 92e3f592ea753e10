using System.Text.Json;
using Mallku.FireCircle.Adapters;
using Mallku.Secrets.Rotation;

namespace Mallku.FireCircle.Rotators;

/// <summary>
/// Makes keys by OpenAI's administration interface: a service account for each version, named by the secret and the
/// rotation's token, whose one key is the value. Revoking is deleting the account. Needs the administration key among the
/// secrets, and the project as the policy's account. Safe for concurrent use.
/// </summary>
/// <param name="factory">Where the provider and its connections come from; stays the caller's.</param>
public sealed class OpenAIRotator(AdapterFactory factory)
    : ProviderRotator(factory, "openai", "the rotator 'openai' needs the project in which keys are made", "name it: --account proj_…")
{
    /// <inheritdoc/>
    public override async ValueTask<NewKey> CreateAsync(RotatedKey key, CancellationToken cancellationToken)
    {
        using var desk = Open(key);
        return await desk.PostAsync(
            Accounts(key),
            json =>
            {
                json.WriteStartObject();
                json.WriteString("name", KeyDesk.NameOf(key));
                json.WriteEndObject();
            },
            static made => new NewKey(SecretValue.FromString(KeyDesk.ReadText(made.GetProperty("api_key"), "value")), KeyDesk.ReadText(made, "id")),
            cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public override async ValueTask DiscardAsync(RotatedKey key, CancellationToken cancellationToken)
    {
        using var desk = Open(key);
        var accounts = await desk.ListAsync(
            Accounts(key),
            KeyPages.OpenAI,
            static account => (Id: KeyDesk.ReadText(account, "id"), Name: account.GetProperty("name").GetString()),
            cancellationToken).ConfigureAwait(false);
        foreach (var (id, _) in accounts.Where(account => KeyDesk.IsOf(account.Name, key)))
        {
            await DeleteAccountAsync(desk, key, id, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    public override async ValueTask RevokeAsync(RotatedKey key, SecretValue? value, CancellationToken cancellationToken)
    {
        using var desk = Open(key);
        if (key.KeyId is { } id)
        {
            if (!await DeleteAccountAsync(desk, key, id, cancellationToken).ConfigureAwait(false) && value is not null)
            {
                await desk.RequireRefusedAsync(key, value, cancellationToken).ConfigureAwait(false);
            }

            return;
        }

        if (value is null)
        {
            await DiscardAsync(key, cancellationToken).ConfigureAwait(false);
            return;
        }

        // Made by hand: the list shows how its value begins and ends, which another's may do too. So it has to work in this
        // project before, and nowhere afterwards.
        RequireOwn(key, value);
        var keys = $"projects/{key.Policy.Account}/api_keys";
        var all = await desk.ListAsync(keys, KeyPages.OpenAI, ReadKey, cancellationToken).ConfigureAwait(false);
        if (await desk.FindAsync(all, key, value, ("OpenAI-Project", key.Policy.Account!), cancellationToken).ConfigureAwait(false) is { } listed)
        {
            if (listed.ServiceAccount is { } account)
            {
                await DeleteAccountAsync(desk, key, account, cancellationToken).ConfigureAwait(false);
            }
            else
            {
                await desk.DeleteAsync(
                    $"{keys}/{Uri.EscapeDataString(listed.Id)}",
                    listed.Id,
                    () => desk.ListAsync(keys, KeyPages.OpenAI, static one => KeyDesk.ReadText(one, "id"), cancellationToken),
                    cancellationToken).ConfigureAwait(false);
            }

            await desk.RequireRefusedAsync(key, value, cancellationToken).ConfigureAwait(false);
        }
    }

    private static ValueTask<bool> DeleteAccountAsync(KeyDesk desk, RotatedKey key, string id, CancellationToken cancellationToken) => desk.DeleteAsync(
        $"{Accounts(key)}/{Uri.EscapeDataString(id)}",
        id,
        () => desk.ListAsync(Accounts(key), KeyPages.OpenAI, static account => KeyDesk.ReadText(account, "id"), cancellationToken),
        cancellationToken);

    private static ListedKey ReadKey(JsonElement key) => new(
        KeyDesk.ReadText(key, "id"),
        key.GetProperty("redacted_value").GetString() ?? "",
        key.TryGetProperty("owner", out var owner) && owner.ValueKind == JsonValueKind.Object && owner.TryGetProperty("service_account", out var account) && account.ValueKind == JsonValueKind.Object
            ? KeyDesk.ReadText(account, "id")
            : null);

    private static string Accounts(RotatedKey key) => $"projects/{key.Policy.Account}/service_accounts";
}
