using System.Globalization;
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
    private readonly string[] _parts = Hint.Split(["...", "…", "*"], StringSplitOptions.RemoveEmptyEntries);

    /// <summary>Whether the hint says how the value begins and ends, such as <c>sk-abc...xyz</c>.</summary>
    internal bool IsTold => _parts.Length == 2;

    /// <summary>Whether it may be the key of a value: so its hint says, or says too little.</summary>
    internal bool MayBeOf(string value) => !IsTold
        || (value.Length > _parts[0].Length + _parts[1].Length
            && value.StartsWith(_parts[0], StringComparison.Ordinal) && value.EndsWith(_parts[1], StringComparison.Ordinal));
}

/// <summary>
/// Asks a provider's interface for managing keys. Whatever it answers, or does not, is a <see cref="SecretsException"/> where
/// it is not what was asked for. No answer's body is ever in an error: it may hold a key.
/// </summary>
internal sealed class KeyDesk : IDisposable
{
    private const int AtOnce = 100, MostPages = 200, Tries = 5;
    private static readonly TimeSpan BetweenTries = TimeSpan.FromSeconds(1);
    private readonly AdapterFactory _factory;
    private readonly Provider _provider;
    private readonly HttpClient _http;

    /// <exception cref="SecretsException">The provider has no such interface that a program can use.</exception>
    internal KeyDesk(AdapterFactory factory, Provider provider)
    {
        _factory = factory;
        _provider = provider;
        _http = factory.OpenManagement(provider);
    }

    /// <summary>What a new key is called at its provider.</summary>
    internal static string NameOf(RotatedKey key) => $"mallku-{key.Secret}-{key.Token}";

    /// <summary>Whether that is what something is called, or its secret was called otherwise then.</summary>
    internal static bool IsOf(string? name, RotatedKey key) => name?.EndsWith($"-{key.Token}", StringComparison.Ordinal) ?? false;

    /// <summary>Tries a new key, some times: one that was made a moment ago may not be known everywhere yet.</summary>
    /// <exception cref="SecretsException">It does not work.</exception>
    internal static async ValueTask RequireWorksAsync(AdapterFactory factory, Provider provider, SecretValue value, CancellationToken cancellationToken)
    {
        for (var left = Tries; ; left--)
        {
            var verdict = await factory.CheckAsync(provider.Id, new AdapterOptions { Key = value }, cancellationToken).ConfigureAwait(false);
            if (verdict.Outcome == KeyOutcome.Works)
            {
                return;
            }

            if (left == 1)
            {
                throw new SecretsException($"the new key does not work at {provider.Name}: {verdict.Reason}", "try again when it can be reached");
            }

            await Task.Delay(BetweenTries, cancellationToken).ConfigureAwait(false);
        }
    }

    public void Dispose() => _http.Dispose();

    /// <summary>Has something done, and reads what is wanted of the answer.</summary>
    /// <param name="path">What it is about.</param>
    /// <param name="content">The request's members.</param>
    /// <param name="read">Takes what is wanted; may throw what reading of JSON throws.</param>
    /// <param name="cancellationToken">Ends the request.</param>
    /// <exception cref="SecretsException">The provider did not answer, or not with success, or with something else.</exception>
    internal async ValueTask<T> PostAsync<T>(string path, Action<Utf8JsonWriter> content, Func<JsonElement, T> read, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent(ToJson(content), Encoding.UTF8, "application/json") };
        using var response = await SendAsync(_http, request, cancellationToken).ConfigureAwait(false);
        RequireSuccess(response);
        return await ReadAsync(response, read, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>
    /// Deletes something; what is gone already is no error, if a list that the provider gives does not have it. False where it was.
    /// </summary>
    /// <param name="path">What is deleted.</param>
    /// <param name="id">Its id.</param>
    /// <param name="list">The ids of what is there. "Not found" alone may be said of a wrong address, or of an account that is another's.</param>
    /// <param name="cancellationToken">Ends the requests.</param>
    /// <exception cref="SecretsException">The provider did not answer, or not with success, or has it still.</exception>
    internal async ValueTask<bool> DeleteAsync(string path, string id, Func<ValueTask<List<string>>> list, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Delete, path);
        using var response = await SendAsync(_http, request, cancellationToken).ConfigureAwait(false);
        if (response.StatusCode != HttpStatusCode.NotFound)
        {
            RequireSuccess(response);
            return true;
        }

        return (await list().ConfigureAwait(false)).Contains(id, StringComparer.Ordinal)
            ? throw new SecretsException($"{_provider.Name} does not find a key that it lists, and did not delete it", "delete it by hand")
            : false;
    }

    /// <summary>Everything that a list has, page by page.</summary>
    /// <exception cref="SecretsException">The provider did not answer, or not with success, or with something else, or without an end.</exception>
    internal async ValueTask<List<T>> ListAsync<T>(string path, KeyPages pages, Func<JsonElement, T> read, CancellationToken cancellationToken)
    {
        var all = new List<T>();
        var turned = new HashSet<string>(StringComparer.Ordinal);
        var first = string.Create(CultureInfo.InvariantCulture, $"{path}{(path.Contains('?', StringComparison.Ordinal) ? '&' : '?')}{pages.Size}={AtOnce}");
        for (var address = first; ;)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, address);
            using var response = await SendAsync(_http, request, cancellationToken).ConfigureAwait(false);
            if (response.StatusCode == HttpStatusCode.NotFound)
            {
                throw new SecretsException($"{_provider.Name} knows no such account", "check the account that is named for it: --account ID");
            }

            RequireSuccess(response);
            var (items, next) = await ReadAsync(
                response,
                page => (page.GetProperty(pages.Items).EnumerateArray().Select(read).ToList(), pages.FindNext(page)),
                cancellationToken).ConfigureAwait(false);
            all.AddRange(items);
            if (next is not { Length: > 0 })
            {
                return all;
            }

            if (!turned.Add(next) || turned.Count == MostPages)
            {
                throw new SecretsException($"the list of keys of {_provider.Name} has no end", "try again later, or do it by hand");
            }

            address = $"{first}&{pages.Cursor}={Uri.EscapeDataString(next)}";
        }
    }

    /// <summary>
    /// The one key of a list whose hint is that of a value that works; null where none may be it and the provider refuses the
    /// value: it is revoked already.
    /// </summary>
    /// <param name="keys">The list.</param>
    /// <param name="key">Which version it is.</param>
    /// <param name="value">Its value.</param>
    /// <param name="place">A header with which the provider takes only keys of the place that was listed; null where there is none.</param>
    /// <param name="cancellationToken">Ends the requests.</param>
    /// <exception cref="SecretsException">
    /// It may be live, and is none of the list or one of several; or is not tried; or one of the list may be it and the provider
    /// refuses it.
    /// </exception>
    /// <remarks>
    /// A hint is that of several keys, of which the list need not have this one: whoever has deleted what was found asks
    /// <see cref="RequireRefusedAsync"/>.
    /// </remarks>
    internal async ValueTask<ListedKey?> FindAsync(
        IEnumerable<ListedKey> keys, RotatedKey key, SecretValue value, (string Header, string Value)? place, CancellationToken cancellationToken)
    {
        var candidates = FindCandidates(keys, value);
        var verdict = await TryAsync(value, place: null, cancellationToken).ConfigureAwait(false);
        if (candidates is not [{ IsTold: true } only] || verdict.Outcome != KeyOutcome.Works)
        {
            RequireGone(candidates, key, verdict);
            return null;
        }

        return place is null || await TryAsync(value, place, cancellationToken).ConfigureAwait(false) is { Outcome: KeyOutcome.Works }
            ? only
            : throw new SecretsException($"version {key.Version} of '{key.Secret}' is no key of the account that is named for it, though one is listed there that looks alike", ByHand(key));
    }

    /// <summary>Throws unless no key of a list may be that of a value, and the provider refuses the value.</summary>
    /// <exception cref="SecretsException">It may be live.</exception>
    internal async ValueTask RequireGoneAsync(IEnumerable<ListedKey> keys, RotatedKey key, SecretValue value, CancellationToken cancellationToken) =>
        RequireGone(FindCandidates(keys, value), key, await TryAsync(value, place: null, cancellationToken).ConfigureAwait(false));

    /// <summary>Throws unless the provider refuses a value whose key was deleted; some times, since not every server may know of that yet.</summary>
    /// <exception cref="SecretsException">It may be live.</exception>
    internal async ValueTask RequireRefusedAsync(RotatedKey key, SecretValue value, CancellationToken cancellationToken)
    {
        for (var left = Tries; ; left--)
        {
            var verdict = await TryAsync(value, place: null, cancellationToken).ConfigureAwait(false);
            if (IsDead(verdict))
            {
                return;
            }

            if (left == 1)
            {
                throw new SecretsException(
                    $"version {key.Version} of '{key.Secret}' may be live ({verdict.Reason}), though the key by which {_provider.Name} knew it is deleted",
                    $"see whether it stays so: mallku rotate --due; if it does, the deleted one was another's that looks alike, and this one is left: {ByHand(key)}");
            }

            await Task.Delay(BetweenTries, cancellationToken).ConfigureAwait(false);
        }
    }

    private static List<ListedKey> FindCandidates(IEnumerable<ListedKey> keys, SecretValue value)
    {
        var text = value.RevealString();
        return [.. keys.Where(listed => listed.MayBeOf(text))];
    }

    private async ValueTask<KeyVerdict> TryAsync(SecretValue value, (string Header, string Value)? place, CancellationToken cancellationToken)
    {
        using var http = _factory.OpenForRotation(_provider, new AdapterOptions { Key = value });
        var check = place is not { } at ? _provider.Check
            : _provider.Check with { Headers = new Dictionary<string, string>(_provider.Check.Headers, StringComparer.OrdinalIgnoreCase) { [at.Header] = at.Value } };
        return await KeyVerdict.AskAsync(http, check, cancellationToken).ConfigureAwait(false);
    }

    // who is forbidden to ask may be a live key that may do little
    private static bool IsDead(KeyVerdict verdict) => verdict is { Outcome: KeyOutcome.Refused, Status: not (int)HttpStatusCode.Forbidden };

    // Whoever was cut off after he had revoked it asks again. A refusal alone may be a fault of the provider's.
    private void RequireGone(List<ListedKey> candidates, RotatedKey key, KeyVerdict verdict)
    {
        if (candidates is not [] || !IsDead(verdict))
        {
            throw new SecretsException(
                $"{candidates switch { [] => "none", [_] => "one", _ => "more than one" }} of the keys that {_provider.Name} lists may be version {key.Version} of '{key.Secret}', which may be live ({verdict.Reason})",
                ByHand(key));
        }
    }

    private string ByHand(RotatedKey key) =>
        $"revoke it by hand{(_provider.Key.Console is { } console ? $" ({console})" : "")}, then say so: mallku rotate {key.Secret} --abandon";

    /// <summary>What the provider's own interface tells of the key that it is asked with; null where it refuses the key.</summary>
    /// <exception cref="SecretsException">The provider did not answer, or otherwise than so, or with something else.</exception>
    internal async ValueTask<T?> AskWithAsync<T>(AdapterOptions key, string path, Func<JsonElement, T> read, CancellationToken cancellationToken)
        where T : class
    {
        using var http = _factory.OpenForRotation(_provider, key);
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        using var response = await SendAsync(http, request, cancellationToken).ConfigureAwait(false);
        if (response.IsSuccessStatusCode)
        {
            return await ReadAsync(response, read, cancellationToken).ConfigureAwait(false);
        }

        // who is forbidden to ask may be known
        return response.StatusCode != HttpStatusCode.Forbidden && _provider.Check.Refused.Contains((int)response.StatusCode)
            ? null
            : throw new SecretsException(
                string.Create(CultureInfo.InvariantCulture, $"{_provider.Name} answered {(int)response.StatusCode} when it was asked what a key is"), "try again later; if it stays so, do it by hand");
    }

    /// <summary>A member that must be a text, and no empty one.</summary>
    /// <exception cref="JsonException">It is not.</exception>
    internal static string ReadText(JsonElement element, string member) =>
        element.GetProperty(member).GetString() is { Length: > 0 } text ? text : throw new JsonException();

    private async ValueTask<HttpResponseMessage> SendAsync(HttpClient http, HttpRequestMessage request, CancellationToken cancellationToken)
    {
        foreach (var (header, value) in _provider.Check.Headers)
        {
            request.Headers.TryAddWithoutValidation(header, value);
        }

        try
        {
            // with its body, so that one patience covers both
            return await http.SendAsync(request, HttpCompletionOption.ResponseContentRead, cancellationToken).ConfigureAwait(false);
        }
        catch (HttpRequestException e)
        {
            throw NoAnswer(KeyVerdict.Describe(e));
        }
        catch (IOException)
        {
            throw NoAnswer("the connection broke");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw NoAnswer(string.Create(CultureInfo.InvariantCulture, $"none came within {http.Timeout.TotalSeconds} seconds"));
        }
    }

    private void RequireSuccess(HttpResponseMessage response)
    {
        if (!response.IsSuccessStatusCode)
        {
            throw new SecretsException(
                string.Create(CultureInfo.InvariantCulture, $"{_provider.Name} answered {(int)response.StatusCode} when it was asked to manage keys"),
                response.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden
                    ? $"check that {string.Join(" or ", _provider.Management!.Secrets)} is a key for administration"
                    : "check the account that is named for it, and try again later");
        }
    }

    private async ValueTask<T> ReadAsync<T>(HttpResponseMessage response, Func<JsonElement, T> read, CancellationToken cancellationToken)
    {
        try
        {
            var stream = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
            using var answer = await JsonDocument.ParseAsync(stream, cancellationToken: cancellationToken).ConfigureAwait(false);
            return read(answer.RootElement);
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            // neither its text nor the exception's is repeated: both may quote a key
            throw new SecretsException($"{_provider.Name} answered a request about keys with something else than its documentation says", "try again later; if it stays so, do it by hand");
        }
    }

    private SecretsException NoAnswer(string why) =>
        new($"{_provider.Name} gave no answer to a request about keys: {why}", "try again when it can be reached");

    private static string ToJson(Action<Utf8JsonWriter> content)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            content(json);
        }

        return Encoding.UTF8.GetString(buffer.ToArray());
    }
}
