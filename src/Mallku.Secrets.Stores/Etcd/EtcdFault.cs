using System.Security.Authentication;
using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Stores.Etcd;

/// <summary>What a call's failure says to a person. etcd tells its reasons apart by their texts more than by their status.</summary>
internal static class EtcdFault
{
    private const string MakeRoom = "compact and defragment it, then: etcdctl alarm disarm";

    /// <summary>Whether the member asked can't tell, and another one may be able to.</summary>
    internal static bool IsUnreachable(GrpcException fault) =>
        fault.Status is GrpcStatus.Unavailable or GrpcStatus.DeadlineExceeded or GrpcStatus.Cancelled || Says(fault, "too many requests");

    /// <summary>Whether it is certain that the call was not carried out, by anybody.</summary>
    internal static bool IsNotDone(GrpcException fault) => fault.IsNotDone || HasNoLeader(fault) || Says(fault, "too many requests");

    /// <summary>Whether the members are choosing a leader, or too many of them are gone.</summary>
    internal static bool HasNoLeader(GrpcException fault) => Says(fault, "etcdserver: no leader");

    /// <summary>Whether a token was refused that had been good: it expired, or the member was started anew, or users were changed.</summary>
    internal static bool IsStaleToken(GrpcException fault) => fault.Status == GrpcStatus.Unauthenticated || Says(fault, "revision of auth store is old");

    internal static bool IsCompacted(GrpcException fault) => Says(fault, "required revision has been compacted");

    /// <param name="fault">What happened.</param>
    /// <param name="url">With which cluster.</param>
    /// <param name="isWrite">Whether it was to change something.</param>
    internal static SecretsException Of(GrpcException fault, EtcdUrl url, bool isWrite)
    {
        var what = $"etcd at {url.Hosts}";
        var reason = SecretsException.Show(fault.Message);
        if (IsOfCertificates(fault))
        {
            return new SecretsException(
                $"{what}: {reason}", "see that its certificate is signed by the one that ca= names and made out to that host, and whether it asks for this client's (cert=, key=); where it has no TLS, say tls=false", fault);
        }

        if (IsUnreachable(fault))
        {
            var mayBeWritten = isWrite && !IsNotDone(fault);
            return new StoreUnreachableException(
                $"{what} does not answer: {reason}{(mayBeWritten ? "; the write may have been made" : "")}",
                HasNoLeader(fault) ? "see that more than half of its members run and reach each other"
                    : "see that it runs and can be reached from here, and whether it speaks TLS and asks for this client's certificate (tls=, cert=, key=)",
                fault)
            { MayBeWritten = mayBeWritten };
        }

        if (isWrite && IsOpen(fault))
        {
            var (why, then) = IsFull(fault) ? ("is full", MakeRoom) : ($"has failed: {reason}", "see its log");
            return new StoreUnreachableException($"{what} {why}; the write may have been made", then, fault)
            {
                MayBeWritten = true,
                Refusal = IsFull(fault) ? new SecretsException($"{what} {why}", then, fault) : null,
            };
        }

        var (problem, remedy) = fault switch
        {
            _ when IsFull(fault) => ($"{what} is full", MakeRoom),
            _ when Says(fault, "request is too large") || Says(fault, "larger than max") =>
                ($"{what} does not take so much at once; nothing was changed", "write less at once, or raise its --max-request-bytes"),
            _ when Says(fault, "too many operations") =>
                ($"{what} does not take so many operations at once; nothing was changed", "give it its usual --max-txn-ops of 128 or more"),
            _ when Says(fault, "permission denied") =>
                ($"{what} does not permit that{(url.User is { } user ? $" to the user {SecretsException.Show(user)}" : "")}", $"grant the user a role with readwrite on the prefix {url.Prefix}/"),
            _ when Says(fault, "authentication failed") =>
                ($"{what} does not know that user or that password", "see which user and password it has"),
            _ when Says(fault, "user name is empty") =>
                ($"{what} asks for a user", "name the user in the URL, and give the password"),
            _ when Says(fault, "authentication is not enabled") =>
                ($"{what} has no users, and the URL names one", "leave the user out of the URL, or: etcdctl auth enable"),
            _ => ($"{what} refused a call: {reason}", "see its log"),
        };
        return new SecretsException(problem, remedy, fault);
    }

    // a full member says so of the write that fills it, after it has made it
    private static bool IsOpen(GrpcException fault) =>
        IsFull(fault) || fault.Status is GrpcStatus.Unknown or GrpcStatus.Internal or GrpcStatus.Aborted or GrpcStatus.DataLoss;

    private static bool IsOfCertificates(Exception? fault) => fault is AuthenticationException || (fault is not null && IsOfCertificates(fault.InnerException));

    private static bool IsFull(GrpcException fault) => Says(fault, "database space exceeded");

    private static bool Says(GrpcException fault, string text) => fault.Message.Contains(text, StringComparison.Ordinal);
}
