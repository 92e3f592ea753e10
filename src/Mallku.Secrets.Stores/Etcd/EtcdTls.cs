using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Mallku.Secrets.Stores.Etcd;

/// <summary>The certificates that an URL names.</summary>
internal static class EtcdTls
{
    /// <exception cref="SecretsException">A file can't be read, or is no certificate or no key.</exception>
    internal static SslClientAuthenticationOptions Load(EtcdUrl url)
    {
        var options = new SslClientAuthenticationOptions();
        if (url.Root is { } file)
        {
            var roots = Read(file, "root certificate", () =>
            {
                var found = new X509Certificate2Collection();
                found.ImportFromPemFile(file);
                return found.Count > 0 ? found : throw new CryptographicException();
            });

            // a company's own root says nothing of where it lists what it has revoked
            options.CertificateChainPolicy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
            options.CertificateChainPolicy.CustomTrustStore.AddRange(roots);
        }

        if (url.Client is var (certificate, key))
        {
            var own = Read(certificate, "client's certificate, or its key,", () => X509Certificate2.CreateFromPemFile(certificate, key));
            options.ClientCertificateContext = SslStreamCertificateContext.Create(own, additionalCertificates: null, offline: true);
        }

        return options;
    }

    private static T Read<T>(string file, string what, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or CryptographicException)
        {
            throw new SecretsException($"the {what} for etcd can't be read: {file}", "name PEM files that this user can read", fault);
        }
    }
}
