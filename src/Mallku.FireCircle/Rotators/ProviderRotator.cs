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
    public void Require(RotatedKey current)
    {
        ArgumentNullException.ThrowIfNull(current);
        RequireAccount(current.Policy);
        RequireOwn(current, current.Current);
    }

    /// <inheritdoc/>
    public abstract ValueTask<NewKey> CreateAsync(RotatedKey key, CancellationToken cancellationToken);

    /// <inheritdoc/>
    public ValueTask SetAsync(RotatedKey key, SecretValue value, CancellationToken cancellationToken) => default;

    /// <inheritdoc/>
    public ValueTask TestAsync(RotatedKey key, SecretValue value, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(key);
        RequireOwn(key, value);
        return KeyDesk.RequireWorksAsync(_factory, _factory.Providers.Find(Name), value, cancellationToken);
    }

    /// <inheritdoc/>
    public abstract ValueTask DiscardAsync(RotatedKey key, CancellationToken cancellationToken);

    /// <inheritdoc/>
    public abstract ValueTask RevokeAsync(RotatedKey key, SecretValue? value, CancellationToken cancellationToken);

    private protected KeyDesk Open(RotatedKey key)
    {
        ArgumentNullException.ThrowIfNull(key);
        RequireAccount(key.Policy);
        return new KeyDesk(_factory, _factory.Providers.Find(Name));
    }

    /// <summary>Refuses a value that nothing says is a key of this provider: nobody else's is sent there.</summary>
    /// <exception cref="SecretsException">It is not made here, nor under a name of the provider's keys, nor of their shape.</exception>
    private protected void RequireOwn(RotatedKey key, SecretValue? value)
    {
        var provider = _factory.Providers.Find(Name);
        if (!key.IsOwn && !provider.Key.IsLookedForAs(key.Secret) && !(value is not null && provider.Key.Recognizes(value.RevealString())))
        {
            throw new SecretsException(
                $"nothing says that '{SecretsException.Show(key.Secret)}' is a key of {provider.Name}, to which the rotator '{Name}' would send its value: neither its name nor its shape does",
                $"keep a key of {provider.Name} as {provider.Key.Secrets[0]}, or name this secret in an entry '{Name}' of your file of providers; rotate another secret with another rotator");
        }
    }

    // a path is made with it
    private void RequireAccount(RotationPolicy policy)
    {
        if (policy.Account is not { Length: > 0 } account || !account.All(static c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-'))
        {
            throw new SecretsException(_accountMissing, _accountRemedy);
        }

        // the id of a project is as random as a key
        if (!account.StartsWith("proj_", StringComparison.Ordinal) && _factory.Providers.MayBeKey(account))
        {
            throw new SecretsException($"what is named for the rotator '{Name}' as an account looks like a key, which belongs nowhere but in a secret", _accountRemedy);
        }
    }
}
