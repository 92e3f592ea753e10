using Mallku.Secrets.Storage;
using Mallku.Secrets.Stores.ArangoDb;
using Mallku.Secrets.Stores.Etcd;
using Mallku.Secrets.Stores.PostgreSql;

namespace Mallku.Secrets.Stores;

/// <summary>Opens a medium of a shared store by its URL.</summary>
public static class SharedStores
{
    /// <summary>Names the records; the first use connects.</summary>
    /// <param name="url"><c>postgres://…</c>, <c>etcd://…</c> or <c>arangodb://…</c>; the guide of each says what may stand in it.</param>
    /// <param name="password">The user's; null where the URL has it, or the medium finds it otherwise, or there is none.</param>
    /// <exception cref="SecretsException">The URL is none of these, or says what is not understood. It is not repeated: it may hold a password.</exception>
    public static IRecordStore Open(string url, SecretValue? password = null)
    {
        ArgumentNullException.ThrowIfNull(url);
        return url.Split("://")[0] switch
        {
            "postgres" or "postgresql" => PostgreSqlRecordStore.Open(url, password),
            "etcd" => EtcdRecordStore.Open(url, password),
            "arangodb" => ArangoRecordStore.Open(url, password),
            _ => throw new SecretsException("the store's URL does not say which engine it is", "write it as postgres://…, etcd://… or arangodb://…"),
        };
    }
}
