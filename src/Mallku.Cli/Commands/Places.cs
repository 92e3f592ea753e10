using Mallku.Secrets.Rotation;
using Mallku.Secrets.Sources;
using Mallku.Secrets.Storage;

namespace Mallku.Cli.Commands;

/// <summary>Where secrets live that can be changed: in the vault here, and in the shared store where one is named.</summary>
internal static class Places
{
    internal const string Vault = VaultSource.SourceName, Store = SealedStore.SourceName;

    internal static readonly string[] All = [Vault, Store];

    /// <summary>What somebody has said after <c>--to</c>; null where he has not.</summary>
    /// <exception cref="UsageException">It is no place, or a store that nobody has named.</exception>
    internal static SecretPlace? Parse(string? text, Invocation invocation) => text switch
    {
        null => null,
        Vault => SecretPlace.Vault,
        Store when invocation.Store is null => throw new UsageException("no shared store is named", $"name it by --store URL, or by {StoreUrl.Variable}"),
        Store => SecretPlace.Store,
        _ => throw new UsageException("a place is vault or store", "write it as: --to vault"),
    };

    /// <summary>Those that there are in words, for an error.</summary>
    internal static string Describe(SecretsManager manager) => string.Join(" or ", manager.Stores.Select(static place => place.Describe()));

    /// <summary>What of rotations there is to say of each secret: of the place that a lookup takes it from.</summary>
    internal static async ValueTask<Dictionary<string, RotationStatus>> GetRotationsAsync(SecretsManager manager, CancellationToken cancellationToken)
    {
        var statuses = new Dictionary<string, RotationStatus>(StringComparer.Ordinal);
        foreach (var place in manager.Stores)
        {
            foreach (var status in await RotationReview.ReadAsync(place, faults: null, cancellationToken))
            {
                statuses.TryAdd(status.Name, status);
            }
        }

        return statuses;
    }
}
