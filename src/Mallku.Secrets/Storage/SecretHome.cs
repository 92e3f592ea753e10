namespace Mallku.Secrets.Storage;

/// <summary>Which of several stores has a secret.</summary>
/// <param name="Store">The store.</param>
/// <param name="Stored">The name under which it has it.</param>
internal sealed record SecretHome(ISecretStore Store, string Stored)
{
    /// <summary>The one that a lookup finds it in: the first that has it exactly, else the first that has it loosely; null for none.</summary>
    /// <param name="stores">In the order of a lookup.</param>
    /// <param name="name">The name as somebody says it.</param>
    /// <param name="cancellationToken">Ends the search.</param>
    /// <exception cref="AmbiguousSecretNameException">Several match loosely in one.</exception>
    /// <exception cref="SecretsException">It can't be told.</exception>
    internal static async ValueTask<SecretHome?> FindAsync(IReadOnlyList<ISecretStore> stores, SecretName name, CancellationToken cancellationToken)
    {
        SecretHome? loose = null;
        foreach (var store in stores)
        {
            if (await store.FindAsync(name, cancellationToken).ConfigureAwait(false) is { Record: { Current: not null } found })
            {
                var home = new SecretHome(store, found.Name);
                if (found.Name == name.ToString())
                {
                    return home;
                }

                loose ??= home;
            }
        }

        return loose;
    }

    /// <summary>The first that had a secret of exactly this name, which was removed, and of which something holds; null for none.</summary>
    /// <inheritdoc cref="FindAsync"/>
    internal static async ValueTask<ISecretStore?> FindFormerAsync(
        IReadOnlyList<ISecretStore> stores, SecretName name, Func<SecretRecord, bool> holds, CancellationToken cancellationToken)
    {
        foreach (var store in stores)
        {
            if (await store.FindAsync(name, cancellationToken).ConfigureAwait(false) is { Record: var former } && holds(former))
            {
                return store;
            }
        }

        return null;
    }
}
