using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Stores.ArangoDb;

/// <summary>
/// Requests to one ArangoDB database, in somebody's name. Every request ends within <see cref="Limit"/>. Nothing that the
/// server says is repeated in an error but its numbers: an answer may echo what was sent. Safe for concurrent use.
/// </summary>
internal sealed class ArangoConnection : IDisposable
{
    private const int LargestAnswer = 512 << 20;
    private static readonly TimeSpan ConnectLimit = TimeSpan.FromSeconds(5);

    private readonly ArangoAddress _address;
    private readonly TimeProvider _clock;
    private readonly HttpClient _http;
    private readonly SemaphoreSlim _login = new(1);
    private AuthenticationHeaderValue? _authorization;

    internal ArangoConnection(ArangoAddress address, TimeProvider clock)
    {
        _address = address;
        _clock = clock;
        _http = new HttpClient(CreateHandler(address))
        {
            BaseAddress = new Uri(address.Server, $"_db/{Uri.EscapeDataString(address.Database)}/"),
            Timeout = Timeout.InfiniteTimeSpan,
            MaxResponseContentBufferSize = LargestAnswer,
        };
        if (address is { IsBasic: true, Password: { } password })
        {
            _authorization = new("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{address.User}:{password}")));
        }
    }

    internal static TimeSpan Limit { get; } = TimeSpan.FromSeconds(10);

    public void Dispose()
    {
        _http.Dispose();
        _login.Dispose();
    }

    /// <summary>Sends a request and returns what ArangoDB answered, also where it refused.</summary>
    /// <exception cref="StoreUnreachableException">ArangoDB did not answer, or can't serve.</exception>
    internal async Task<ArangoAnswer> SendAsync(ArangoRequest request, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var authorization = await AuthorizeAsync(refused: null, cancellationToken).ConfigureAwait(false);
        var answer = await ExchangeAsync(request, authorization, cancellationToken).ConfigureAwait(false);
        if (answer.Status == HttpStatusCode.Unauthorized && _address is { IsBasic: false, Password: not null })
        {
            // the token has run out, or the server has forgotten it; what came with it was not looked at
            authorization = await AuthorizeAsync(authorization, cancellationToken).ConfigureAwait(false);
            answer = await ExchangeAsync(request, authorization, cancellationToken).ConfigureAwait(false);
        }

        return answer;
    }

    /// <summary>What an answer holds.</summary>
    internal T Read<T>(ArangoAnswer answer, JsonTypeInfo<T> type)
    {
        if (answer.ErrorNumber != 0)
        {
            throw Refusal(answer);
        }

        try
        {
            return JsonSerializer.Deserialize(answer.Body, type) ?? throw new JsonException();
        }
        catch (JsonException)
        {
            // its text would quote the answer
            throw NoAnswer(answer.Status, answer.Writes);
        }
    }

    /// <summary>A refusal for which the caller has no use.</summary>
    internal SecretsException Refusal(ArangoAnswer answer)
    {
        var (problem, remedy) = (answer.Status, answer.ErrorNumber) switch
        {
            (HttpStatusCode.Unauthorized, _) => ("refuses the user or the password", "check who may use the database, and the password"),
            (_, ArangoError.CollectionNotFound) => ($"has no records of a store under '{_address.Prefix}'", "make the store: mallku store init, or SharedStore.CreateAsync"),
            (_, ArangoError.DatabaseNotFound) => ("does not exist", "create the database, or correct the address"),
            (_, ArangoError.ReadOnly or ArangoError.WriteConcern or ArangoError.NotLeader or ArangoError.LeadershipOpen) => (null, ""),
            (_, ArangoError.TransactionAborted or ArangoError.TransactionNotFound) => (null, ""),
            (HttpStatusCode.Forbidden, _) => (
                $"does not let '{SecretsException.Show(_address.User ?? "")}' do that (error {answer.ErrorNumber})", "grant the user the rights that the store needs"),
            _ => ($"refused a request (HTTP {(int)answer.Status}, error {answer.ErrorNumber})", "look the error up in ArangoDB's list of error codes"),
        };
        return problem is null ? Unable(answer, mayBeWritten: false) : new SecretsException($"{_address} {problem}", remedy)
        {
            IsNothingPrepared = answer.ErrorNumber is ArangoError.CollectionNotFound or ArangoError.DatabaseNotFound,
        };
    }

    internal StoreUnreachableException Unable(ArangoAnswer answer, bool mayBeWritten) => new(
        $"{_address} can't serve now (HTTP {(int)answer.Status}{(answer.ErrorNumber == 0 ? "" : $", error {answer.ErrorNumber}")})", "see its state and its log") { MayBeWritten = mayBeWritten };

    private static SocketsHttpHandler CreateHandler(ArangoAddress address)
    {
        var handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            UseProxy = false,
            ConnectTimeout = ConnectLimit,
            PooledConnectionLifetime = TimeSpan.FromMinutes(5),
            ActivityHeadersPropagator = null,
        };
        if (address.Authorities is { } path)
        {
            var chain = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
            try
            {
                chain.CustomTrustStore.ImportFromPemFile(path);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException)
            {
                throw new SecretsException($"the authority's certificate in {SecretsException.ShowAll(path)} can't be read", "name a PEM file that you may read: ca=PATH", e);
            }

            if (chain.CustomTrustStore.Count == 0)
            {
                throw new SecretsException($"no certificate is in {SecretsException.ShowAll(path)}", "name a PEM file with the certificate of the authority: ca=PATH");
            }

            handler.SslOptions = new SslClientAuthenticationOptions { CertificateChainPolicy = chain };
        }

        return handler;
    }

    // one at a time gets a token, and whoever has waited takes that
    private async ValueTask<AuthenticationHeaderValue?> AuthorizeAsync(AuthenticationHeaderValue? refused, CancellationToken cancellationToken)
    {
        if (_address.IsBasic || _address.Password is not { } password || (Volatile.Read(ref _authorization) is { } known && !ReferenceEquals(known, refused)))
        {
            return Volatile.Read(ref _authorization);
        }

        await _login.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (ReferenceEquals(_authorization, refused))
            {
                var login = JsonSerializer.SerializeToUtf8Bytes(new Login { Username = _address.User, Password = password }, ArangoJson.Default.Login);
                var answer = await ExchangeAsync(new(HttpMethod.Post, "/_open/auth") { Body = login }, null, cancellationToken).ConfigureAwait(false);
                if (answer.Status == HttpStatusCode.NotFound)
                {
                    throw new SecretsException($"{_address} knows no users: authentication is switched off there", "switch it on, or leave the user out of the address");
                }

                var token = Read(answer, ArangoJson.Default.Session).Jwt;
                if (token.Length == 0 || !token.All(static c => c is > ' ' and <= '~'))
                {
                    throw NoAnswer(answer.Status, writes: false);
                }

                Volatile.Write(ref _authorization, new("Bearer", token));
            }

            return _authorization;
        }
        finally
        {
            _login.Release();
        }
    }

    private async Task<ArangoAnswer> ExchangeAsync(ArangoRequest request, AuthenticationHeaderValue? authorization, CancellationToken cancellationToken)
    {
        using var message = new HttpRequestMessage(request.Method, request.Path) { Headers = { Authorization = authorization } };
        if (request.Transaction is { } transaction)
        {
            message.Headers.Add("x-arango-trx-id", transaction);
        }

        if (request.Body is { } body)
        {
            message.Content = new ByteArrayContent(body) { Headers = { ContentType = new("application/json") } };
        }

        using var late = new CancellationTokenSource(Limit, _clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken);
        try
        {
            using var response = await _http.SendAsync(message, either.Token).ConfigureAwait(false);
            return Understand(response.StatusCode, await response.Content.ReadAsByteArrayAsync(either.Token).ConfigureAwait(false), request.Writes);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new StoreUnreachableException($"{_address} did not answer within {Limit.TotalSeconds:0} seconds", "see whether it is overloaded, or the way to it") { MayBeWritten = request.Writes };
        }
        catch (OperationCanceledException e) when (request.Writes)
        {
            throw new StoreUnreachableException($"{_address} was not waited for", "see what is there, and then try again", e) { MayBeWritten = true };
        }
        catch (HttpRequestException e) when (e.InnerException is AuthenticationException)
        {
            throw new SecretsException(
                $"{_address} is not trusted, or has no TLS", "check its certificate, and name its authority: ca=PATH; tls=false only where nobody else can listen", e);
        }
        catch (HttpRequestException e) when (e.HttpRequestError is HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError)
        {
            throw new StoreUnreachableException($"{_address} can't be reached", "see whether it runs, and the address", e);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            // what came may be quoted in it
            throw new StoreUnreachableException(
                $"{_address} broke the connection off ({(e as HttpRequestException)?.HttpRequestError.ToString() ?? "in the answer"})", "see its log, and what stands between") { MayBeWritten = request.Writes };
        }
    }

    private ArangoAnswer Understand(HttpStatusCode status, byte[] body, bool writes)
    {
        if ((int)status is >= 200 and < 300)
        {
            return new ArangoAnswer(status, 0, body, writes);
        }

        Failure? failure = null;
        try
        {
            failure = JsonSerializer.Deserialize(body, ArangoJson.Default.Failure);
        }
        catch (JsonException)
        {
            // something else has answered
        }

        return (failure, (int)status) switch
        {
            ({ Error: true, ErrorNum: > 0 }, >= 400 and < 500) => new ArangoAnswer(status, failure.ErrorNum, body, writes),
            // also where something before it has refused
            (_, 401) => new ArangoAnswer(status, ArangoError.Forbidden, body, writes),
            (_, >= 500) => throw Unable(new ArangoAnswer(status, failure?.ErrorNum ?? 0, body, writes), writes),
            _ => throw NoAnswer(status, writes),
        };
    }

    private StoreUnreachableException NoAnswer(HttpStatusCode status, bool writes) =>
        new($"what answers for {_address} is not ArangoDB, or only a part of it arrived (HTTP {(int)status})", "check the address, and what stands between") { MayBeWritten = writes };
}

/// <summary>What is asked of ArangoDB.</summary>
/// <param name="Method">The method.</param>
/// <param name="Path">What it is about, from the database on.</param>
internal sealed record ArangoRequest(HttpMethod Method, string Path)
{
    /// <summary>JSON.</summary>
    internal byte[]? Body { get; init; }

    /// <summary>The transaction that it is part of.</summary>
    internal string? Transaction { get; init; }

    /// <summary>Whether it may have written something when its answer is lost.</summary>
    internal bool Writes { get; init; }
}

/// <summary>What ArangoDB answered.</summary>
/// <param name="Status">The status of HTTP.</param>
/// <param name="ErrorNumber">Which <see cref="ArangoError"/>; 0 for none.</param>
/// <param name="Body">JSON.</param>
/// <param name="Writes">As of the request.</param>
internal readonly record struct ArangoAnswer(HttpStatusCode Status, int ErrorNumber, byte[] Body, bool Writes);

/// <summary>ArangoDB's numbers of errors, as far as they mean something here.</summary>
internal static class ArangoError
{
    internal const int Forbidden = 11;
    internal const int ReadOnly = 1004;
    internal const int Conflict = 1200;
    internal const int DocumentNotFound = 1202;
    internal const int CollectionNotFound = 1203;
    internal const int DuplicateName = 1207;
    internal const int KeyExists = 1210;
    internal const int DatabaseNotFound = 1228;
    internal const int WriteConcern = 1429;
    internal const int LeadershipOpen = 1495;
    internal const int NotLeader = 1496;
    internal const int CursorNotFound = 1600;
    internal const int TransactionAborted = 1654;
    internal const int TransactionNotFound = 1655;
}
