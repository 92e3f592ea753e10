using System.Net;
using System.Net.Http.Headers;
using System.Runtime.CompilerServices;
using Mallku.FireCircle.Providers;

namespace Mallku.FireCircle.Adapters;

/// <summary>
/// Puts a provider's key into each request at the moment when it is sent, and takes it out again afterwards: the client in
/// front of it never holds one. Safe for concurrent use.
/// </summary>
/// <remarks>
/// A request to another server than the configured one is an error, and so is an answer that redirects. When the key is
/// refused and another live version of it exists, the request is sent once more with that, if its body can be.
/// </remarks>
internal sealed class KeyInjectionHandler(AdapterKey key, Provider provider, Uri server, HttpMessageHandler inner) : DelegatingHandler(inner)
{
    private const string Authorization = "Authorization", XApiKey = "x-api-key";

    // A header's value is a string, which nobody can wipe: one that lives as long as the value that it was made of leaves
    // fewer copies in memory than one for each request.
    private readonly ConditionalWeakTable<SecretValue, string> _headerValues = [];
    private readonly ConditionalWeakTable<SecretValue, string>.CreateValueCallback _compose = value => Compose(value, provider);

    private readonly string _scheme = server.Scheme, _host = server.Host;
    private readonly int _port = server.Port;

    private readonly string _header = HeaderOf(provider);

    // what the client in front has put its placeholder into, or a caller a key of its own; Authorization goes in any case
    private readonly string[] _otherHeaders =
        [.. new[] { HeaderOf(provider), provider.Protocol == ProviderProtocol.Anthropic ? XApiKey : Authorization }.Distinct(StringComparer.Ordinal).Where(static name => name != Authorization)];

    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        RequireServer(request.RequestUri);
        request.Headers.Authorization = null;
        foreach (var header in _otherHeaders)
        {
            request.Headers.Remove(header);
        }

        var sent = key.GetAsync(cancellationToken);
        return sent.IsCompletedSuccessfully
            ? SendAsync(request, sent.Result, isAgain: false, cancellationToken)
            : SendAsync(request, sent, cancellationToken);
    }

    private async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, ValueTask<SecretValue?> sent, CancellationToken cancellationToken) =>
        await SendAsync(request, await sent.ConfigureAwait(false), isAgain: false, cancellationToken).ConfigureAwait(false);

    // what every request goes through: each method that waits, and each look at the answer, adds to it
    private async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, SecretValue? sent, bool isAgain, CancellationToken cancellationToken)
    {
        HttpResponseMessage response;
        PutIn(request.Headers, sent);
        try
        {
            response = await base.SendAsync(request, cancellationToken).ConfigureAwait(false);
        }
        catch (HttpRequestException e) when (e.HttpRequestError == HttpRequestError.ProxyTunnelError)
        {
            // its text has the proxy's whole address, with a password where that has one
            throw new HttpRequestException(HttpRequestError.ProxyTunnelError, $"the proxy refused to connect to {Authority}");
        }
        finally
        {
            // who holds the request, or the response to it, holds no key
            request.Headers.Remove(_header);
        }

        return response.StatusCode == HttpStatusCode.OK && (sent is null || !MaskingStream.IsFor(response.Content, sent))
            ? response
            : await LookAtAsync(request, response, sent, isAgain, cancellationToken).ConfigureAwait(false);
    }

    // anything but a whole document of success
    private async Task<HttpResponseMessage> LookAtAsync(HttpRequestMessage request, HttpResponseMessage response, SecretValue? sent, bool isAgain, CancellationToken cancellationToken)
    {
        try
        {
            if (!isAgain && sent is not null && IsRefusal(response.StatusCode) && ReplayableBody.IsOne(request.Content)
                && await key.FindOtherAsync(sent, cancellationToken).ConfigureAwait(false) is { } other)
            {
                response.Dispose();
                return await SendAsync(request, other, isAgain: true, cancellationToken).ConfigureAwait(false);
            }

            RequireAnswer(response.StatusCode);
            if (sent is not null && !response.IsSuccessStatusCode)
            {
                await ErrorAnswer.MaskAsync(response, sent, cancellationToken).ConfigureAwait(false);
            }
            else if (sent is not null && MaskingStream.IsFor(response.Content, sent))
            {
                await MaskingStream.MaskAsync(response, sent, cancellationToken).ConfigureAwait(false);
            }

            return response;
        }
        catch
        {
            response.Dispose();
            throw;
        }
    }

    protected override HttpResponseMessage Send(HttpRequestMessage request, CancellationToken cancellationToken) =>
        throw new NotSupportedException("An adapter's requests are asynchronous: asking for the key is.");

    private string Authority => server.GetLeftPart(UriPartial.Authority);

    private bool IsRefusal(HttpStatusCode status) => provider.Check.Refused.Contains((int)status);

    private void PutIn(HttpRequestHeaders headers, SecretValue? sent)
    {
        if (sent is not null)
        {
            headers.TryAddWithoutValidation(_header, _headerValues.GetValue(sent, _compose));
        }
    }

    private void RequireAnswer(HttpStatusCode status)
    {
        if (IsNoAnswer(status))
        {
            throw new HttpRequestException($"{Authority} answered {(int)status}, which answers no request that was sent", inner: null, status);
        }

        if (status is >= HttpStatusCode.MultipleChoices and < HttpStatusCode.BadRequest)
        {
            throw new HttpRequestException(
                $"{Authority} redirects to another address, which is not followed: the key of {provider.Id} is for this server alone", inner: null, status);
        }
    }

    /// <summary>
    /// Whether a status belongs to no request of an adapter: none asks for another protocol, whose stream would have no end,
    /// and none says what it knows already.
    /// </summary>
    internal static bool IsNoAnswer(HttpStatusCode status) => status is < HttpStatusCode.OK or HttpStatusCode.NotModified;

    private static string HeaderOf(Provider provider) => provider.Key.Header switch
    {
        KeyHeader.XApiKey => XApiKey,
        KeyHeader.XGoogApiKey => "x-goog-api-key",
        _ => Authorization,
    };

    private static string Compose(SecretValue value, Provider provider)
    {
        var text = value.RevealString();
        return text.AsSpan().ContainsAnyExceptInRange('!', '~')
            ? throw new UnusableKeyException($"the key of {provider.Id} holds a character that no key has, such as a space or a line break", "set it again")
            : provider.Key.Header == KeyHeader.Bearer ? $"Bearer {text}" : text;
    }

    private void RequireServer(Uri? address)
    {
        // nearly always the very same characters
        if (address is null
            || !(address.Port == _port && address.Host == _host && address.Scheme == _scheme) && !ProviderRules.IsSameServer(address, server))
        {
            throw new SecretsException(
                $"a request of the adapter for {provider.Id} goes to another server than {Authority}, for which the key is",
                "name that server as the adapter's base URL, if it is meant");
        }
    }
}

/// <summary>A key is none that a request can carry.</summary>
internal sealed class UnusableKeyException(string problem, string remedy) : SecretsException(problem, remedy);
