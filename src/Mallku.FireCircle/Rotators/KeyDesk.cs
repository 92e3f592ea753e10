using System.Net;
using System.Text;
using System.Text.Json;
using Mallku.FireCircle.Adapters;
using Mallku.FireCircle.Providers;
using Mallku.Secrets.Rotation;

namespace Mallku.FireCircle.Rotators;

/// <summary>A key as a provider's list has it: what of the value is shown, and who owns it.</summary>
internal sealed record ListedKey(string Id, string Hint, string? ServiceAccount)
{
    /// <summary>Whether the hint, such as <c>sk-abc...xyz</c>, is that of a value.</summary>
    internal bool IsOf(string value)
    {
        var parts = Hint.Split(["...", "…", "*"], StringSplitOptions.RemoveEmptyEntries);
        return parts.Length == 2 && value.Length > parts[0].Length + parts[1].Length
            && value.StartsWith(parts[0], StringComparison.Ordinal) && value.EndsWith(parts[1], StringComparison.Ordinal);
    }
}

/// <summary>Asks a provider's interface for managing keys. No answer's body is ever in an error: it may hold a key.</summary>
internal sealed class KeyDesk(AdapterFactory factory, Provider provider) : IDisposable
{
    private const int AtOnce = 100;
    private readonly HttpClient _http = factory.OpenManagement(provider);

    public void Dispose() => _http.Dispose();

    /// <summary>Sends a request; null where what it is about is gone already.</summary>
    /// <exception cref="SecretsException">The provider did not answer, or not with success.</exception>
    internal async ValueTask<JsonDocument?> AskAsync(HttpMethod method, string path, Action<Utf8JsonWriter>? content, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(method, path);
        foreach (var (header, value) in provider.Check.Headers)
        {
            request.Headers.TryAddWithoutValidation(header, value);
        }

        if (content is not null)
        {
            request.Content = new StringContent(ToJson(content), Encoding.UTF8, "application/json");
        }

        try
        {
            using var response = await _http.SendAsync(request, cancellationToken).ConfigureAwait(false);
            if (response.StatusCode == HttpStatusCode.NotFound && method != HttpMethod.Post)
            {
                return null;
            }

            if (!response.IsSuccessStatusCode)
            {
                throw new SecretsException(
                    $"{provider.Name} answered {(int)response.StatusCode} when it was asked to manage keys",
                    response.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden
                        ? $"check that {string.Join(" or ", provider.Management!.Secrets)} is a key for administration"
                        : "check the account that is named for it, and try again later");
            }

            var stream = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
            return await JsonDocument.ParseAsync(stream, cancellationToken: cancellationToken).ConfigureAwait(false);
        }
        catch (HttpRequestException e)
        {
            throw Unreachable(e);
        }
        catch (JsonException e)
        {
            throw Unreachable(e);
        }
        catch (TaskCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw Unreachable(e);
        }
    }

    /// <summary>Everything that a list has, page by page.</summary>
    /// <exception cref="SecretsException">The provider did not answer, or not with success.</exception>
    internal async ValueTask<List<T>> ListAsync<T>(string path, string cursor, Func<JsonElement, T> read, CancellationToken cancellationToken)
    {
        var all = new List<T>();
        string? last = null;
        do
        {
            var next = last is null ? "" : $"&{cursor}={Uri.EscapeDataString(last)}";
            using var page = await AskAsync(HttpMethod.Get, $"{path}{(path.Contains('?', StringComparison.Ordinal) ? '&' : '?')}limit={AtOnce}{next}", content: null, cancellationToken).ConfigureAwait(false)
                ?? throw new SecretsException($"{provider.Name} knows no such account", "check the account that is named for it: --account ID");
            all.AddRange(page.RootElement.GetProperty("data").EnumerateArray().Select(read));
            last = page.RootElement.TryGetProperty("has_more", out var more) && more.ValueKind == JsonValueKind.True ? page.RootElement.GetProperty("last_id").GetString() : null;
        }
        while (last is not null);
        return all;
    }

    /// <summary>
    /// The one key of a list whose hint is that of a value; null where there is none and the provider refuses the value: it is
    /// revoked already.
    /// </summary>
    /// <exception cref="SecretsException">There is none although the value may work, or there are several.</exception>
    internal async ValueTask<ListedKey?> FindAsync(IEnumerable<ListedKey> keys, RotatedKey key, SecretValue value, CancellationToken cancellationToken)
    {
        var text = value.RevealString();
        var found = keys.Where(listed => listed.IsOf(text)).ToList();
        if (found is [var only])
        {
            return only;
        }

        // Whoever was cut off after he had revoked it asks again. Another refusal may be of a live key that may do little.
        if (found is []
            && await factory.CheckAsync(provider.Id, new AdapterOptions { Key = value }, cancellationToken).ConfigureAwait(false) is { Status: (int)HttpStatusCode.Unauthorized })
        {
            return null;
        }

        throw new SecretsException(
            $"{(found.Count == 0 ? "none" : "more than one")} of the keys that {provider.Name} lists may be version {key.Version} of '{key.Secret}'",
            $"revoke it by hand{(provider.Key.Console is { } console ? $" ({console})" : "")}, then say so: mallku rotate {key.Secret} --abandon");
    }

    private static string ToJson(Action<Utf8JsonWriter> content)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            content(json);
        }

        return Encoding.UTF8.GetString(buffer.ToArray());
    }

    private SecretsException Unreachable(Exception e) => new($"{provider.Name} gave no answer to a request about keys", "try again when it can be reached", e);
}
