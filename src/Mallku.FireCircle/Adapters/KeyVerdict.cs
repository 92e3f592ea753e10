using System.Net.Sockets;
using Mallku.FireCircle.Providers;

namespace Mallku.FireCircle.Adapters;

/// <summary>What a check of a key came to.</summary>
public enum KeyOutcome
{
    /// <summary>The provider took it.</summary>
    Works,

    /// <summary>The provider refused it.</summary>
    Refused,

    /// <summary>The provider did not answer, or with something that says nothing of the key.</summary>
    Unreachable,
}

/// <summary>What a check of a key came to, and why. Immutable.</summary>
/// <param name="Outcome">What it came to.</param>
/// <param name="Status">The HTTP status, or null where none came.</param>
/// <param name="Reason">Why, in words; never holds a part of the key.</param>
public sealed record KeyVerdict(KeyOutcome Outcome, int? Status, string Reason)
{
    internal static async ValueTask<KeyVerdict> AskAsync(HttpClient http, KeyCheck check, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, check.Path);
        request.Options.Set(ErrorAnswer.NeedsNoBody, true);
        foreach (var (header, value) in check.Headers)
        {
            request.Headers.TryAddWithoutValidation(header, value);
        }

        try
        {
            using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken).ConfigureAwait(false);
            var status = (int)response.StatusCode;
            var outcome = check.Works.Contains(status) ? KeyOutcome.Works
                : check.Refused.Contains(status) ? KeyOutcome.Refused
                : KeyOutcome.Unreachable;
            return new KeyVerdict(outcome, status, $"the server answered {status}");
        }
        catch (HttpRequestException e)
        {
            return new KeyVerdict(KeyOutcome.Unreachable, (int?)e.StatusCode, Describe(e));
        }
        catch (TaskCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return new KeyVerdict(KeyOutcome.Unreachable, Status: null, $"no answer within {http.Timeout.TotalSeconds} seconds");
        }
    }

    // the runtime's own text may name a proxy with its password
    internal static string Describe(HttpRequestException e) => e switch
    {
        { StatusCode: { } status } when KeyInjectionHandler.IsNoAnswer(status) => $"the server answered {(int)status}",
        { StatusCode: { } status } => $"the server answered {(int)status} and redirects to another address, which is not followed",
        { HttpRequestError: HttpRequestError.NameResolutionError } => "the server's name was not found",
        { InnerException: SocketException { SocketErrorCode: SocketError.ConnectionRefused } } => "the connection was refused",
        { HttpRequestError: HttpRequestError.ConnectionError } => "no connection came about",
        { HttpRequestError: HttpRequestError.SecureConnectionError } => "TLS failed: the server's certificate or its protocol was not accepted",
        { HttpRequestError: HttpRequestError.ProxyTunnelError } => "the proxy refused to connect to the server",
        { HttpRequestError: HttpRequestError.UserAuthenticationError } => "the proxy refused the credentials for it",
        { HttpRequestError: HttpRequestError.ConfigurationLimitExceeded } => "the server's answer is longer than any is",
        { HttpRequestError: HttpRequestError.ResponseEnded } => "the connection ended before an answer",
        _ => "the server's answer is not one of HTTP, or the connection broke",
    };
}
