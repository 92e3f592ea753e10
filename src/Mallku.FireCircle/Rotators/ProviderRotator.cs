using Mallku.FireCircle.Adapters;
using Mallku.Secrets.Rotation;

namespace Mallku.FireCircle.Rotators;

/// <summary>
/// Makes and revokes keys by a provider's interface for managing them, which a program can use alone. Nothing else has to be
/// told of a new key; it is tried by the provider's cheap request. Safe for concurrent use.
/// </summary>
public abstract class ProviderRotator : IRotator
{
    private readonly AdapterFactory _factory;
    private readonly string _accountMissing, _accountRemedy;

    // its name is the provider's id
    private protected ProviderRotator(AdapterFactory factory, string provider, string accountMissing, string accountRemedy) =>
        (_factory, Name, _accountMissing, _accountRemedy) = (factory, provider, accountMissing, accountRemedy);

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public bool CanRevoke => true;

    /// <inheritdoc/>
    public bool NeedsPerson => false;

    /// <inheritdoc/>
    public void Require(RotationPolicy policy)
    {
        ArgumentNullException.ThrowIfNull(policy);
        KeyDesk.RequireAccount(policy, _accountMissing, _accountRemedy);
    }

    /// <inheritdoc/>
    public abstract ValueTask<NewKey> CreateAsync(RotatedKey key, CancellationToken cancellationToken);

    /// <inheritdoc/>
    public ValueTask SetAsync(RotatedKey key, SecretValue value, CancellationToken cancellationToken) => default;

    /// <inheritdoc/>
    public ValueTask TestAsync(RotatedKey key, SecretValue value, CancellationToken cancellationToken) =>
        KeyDesk.RequireWorksAsync(_factory, _factory.Providers.Find(Name), value, cancellationToken);

    /// <inheritdoc/>
    public abstract ValueTask DiscardAsync(RotatedKey key, CancellationToken cancellationToken);

    /// <inheritdoc/>
    public abstract ValueTask RevokeAsync(RotatedKey key, SecretValue? value, CancellationToken cancellationToken);

    private protected KeyDesk Open(RotatedKey key)
    {
        ArgumentNullException.ThrowIfNull(key);
        Require(key.Policy);
        return new KeyDesk(_factory, _factory.Providers.Find(Name));
    }
}
